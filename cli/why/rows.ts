/** What our own rows know of a resource. */
import { type RawBuilder, sql } from 'kysely';
import { type Sql } from '../../db/sql.ts';
import { iso } from '../../db/resources/select.ts';
import type { Intent } from '../../domain/intents.ts';
import type { EscrowWallets, StoredProblem } from '../../domain/order/shapes.ts';
import type { Subject } from './subject.ts';

interface OperationRow {
  readonly id: string;
  readonly verb: string;
  readonly cause: string;
  readonly status: string;
  readonly step: string | null;
  readonly transaction_hash: string | null;
  readonly error: StoredProblem | null;
  readonly request_id: string | null;
}

export interface ResourceRow {
  readonly marketplace_id: string;
  /** of an order, or of the order that a dispute is about */
  readonly order_id: string | null;
  readonly status: string;
  readonly final_status: string | null;
  readonly waiting_for: string | null;
  readonly operation: OperationRow | null;
  readonly due_at: string | null;
  readonly due_action: string | null;
  readonly asset: string;
  /** account that a payment goes to; null unless its caller named one */
  readonly destination: string | null;
}

/** Null where a workflow has no such row (a wallet, the provisioner). */
export async function readResource(db: Sql, { type, id }: Subject): Promise<ResourceRow | null> {
  const select = SELECTS[type];
  if (select === undefined) return null;
  const { rows } = await sql<ResourceRow>`${select} where r.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

const PAYMENT = sql`
  select r.marketplace_id, null as order_id, r.status, null as final_status, null as waiting_for, r.operation,
    null as due_at, null as due_action, r.asset, r.destination ->> 'account' as destination from payments r`;
const SELECTS: Readonly<Record<string, RawBuilder<unknown>>> = {
  order: sql`
    select r.marketplace_id, r.id as order_id, r.status, r.final_status, r.waiting_for, r.operation,
      ${iso('r.due_at')} as due_at, r.due_action, r.asset, null as destination from orders r`,
  dispute: sql`
    select r.marketplace_id, r.order_id, r.status, r.decision as final_status, null as waiting_for, r.operation,
      ${iso('r.due_at')} as due_at, 'DISPUTE_DEFAULT' as due_action, r.asset, null as destination from disputes r`,
  withdrawal: PAYMENT,
  adjustment: PAYMENT,
};

export interface AttentionRow {
  readonly id: string;
  readonly reason: string;
  readonly since: string;
  readonly detail: unknown;
  readonly allowed_repairs: readonly string[];
}

/** Open items of the resource. */
export async function readAttention(db: Sql, { id }: Subject): Promise<AttentionRow[]> {
  const { rows } = await sql<AttentionRow>`
    select id, reason, ${iso('since')} as since, detail, allowed_repairs from attention
    where resource_id = ${id} and cleared_at is null order by attention.since, id`.execute(db);
  return rows;
}

export interface EscrowRow {
  readonly id: string;
  readonly type: 'SINGLE_RELEASE' | 'MULTI_RELEASE';
  readonly status: string;
  readonly gateway: string;
  readonly contract_id: string | null;
  readonly wallets: EscrowWallets;
  /** stroops in the contract by the books */
  readonly books: string;
}

export async function readEscrow(db: Sql, orderId: string): Promise<EscrowRow | null> {
  const { rows } = await sql<EscrowRow>`
    select e.id, e.type, e.status, e.gateway, e.contract_id, e.wallets, coalesce((
      select sum(b.debits_posted - b.credits_posted) from ledger_balances b
      where b.kind = 'custody.contract' and b.owner_id = e.id and b.asset = e.asset), 0)::text as books
    from escrows e where e.order_id = ${orderId}`.execute(db);
  return rows[0] ?? null;
}

export interface TransactionRow {
  readonly id: string;
  readonly step: string;
  readonly intent: Intent;
  readonly attempt: number;
  readonly status: string;
  readonly source: string;
  readonly sequence: string;
  /** unix seconds */
  readonly max_time: string;
  readonly unsigned_envelope: string;
  readonly inner_hash: string;
  readonly outer_hashes: readonly string[];
  readonly signed_ledger: number | null;
  readonly ledger: number | null;
  readonly result_xdr: string | null;
  readonly booked: boolean;
}

/** The latest of them: what a long life did before is in its timeline. */
const TRANSACTIONS_SHOWN = 20;

/** Of the workflow and, for an order, of its disputes; oldest first. */
export async function readTransactions(db: Sql, subject: Subject): Promise<TransactionRow[]> {
  const { rows } = await sql<TransactionRow>`
    select t.id, split_part(t.intent_key, '/', 3) as step, t.intent, t.attempt, t.status, t.source,
      t.sequence::text as sequence, t.max_time::text as max_time, t.unsigned_envelope, t.inner_hash,
      array(select e.outer_hash from chain_envelopes e where e.transaction_id = t.id order by e.created_at) as outer_hashes,
      t.signed_ledger, t.ledger, t.result_xdr, t.booked_at is not null as booked
    from chain_transactions t
    where t.workflow_id = ${subject.workflowId} or (${subject.type} = 'order' and t.order_id = ${subject.id})
    order by t.created_at desc, t.id desc limit ${TRANSACTIONS_SHOWN}`.execute(db);
  return rows.reverse();
}

export interface PendingTransfer {
  readonly code: string;
  /** stroops */
  readonly amount: string;
  readonly debit: string;
  readonly credit: string;
  readonly since: string;
}

/** Money that is held: neither posted nor voided yet. */
export async function readPending(db: Sql, ids: readonly string[]): Promise<PendingTransfer[]> {
  const { rows } = await sql<PendingTransfer>`
    select t.code, t.amount::text as amount, d.kind || ' ' || d.owner_id as debit, c.kind || ' ' || c.owner_id as credit,
      ${iso('t.created_at')} as since
    from ledger_transfers t
    join ledger_accounts d on d.id = t.debit_account join ledger_accounts c on c.id = t.credit_account
    where t.kind = 'PENDING' and t.resource_id = any(${[...ids]}::text[])
      and not exists (select from ledger_transfers s where s.pending_id = t.id)
    order by t.seq`.execute(db);
  return rows;
}
