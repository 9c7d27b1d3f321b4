/** Wallets whose keys we hold: created on chain by us, booked in our ledger, signed for at once. */
import { refuseField } from '../../domain/refusal.ts';
import { paymentUri } from '../../domain/sep7.ts';
import { type SigningKey, signEnvelope } from '../chain/envelope.ts';
import type { PaymentAsset, PaymentBalance, PaymentProvider, UserWallet } from './port.ts';

export interface CryptoNativeParts {
  readonly passphrase: string;
  /** what SEP-7 requests name the network by; null on the public one */
  readonly namedPassphrase: string | null;
  /** what our books say the user has */
  readonly books: (wallet: UserWallet, asset: PaymentAsset) => Promise<PaymentBalance>;
  /** null in a process that does not open keys */
  readonly openKey: ((wallet: { readonly id: string; readonly address: string }) => Promise<SigningKey>) | null;
}

export function createCryptoNative({ passphrase, namedPassphrase, books, openKey }: CryptoNativeParts) {
  const isReady = ({ status }: UserWallet): boolean => status === 'READY';
  return {
    name: 'crypto-native',
    custodial: true,
    initializeUser: async ({ address }) => {
      if (address !== null)
        throw refuseField('/wallet/address', 'NOT_ALLOWED', 'the address of this wallet is ours to make');
      return { status: 'PROVISIONING', address: null };
    },
    // It was created together with its trustline.
    isUserReady: async (wallet) => isReady(wallet),
    getBalance: books,
    getDepositInfo: (wallet, asset) =>
      wallet.address === null || !isReady(wallet)
        ? null
        : { address: wallet.address, memo: null, sep7Uri: paymentUri(wallet.address, asset, namedPassphrase) },
    signEscrowTransaction: async ({ wallet, envelope }) => {
      if (openKey === null) throw new Error('this process opens no keys');
      return { status: 'SIGNED', envelope: signEnvelope(envelope, passphrase, [await openKey(wallet)]) };
    },
    sendPayment: (payment) => ({ kind: 'PAY', payment }),
  } satisfies PaymentProvider;
}
