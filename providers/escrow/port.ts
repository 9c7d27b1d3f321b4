/** The escrow gateway: turns a call into an unsigned envelope. What it returns is untrusted until `verifyEnvelope` said so. */
import type { EscrowCall } from '../../domain/chain.ts';
import type { ContractFacts } from './contracts.ts';

export interface EscrowGateway {
  readonly name: 'trustless-work' | 'direct';
  /** Task queue of the activities that use it: REST calls go where the provider's rate limit is kept. */
  readonly taskQueue: 'escrow-api' | 'chain';
  /**
   * Base64 TransactionEnvelope without signatures.
   * @throws ProviderError; ContractRefused where it looks at the contract itself
   */
  build(call: EscrowCall): Promise<string>;
  /** Tells the provider's index about a landed transaction (it lags). @throws ProviderError */
  nudge(transactionHash: string): Promise<void>;
}

/** Everything an envelope is held against besides the call itself. */
export interface VerifyContext extends ContractFacts {
  readonly networkPassphrase: string;
  /** Stellar Asset Contract of the settlement asset */
  readonly assetContract: string;
  /** the account's last used sequence number as read from the chain; the envelope must carry the next one */
  readonly sequence: bigint;
  /** unix seconds of the latest ledger */
  readonly chainTime: number;
  /** base64 ScVal of the stored escrow, for `fund`; null for a deploy */
  readonly escrowState: string | null;
  /** highest total fee we accept, stroops of XLM */
  readonly feeCap: bigint;
}

/** What a transaction that landed is held against: what it did counts, not what it cost or when it was valid. */
export type LandedContext = Omit<VerifyContext, 'sequence' | 'chainTime' | 'feeCap'>;

export interface VerifiedEnvelope {
  readonly verdict: 'OK';
  /** lowercase hex hash of the transaction on our network */
  readonly hash: string;
  readonly sequence: bigint;
  /** unix seconds */
  readonly maxTime: number;
  readonly fee: bigint;
  /** contract id a deploy will create, derived before signing (F1); else the call's contract */
  readonly contractId: string;
}

export type Verdict =
  | VerifiedEnvelope
  /** only bounds, sequence, footprint or `expected_escrow` are out of date: prepare again */
  | { readonly verdict: 'STALE'; readonly reason: string }
  /** anything else differs from the intent: nothing may be signed (F18) */
  | {
      readonly verdict: 'DIFFERENT';
      readonly differences: readonly { readonly field: string; readonly expected: string; readonly actual: string }[];
    };

export type VerifyEnvelope = (envelope: string, call: EscrowCall, context: VerifyContext) => Verdict;
