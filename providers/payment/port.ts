/**
 * Where a user's money is and who signs for it: six operations, chosen per user. Whether we hold the key decides how the
 * money is booked: a custodial wallet is in our books, everything else is `external`; we neither hold nor owe it.
 */
import type { Intent, PaymentRef } from '../../domain/intents.ts';
import type { PaymentProviderName, WalletStatus } from '../../domain/statuses.ts';

export interface UserWallet {
  readonly id: string;
  readonly userId: string;
  readonly marketplaceId: string;
  readonly status: WalletStatus;
  readonly address: string | null;
}

/** A settlement asset. */
export interface PaymentAsset {
  readonly code: string;
  readonly issuer: string;
}

/** How the wallet of a new user begins. */
interface NewWallet {
  /** PROVISIONING: we create it on chain, keys included */
  readonly status: 'PROVISIONING' | 'READY';
  readonly address: string | null;
}

/** Stroops. */
export interface PaymentBalance {
  readonly available: bigint;
  readonly reserved: bigint;
}

interface DepositInfo {
  readonly address: string;
  readonly memo: null;
  readonly sep7Uri: string;
}

export interface SignatureRequest {
  readonly wallet: { readonly id: string; readonly address: string };
  /** base64; other signatures that it carries stay */
  readonly envelope: string;
  /** what the user handed in; null as long as nobody asked him */
  readonly signedEnvelope: string | null;
}

export type Signature =
  | { readonly status: 'SIGNED'; readonly envelope: string }
  /** the holder of the key has to be asked: a signing request is made */
  | { readonly status: 'PENDING' };

export interface PaymentProvider {
  readonly name: PaymentProviderName;
  /** we hold the key */
  readonly custodial: boolean;
  /**
   * Checks what a new user brings along.
   * @throws Refusal VALIDATION_ERROR pointing into `/wallet`; ProviderError
   */
  initializeUser(request: { readonly address: string | null; readonly asset: PaymentAsset }): Promise<NewWallet>;
  /** Whether the wallet can send and receive the asset now. @throws ProviderError */
  isUserReady(wallet: UserWallet, asset: PaymentAsset): Promise<boolean>;
  /** @throws ProviderError */
  getBalance(wallet: UserWallet, asset: PaymentAsset): Promise<PaymentBalance>;
  /** Null while nothing may be sent to it (F39). */
  getDepositInfo(wallet: UserWallet, asset: PaymentAsset): DepositInfo | null;
  /** @throws Refusal VALIDATION_ERROR when what was handed in is not the user's signature of this very transaction */
  signEscrowTransaction(request: SignatureRequest): Promise<Signature>;
  /** What `executeOnChain` has to carry out. @throws Refusal INVALID_STATE when it is not ours to pay */
  sendPayment(payment: PaymentRef): Intent;
}

export type PaymentProviders = Readonly<Record<PaymentProviderName, PaymentProvider>>;
