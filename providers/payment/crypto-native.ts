/** Wallets whose keys we hold: created on chain by us, booked in our ledger, signed for at once. */
import { refuseField } from '../../domain/refusal.ts';
import { paymentUri } from '../../domain/sep7.ts';
import { type SigningKey, signEnvelope } from '../chain/envelope.ts';
import type { PaymentAsset, PaymentBalance, PaymentProvider, SignatureRequest, UserWallet } from './port.ts';

export interface CryptoNativeParts {
  readonly passphrase: string;
  /** what SEP-7 requests name the network by; null on the public one */
  readonly namedPassphrase: string | null;
  /** what our books say the user has */
  readonly books: (wallet: UserWallet, asset: PaymentAsset) => Promise<PaymentBalance>;
  /** Opens the wallet's key for `work` and wipes it; null in a process that opens no keys. */
  readonly withKey: (<T>(wallet: SignatureRequest['wallet'], work: (key: SigningKey) => T) => Promise<T>) | null;
}

export function createCryptoNative({ passphrase, namedPassphrase, books, withKey }: CryptoNativeParts) {
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
      if (withKey === null) throw new Error('this process opens no keys');
      return { status: 'SIGNED', envelope: await withKey(wallet, (key) => signEnvelope(envelope, passphrase, [key])) };
    },
    sendPayment: (payment) => ({ kind: 'PAY', payment }),
  } satisfies PaymentProvider;
}
