/**
 * Posting: the one way money moves in the books. A batch of transfers goes to the database's `ledger_post` function in a
 * single round trip, on the caller's open transaction: rows, events and money commit together (F37).
 */
import { type RawBuilder, sql } from 'kysely';

/** The connection of the caller's open transaction: see `inTransaction`. */
export type Sql = Parameters<RawBuilder<unknown>['execute']>[0];

export type AccountKind =
  | 'custody.wallet'
  | 'custody.contract'
  | 'user.funds'
  | 'order.escrow'
  | 'platform.fees'
  | 'platform.equity'
  | 'external'
  | 'suspense';

/** An account by its natural key within the batch's marketplace; it is opened by its first transfer. */
export interface AccountRef {
  readonly kind: AccountKind;
  readonly ownerId: string;
  /** asset code, e.g. `USDC` */
  readonly asset: string;
  /** no counter row in the hot path (F38); decided when the account is opened */
  readonly hot?: true;
}

export type TransferCode =
  | 'DEPOSIT'
  | 'RESERVATION'
  | 'FUNDING'
  | 'PAYOUT'
  | 'TOP_UP'
  | 'WITHDRAWAL'
  | 'ADJUSTMENT'
  /** the custody leg of a withdrawal or an adjustment */
  | 'PAYMENT'
  | 'UNEXPLAINED';

/** What a transfer belongs to, e.g. `{ type: 'order', id: 'ord_…' }`. */
export interface Resource {
  readonly type: string;
  readonly id: string;
}

/** Where on chain it happened; every posted custody transfer carries it (L6). */
export interface ChainRef {
  readonly transactionHash: string;
  /** number of the ledger that closed it */
  readonly ledgerSeq: number;
}

export type Transfer =
  | {
      readonly kind: 'POSTED' | 'PENDING';
      readonly debit: AccountRef;
      readonly credit: AccountRef;
      /** stroops, > 0 */
      readonly amount: bigint;
      readonly code: TransferCode;
      readonly resource: Resource;
      readonly chain?: ChainRef;
      readonly milestoneIndex?: number;
    }
  | {
      /** settles the open pending transfer of this resource and code, in full */
      readonly kind: 'POST' | 'VOID';
      readonly pending: { readonly code: TransferCode; readonly resource: Resource };
      readonly code: TransferCode;
      readonly chain?: ChainRef;
    };

/**
 * What makes a booking repeatable: the same key finds the same batch, a key with another `updateId` is a new attempt
 * (the database allots its generation).
 */
export interface StepKey {
  readonly workflowId: string;
  readonly step: string;
  readonly updateId?: string;
}

export interface Batch {
  readonly key: StepKey;
  readonly marketplaceId: string;
  readonly transfers: readonly Transfer[];
}

export interface Posted {
  /** attempt number of this workflow step, from 1 */
  readonly generation: number;
  /** true when the batch was in the books already and nothing was written */
  readonly replayed: boolean;
  /** one id per transfer of the batch, in order, also for settlements that had nothing to void */
  readonly transferIds: readonly string[];
}

type LedgerReason =
  | 'INSUFFICIENT_FUNDS'
  /** the key was used with other transfers */
  | 'CONTENT_DIFFERS'
  /** POST without a pending transfer */
  | 'PENDING_NOT_FOUND'
  /** it was posted or voided before */
  | 'PENDING_SETTLED'
  /** the resource holds an open pending transfer of this code already */
  | 'PENDING_EXISTS'
  /** amount, accounts or isolation level are not what the ledger takes */
  | 'INVALID';

/** The batch was refused and nothing was written; the transaction it ran in must be rolled back. */
export class LedgerError extends Error {
  override readonly name: string = 'LedgerError';
  readonly reason: LedgerReason;
  constructor(reason: LedgerReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** An account would fall below zero, pending outflow included (L3). For a reservation `accountKind` is `user.funds`. */
export class InsufficientFunds extends LedgerError {
  override readonly name = 'InsufficientFunds';
  readonly accountKind: AccountKind;
  constructor(accountKind: AccountKind, cause?: unknown) {
    super('INSUFFICIENT_FUNDS', `insufficient funds on ${accountKind}`, cause);
    this.accountKind = accountKind;
  }
}

/** SQLSTATEs of `ledger_post`. */
const REASON_BY_SQLSTATE: Readonly<Record<string, LedgerReason>> = {
  LD002: 'CONTENT_DIFFERS',
  LD003: 'PENDING_NOT_FOUND',
  LD004: 'PENDING_SETTLED',
  LD005: 'PENDING_EXISTS',
  LD006: 'INVALID',
  // numeric_value_out_of_range: more than the network can express
  '22003': 'INVALID',
};

const CHECK_VIOLATION = '23514';

const FLOOR_CONSTRAINT = /^ledger_floor_([a-z]+)_([a-z]+)$/;

/** The ledger's refusal in a database error, or null when it is something else. */
function refusalOf(error: unknown): LedgerError | null {
  if (!(error instanceof Error)) return null;
  const { code, constraint, table } = error as Error & Partial<Record<'code' | 'constraint' | 'table', string>>;
  const floor = FLOOR_CONSTRAINT.exec(constraint ?? '');
  if (floor !== null) return new InsufficientFunds(`${floor[1]}.${floor[2]}` as AccountKind, error);
  const broken = code === CHECK_VIOLATION && table?.startsWith('ledger_') === true;
  const reason = broken ? 'INVALID' : REASON_BY_SQLSTATE[code ?? ''];
  return reason === undefined ? null : new LedgerError(reason, error.message, error);
}

const account = (ref: AccountRef) => ({ kind: ref.kind, owner: ref.ownerId, asset: ref.asset, hot: ref.hot ?? false });

/** A transfer as `ledger_post` reads it: amounts as decimal text, because a JSON number would lose stroops (F26). */
function wire(transfer: Transfer): Record<string, unknown> {
  const chain = { hash: transfer.chain?.transactionHash, ledger: transfer.chain?.ledgerSeq };
  if ('pending' in transfer) {
    const { code, resource } = transfer.pending;
    return { kind: transfer.kind, code: transfer.code, pending: code, resource, ...chain };
  }
  return {
    kind: transfer.kind,
    code: transfer.code,
    resource: transfer.resource,
    debit: account(transfer.debit),
    credit: account(transfer.credit),
    amount: transfer.amount.toString(),
    milestone: transfer.milestoneIndex,
    ...chain,
  };
}

/**
 * Posts a batch: all of it or nothing, idempotent by its key. A key that is in the books already is answered from there
 * before any status is looked at.
 * @throws {@link InsufficientFunds} and {@link LedgerError}; the transaction is then aborted, nothing of it is kept
 */
export async function post(trx: Sql, batch: Batch): Promise<Posted> {
  const { workflowId, step, updateId = '' } = batch.key;
  const transfers = JSON.stringify(batch.transfers.map(wire));
  const query = sql<{ generation: number; replayed: boolean; transfer_ids: string[] }>`
    select * from ledger_post(${workflowId}, ${step}, ${updateId}, ${batch.marketplaceId}, ${transfers}::jsonb)`;
  try {
    const row = (await query.execute(trx)).rows[0];
    if (row === undefined) throw new Error('ledger_post gave no row');
    return { generation: row.generation, replayed: row.replayed, transferIds: row.transfer_ids };
  } catch (error) {
    throw refusalOf(error) ?? error;
  }
}
