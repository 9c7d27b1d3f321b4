/** The chain as activities see it. Two faces of the same network: RPC (state, submission, outcome) and Horizon (history). */
import type { Asset, Movement } from '../../domain/chain.ts';

/** State read at one ledger. */
interface AtLedger<T> {
  readonly ledger: number;
  readonly value: T;
}

export type SubmitOutcome =
  /** accepted by a node, or already known there: not landed */
  | { readonly status: 'PENDING' | 'DUPLICATE' }
  /** nothing was queued: send the same bytes again later */
  | { readonly status: 'TRY_AGAIN_LATER' }
  /** rejected before any ledger; `code` is the transaction result code, e.g. `txBadSeq`, `txTooLate` */
  | { readonly status: 'ERROR'; readonly code: string; readonly resultXdr: string };

/** What one provider knows about a hash, at one ingested ledger. */
export type TransactionOutcome =
  | {
      readonly status: 'LANDED';
      readonly successful: boolean;
      readonly hash: string;
      readonly ledger: number;
      readonly closedAt: string;
      readonly resultXdr: string;
      /** stroops of XLM */
      readonly feeCharged: bigint;
      /** genuine asset movements in the order the network emitted them; empty when it failed */
      readonly movements: readonly Movement[];
      /** base64 ScVal of the contract call; null for classic transactions, and where only history was asked */
      readonly returnValue: string | null;
      /** base64, as it landed: signed, and inside of its fee bump if it has one */
      readonly envelope: string;
    }
  | {
      readonly status: 'ABSENT';
      readonly latestLedger: number;
      /** unix seconds */
      readonly latestClosedAt: number;
      /** history older than this is not kept: absence below it proves nothing */
      readonly oldestLedger: number;
    };

/** What a contract call would do now, and what its transaction has to declare. */
export type Simulation =
  | {
      readonly status: 'OK';
      /** base64 SorobanTransactionData: footprint, resources and resource fee */
      readonly data: string;
      /** base64 SorobanAuthorizationEntry each */
      readonly auth: readonly string[];
    }
  /** the contract or the host refuses; `error` is the host's text, for operators only (F21) */
  | { readonly status: 'FAILED'; readonly error: string };

/** Where one provider stands. */
export interface Head {
  readonly networkPassphrase: string;
  readonly latestLedger: number;
  /** history older than this is not kept */
  readonly oldestLedger: number;
}

/** A port over several providers: each call goes to one of them, and to the next when that one is in trouble. */
export type Pooled<P> = P & {
  /**
   * One provider for all calls: what several answers are put together from. One whose history reaches back to ledger
   * `since` is preferred. @throws ProviderError
   */
  pinned(since?: number): Promise<P>;
};

export interface ChainRpc {
  /** Two requests, unlike the others: before a provider is believed, and where a wrong network would cost money. */
  head(): Promise<Head>;
  /** `closedAt` in unix seconds: chain time, the only clock that decides about an envelope's bounds. */
  latestLedger(): Promise<{ sequence: number; closedAt: number }>;
  /** Null when the account does not exist. `sequence` is the last one used; `reserved` of `balance` cannot be spent. */
  account(address: string): Promise<AtLedger<{ sequence: bigint; balance: bigint; reserved: bigint } | null>>;
  /** What an account keeps under a name, as text; null when there is nothing. */
  accountData(address: string, name: string): Promise<AtLedger<string | null>>;
  /** Null when there is no trustline. Amounts in stroops. */
  trustline(
    address: string,
    asset: Asset,
  ): Promise<AtLedger<{ balance: bigint; limit: bigint; authorized: boolean } | null>>;
  /** Balance of any G… or C… address in stroops; 0 when it has none. */
  assetBalance(address: string, asset: Asset): Promise<AtLedger<bigint>>;
  /** The stored escrow struct of a contract as base64 ScVal XDR, read from contract storage; null when it has none. */
  escrowState(contractId: string): Promise<AtLedger<string | null>>;
  /** Hash (hex) of the WASM a contract runs; null when there is no contract, or one without code of its own. */
  contractCode(contractId: string): Promise<AtLedger<string | null>>;
  /** Executes an unsigned transaction of one contract call without effect. */
  simulate(envelope: string): Promise<Simulation>;
  submit(envelope: string): Promise<SubmitOutcome>;
  /** By outer or inner hash. */
  transaction(hash: string): Promise<TransactionOutcome>;
}

/** An ascending cursor older than `oldestLedger` jumps silently (F29). */
export interface HistoryHead extends Head {
  /** unix seconds */
  readonly latestClosedAt: number;
}

/** A landed transaction as its source account's history lists it. */
export interface SourceTransaction {
  /** of the inner transaction, if it was fee-bumped: the hash by which ours are known */
  readonly hash: string;
  readonly sequence: bigint;
  readonly ledger: number;
  readonly successful: boolean;
  /** ISO time of the ledger close */
  readonly closedAt: string;
  /** every address, contract and text that the transaction names, once each */
  readonly names: readonly string[];
}

export interface ChainHistory {
  head(): Promise<HistoryHead>;
  /** By outer or inner hash; absent as of a ledger that was there before it was looked for. */
  transaction(hash: string): Promise<TransactionOutcome>;
  /** Cursor of the newest ledger: what a wallet is born with. */
  nowCursor(): Promise<string>;
  /**
   * Movements after `cursor`, ascending, at most `limit` operations; of one account, or of the whole network.
   * `cursor` in the answer is that of the last *operation* seen, also when none of them moved anything.
   * `complete` = fewer than `limit` operations were there.
   */
  movements(query: {
    account?: string;
    cursor: string;
    limit: number;
    signal?: AbortSignal;
  }): Promise<{ movements: Movement[]; cursor: string; complete: boolean }>;
  /**
   * Transactions that used a sequence number of the account above `after`, newest first; failed ones too.
   * Asks page by page until it is there or the provider's history ends.
   */
  transactionsOf(source: string, after: bigint): Promise<SourceTransaction[]>;
  /** Resolves when something after `cursor` may be there (server-sent event), or after `holdMs`. */
  waitForMovement(query: { account?: string; cursor: string; holdMs: number; signal: AbortSignal }): Promise<void>;
}
