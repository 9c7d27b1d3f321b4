/** Every payment provider there is. A new one is a file beside these, a name in domain/statuses.ts and a line here. */
import { type CryptoNativeParts, createCryptoNative } from './crypto-native.ts';
import { type ExternalWalletParts, createExternalWallet } from './external-wallet.ts';
import type { PaymentProviders } from './port.ts';

export type PaymentParts = CryptoNativeParts & ExternalWalletParts;

export function createPaymentProviders(parts: PaymentParts): PaymentProviders {
  return {
    'crypto-native': createCryptoNative(parts),
    'external-wallet': createExternalWallet(parts),
  };
}

/** SEP-7 requests name every network but the public one. */
export const paymentNetwork = (network: string, passphrase: string) => ({
  passphrase,
  namedPassphrase: network === 'public' ? null : passphrase,
});
