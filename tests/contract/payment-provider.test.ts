/** One contract for every payment provider. */
import { createCryptoNative } from '../../providers/payment/crypto-native.ts';
import { createExternalWallet } from '../../providers/payment/external-wallet.ts';
import { describePaymentProvider } from './payment-provider.ts';

const UNIT = 10_000_000n;

describePaymentProvider('crypto-native', createCryptoNative, {
  balance: { available: 70n * UNIT, reserved: 30n * UNIT },
});

// What the books say is not asked: they know nothing of it.
describePaymentProvider('external-wallet', createExternalWallet, {
  balance: { available: 100n * UNIT, reserved: 0n },
});
