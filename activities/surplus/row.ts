/**
 * The row of what is left in the contract of an order that is over. Whoever finds something opens it; from then on only
 * the surplus' own workflow writes it, under its lock.
 */
import { type RawBuilder, sql } from 'kysely';
import { recordChange } from '../../db/events.ts';
import { orderResource } from '../../db/resources/order.ts';
import type { Sql } from '../../db/sql.ts';
import type { EscrowWallets } from '../../domain/order/shapes.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { EscrowType } from '../../domain/chain.ts';
import { insertAttention } from '../attention.ts';
import { correlation } from '../booking/order-row.ts';
import { refuse } from '../failure.ts';

export interface SurplusRow {
  readonly escrowId: string;
  readonly orderId: string;
  readonly marketplaceId: string;
  readonly type: EscrowType;
  readonly asset: string;
  readonly contractId: string;
  readonly wallets: EscrowWallets;
  /** stroops that the matter is about; null without one */
  readonly amount: bigint | null;
  readonly attentionId: string | null;
  readonly approvalId: string | null;
  /** when something came in last: compared, never computed with */
  readonly seenAt: string;
}

type Raw = Omit<SurplusRow, 'amount'> & { readonly amount: string | null };

const SELECT = sql`
  select s.id as "escrowId", s.order_id as "orderId", s.marketplace_id as "marketplaceId", e.type, e.asset,
    e.contract_id as "contractId", e.wallets, s.amount::text as amount, s.attention_id as "attentionId",
    s.approval_id as "approvalId", s.seen_at::text as "seenAt"
  from surpluses s join escrows e on e.id = s.id`;

async function select(db: Sql, escrowId: string, lock: RawBuilder<unknown>): Promise<SurplusRow> {
  const { rows } = await sql<Raw>`${SELECT} where s.id = ${escrowId} ${lock}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw refuse('NOT_FOUND', `nothing was left in ${escrowId}`);
  return { ...row, amount: row.amount === null ? null : BigInt(row.amount) };
}

/** For looking only. @throws ApplicationFailure NOT_FOUND */
export const readSurplus = (db: Sql, escrowId: string): Promise<SurplusRow> => select(db, escrowId, sql``);

/** Whoever locks it writes it. @throws ApplicationFailure NOT_FOUND */
export const lockSurplus = (trx: Sql, escrowId: string): Promise<SurplusRow> =>
  select(trx, escrowId, sql`for update of s`);

/** Stroops in the contract by the books. */
export async function heldBy(db: Sql, { escrowId, asset }: Pick<SurplusRow, 'escrowId' | 'asset'>): Promise<bigint> {
  const { rows } = await sql<{ held: string }>`
    select coalesce(sum(debits_posted - credits_posted), 0)::text as held from ledger_accounts
    where owner_id = ${escrowId} and kind = 'custody.contract' and asset = ${asset}`.execute(db);
  return BigInt(rows[0]?.held ?? 0);
}

export interface Matter {
  readonly reason: Reason;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly repairs: readonly string[];
}

/** Shows the matter on the order and in the attention list. @returns its id */
export async function raiseMatter(
  trx: Sql,
  workflowId: string,
  { orderId, marketplaceId }: SurplusRow,
  { reason, detail, repairs }: Matter,
): Promise<string> {
  const since = new Date();
  const resource = { type: 'order', id: orderId };
  const matter = { marketplaceId, resource, workflowId, reason, detail, allowedRepairs: repairs, since };
  const id = await insertAttention(trx, matter);
  const attention = { id, reason, since: since.toISOString(), allowed_repairs: [...repairs] };
  await record(trx, { orderId, marketplaceId }, [{ type: 'order.attention_required', change: { attention } }]);
  return id;
}

/** Clears what the surplus' workflow has raised, but for one matter if need be. */
export async function clearMatters(
  trx: Sql,
  workflowId: string,
  surplus: SurplusRow,
  except: string | null = null,
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update attention set cleared_at = clock_timestamp()
    where resource_id = ${surplus.orderId} and workflow_id = ${workflowId} and cleared_at is null
      and id is distinct from ${except}
    returning id`.execute(trx);
  if (rows.length === 0) return;
  const events = rows.map(({ id }) => ({ type: 'order.attention_cleared' as const, change: { attention_id: id } }));
  await record(trx, surplus, events);
}

type Recorded =
  | { readonly type: 'order.attention_required'; readonly change: { readonly attention: unknown } }
  | { readonly type: 'order.attention_cleared'; readonly change: { readonly attention_id: string } };

async function record(
  trx: Sql,
  { orderId, marketplaceId }: Pick<SurplusRow, 'orderId' | 'marketplaceId'>,
  events: readonly Recorded[],
): Promise<void> {
  const object = await orderResource(trx, orderId);
  const common = { marketplaceId, resource: { type: 'order' as const, id: orderId }, object, ...correlation() };
  const inputs = events.map((event) => ({ ...common, ...event, actor: null, requestId: null }));
  await recordChange(trx, { resourceId: orderId, events: inputs });
}
