/**
 * The shapes that the sandbox's parts share: ledger entries, the view that operations and contracts execute on, what a
 * closed ledger leaves behind, and the core as its HTTP faces see it. Amounts are bigint stroops everywhere.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { xdr } from '@stellar/stellar-sdk/base';

/** `native` or `CODE:ISSUER`. */
export type AssetId = string;

export interface AccountEntry {
  readonly id: string;
  balance: bigint;
  sequence: bigint;
  sequenceLedger: number;
  sequenceTime: number;
  subentries: number;
  sponsoring: number;
  sponsored: number;
  sponsor: string | null;
  flags: number;
  homeDomain: string;
  thresholds: { master: number; low: number; med: number; high: number };
  signers: { key: string; weight: number; sponsor: string | null }[];
  data: Record<string, { value: string; sponsor: string | null }>;
  lastModified: number;
}

export interface TrustlineEntry {
  readonly account: string;
  readonly asset: AssetId;
  balance: bigint;
  limit: bigint;
  /** 1 authorised, 2 may keep liabilities, 4 clawback enabled */
  flags: number;
  sponsor: string | null;
  lastModified: number;
}

/** Contract instance, contract data and the token balances of contracts. `key` and `value` are base64 ScVal XDR. */
export interface ContractDataEntry {
  readonly contract: string;
  readonly key: string;
  readonly durability: 'persistent' | 'temporary';
  value: string;
  liveUntil: number;
  lastModified: number;
}

/**
 * Ledger entries as one transaction sees them. Reads return private copies; a change becomes visible through `put`.
 * `fork` opens a nested view; `commit` writes its changes into the parent, dropping it undoes them.
 * `touched` is the footprint so far: keys read, written and found archived, as base64 LedgerKey XDR.
 */
export interface LedgerView {
  readonly sequence: number;
  readonly closeTime: number;
  readonly networkPassphrase: string;
  readonly baseReserve: bigint;
  account(id: string): AccountEntry | undefined;
  putAccount(entry: AccountEntry): void;
  deleteAccount(id: string): void;
  trustline(account: string, asset: AssetId): TrustlineEntry | undefined;
  putTrustline(entry: TrustlineEntry): void;
  deleteTrustline(account: string, asset: AssetId): void;
  contractData(contract: string, key: string): ContractDataEntry | undefined;
  putContractData(entry: ContractDataEntry): void;
  deleteContractData(contract: string, key: string): void;
  /** The asset whose Stellar Asset Contract has this address; every asset of the ledger has one, deployed or not. */
  assetOfContract(contract: string): AssetId | undefined;
  touched(): { read: string[]; written: string[]; archived: string[] };
  fork(): LedgerView;
  commit(): void;
}

/** An event a contract emitted; topics and data are ScVals. `contract` is a C… address. */
export interface EmittedEvent {
  readonly contract: string;
  readonly topics: xdr.ScVal[];
  readonly data: xdr.ScVal;
}

/** A genuine asset movement, as Horizon's `asset_balance_changes` and payments show it. */
export interface BalanceChange {
  readonly asset: AssetId;
  readonly type: 'transfer' | 'mint' | 'burn' | 'clawback';
  readonly from: string | null;
  readonly to: string | null;
  readonly amount: bigint;
  /** the 64-bit id of a muxed destination (M… address) */
  readonly toMuxedId?: bigint;
}

export interface InvokeFailure {
  readonly ok: false;
  /** the contract that raised it: `escrow`, `factory`, `sac` or `host` */
  readonly at: string;
  readonly code: number | null;
  readonly name: string | null;
  /** as the host prints it, e.g. `Error(Contract, #33)`, `Error(Storage, ExistingValue)` */
  readonly raw: string;
  readonly contract: string | null;
  /** what the host logged inside contracts: calls, returns, events, and the error with its number */
  readonly events: EmittedEvent[];
  /** the host's whole log: calls, returns, contract events and errors in order */
  readonly diagnostics?: readonly xdr.DiagnosticEvent[];
}

export interface InvokeSuccess {
  readonly ok: true;
  readonly result: xdr.ScVal;
  readonly events: EmittedEvent[];
  /** entries that were needed (mode `record`) or were given (mode `enforce`) */
  readonly auth: xdr.SorobanAuthorizationEntry[];
  readonly diagnostics?: readonly xdr.DiagnosticEvent[];
  /** hashes (hex) of the WASM that ran: code belongs to the footprint but is no entry of the view */
  readonly code?: readonly string[];
}

export type InvokeOutcome = InvokeSuccess | InvokeFailure;

/**
 * Executes one host function on a view (the caller forks and commits or drops it).
 * `record` collects the authorisation it needs; `enforce` demands it among `auth` (signatures of address credentials
 * included) or as the source account's.
 */
export type InvokeHostFunction = (
  view: LedgerView,
  call: {
    readonly hostFunction: xdr.HostFunction;
    readonly source: string;
    readonly mode: 'record' | 'enforce';
    readonly auth: readonly xdr.SorobanAuthorizationEntry[];
    /** kind of the credentials that `record` produces for addresses other than the source; default `addressV2` */
    readonly credentials?: 'address' | 'addressV2';
  },
) => InvokeOutcome;

/** An account or a trustline before and after an operation; undefined is one that did not or does not exist. */
export type EntryChange =
  | { readonly kind: 'account'; readonly before: AccountEntry | undefined; readonly after: AccountEntry | undefined }
  | {
      readonly kind: 'trustline';
      readonly before: TrustlineEntry | undefined;
      readonly after: TrustlineEntry | undefined;
    };

export interface OperationRecord {
  /** TOID: ledger<<32 | tx order<<12 | operation index (1-based) */
  readonly id: bigint;
  readonly index: number;
  readonly source: string;
  /** as XDR names it: `payment`, `createAccount`, `invokeHostFunction` … */
  readonly type: string;
  /** the operation as it stood in the envelope, base64 Operation XDR */
  readonly xdr: string;
  readonly successful: boolean;
  /** every account whose entries it changed or that its movements name */
  readonly participants: string[];
  readonly changes: BalanceChange[];
  /** what it made of accounts and trustlines, if it did more than move money */
  readonly entries: readonly EntryChange[];
  /** contract events of this operation, and the classic movements as CAP-67 events */
  readonly events: EmittedEvent[];
}

export interface TransactionRecord {
  /** outer hash: the fee bump's, if it is one */
  readonly hash: string;
  readonly innerHash: string | null;
  readonly ledger: number;
  /** 1-based position within the ledger */
  readonly order: number;
  readonly closedAt: number;
  readonly successful: boolean;
  readonly envelopeXdr: string;
  readonly resultXdr: string;
  readonly returnValue: string | null;
  readonly feeCharged: bigint;
  readonly operations: OperationRecord[];
  /** source and fee payer */
  readonly accounts: string[];
  readonly diagnostics: EmittedEvent[];
}

export interface LedgerRecord {
  readonly sequence: number;
  readonly hash: string;
  readonly previousHash: string;
  /** unix seconds */
  readonly closedAt: number;
  readonly transactions: TransactionRecord[];
}

export type SubmitResult =
  | { readonly status: 'PENDING' | 'DUPLICATE' | 'TRY_AGAIN_LATER'; readonly hash: string }
  | {
      readonly status: 'ERROR';
      readonly hash: string;
      readonly errorResultXdr: string;
      readonly diagnostics: EmittedEvent[];
    };

/** The ledger core as Horizon, RPC, Trustless Work and the control API see it. */
export interface Core {
  readonly networkPassphrase: string;
  /** Decodes, checks in core's order and queues. Throws on undecodable XDR. */
  submit(envelopeXdr: string): SubmitResult;
  /** Closes one ledger now; all faces see it whole or not at all. */
  closeLedger(): LedgerRecord;
  /** A throw-away view of the state after the latest closed ledger, e.g. to simulate on. */
  view(): LedgerView;
  latest(): LedgerRecord;
  /** The oldest ledger still served (retention); older history is gone for the faces. */
  oldest(): number;
  ledger(sequence: number): LedgerRecord | undefined;
  /** By outer or inner hash. */
  transaction(hash: string): TransactionRecord | undefined;
  /** Called after every closed ledger; returns the unsubscribe function. */
  onClose(listener: (ledger: LedgerRecord) => void): () => void;
}

/**
 * One HTTP face, mounted by the server under `prefix` (`/rpc`, `/horizon` …). `path` is what follows the prefix, with
 * its leading slash and without the query. Rejections become a plain 500.
 */
export interface Face {
  readonly prefix: string;
  handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<void>;
  /** Ends streams and timers the face holds. */
  close?(): void;
}
