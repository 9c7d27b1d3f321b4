/** Orders as the API shows them, each in one statement. */
import { type RawBuilder, sql } from 'kysely';
import { type OrderView, allowedVerbs } from '../../domain/order/machine.ts';
import { wholePart } from '../../domain/order/milestones.ts';
import type { OrderResource } from '../../domain/resources/order.ts';
import type { EscrowStatus, OrderStatus, WaitingFor } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import {
  type CreatedBetween,
  type Page,
  type PageRequest,
  allOf,
  amountText,
  attentionOf,
  beyond,
  createdBetween,
  iso,
  metadataHas,
  newestFirst,
  only,
  pageOf,
} from './select.ts';

export type { OrderResource };

/** The row as selected: the resource, but amounts still in stroops and `allowed` not yet known. */
type Selected = Omit<OrderResource, 'allowed' | 'due'> & {
  due_at: string | null;
  due_action: NonNullable<OrderResource['due']>['action'] | null;
  live: boolean;
};

const ESCROW = sql`(select json_build_object('id', e.id, 'type', e.type, 'status', e.status,
    'contract_id', e.contract_id, 'amount', e.amount::text)
  from escrows e where e.order_id = o.id)`;

const MILESTONES = sql`(select coalesce(json_agg(json_build_object('milestone_ref', m.milestone_ref, 'index', m.index,
    'title', m.title, 'amount', m.amount::text, 'seller_id', m.seller_id, 'status', m.status,
    'dispute_id', m.dispute_id, 'completed_at', ${iso('m.completed_at')}, 'settled_at', ${iso('m.settled_at')})
    order by m.index), '[]')
  from milestones m where m.order_id = o.id)`;

const SETTLEMENTS = sql`(select coalesce(json_agg(json_build_object('user_id', s.user_id, 'party', s.party,
    'milestone_ref', s.milestone_ref, 'gross', s.gross::text, 'protocol_fee', s.protocol_fee::text,
    'platform_fee', s.platform_fee::text, 'net', s.net::text, 'transaction_hash', s.transaction_hash,
    'ledger', s.ledger) order by s.ledger, s.transaction_hash, s.ordinal), '[]')
  from settlements s where s.order_id = o.id)`;

const DISPUTES = sql`(select coalesce(json_agg(d.id order by d.created_at, d.id), '[]')
  from disputes d where d.order_id = o.id)`;

/** Whether what could else be given up cannot: an envelope may land, or waits to be booked, or it is parked on more. */
const LIVE = sql`(o.operation->>'status' in ('RUNNING', 'PARKED') and o.operation->>'verb' in ('escrow', 'fund')
    and (exists (select from chain_transactions t where t.order_id = o.id
        and (t.status in ('SIGNED', 'SUBMITTED') or (t.status = 'CONFIRMED' and t.booked_at is null)))
      or (o.operation->>'status' = 'PARKED' and not exists (select from attention a where a.resource_id = o.id
        and a.cleared_at is null and a.detail->>'operation_id' = o.operation->>'id'
        and 'give_up' = any(a.allowed_repairs)))))`;

const select = (where: RawBuilder<unknown>, rest?: RawBuilder<unknown>) => selectFrom(sql`orders`, where, rest);

const selectFrom = (
  source: RawBuilder<unknown>,
  where: RawBuilder<unknown>,
  rest: RawBuilder<unknown> = sql``,
) => sql<Selected>`
  select o.id, o.client_order_ref, o.buyer_id, o.seller_id, o.amount::text as amount, o.asset, o.title, o.description,
    o.platform_fee_bps, o.auto, o.status, o.final_status, o.reservation, coalesce(c.version, 0) as version,
    o.waiting_for, o.operation, ${ESCROW} as escrow, ${MILESTONES} as milestones, o.deadlines,
    ${iso('o.due_at')} as due_at, o.due_action, ${SETTLEMENTS} as settlements,
    ${DISPUTES} as dispute_ids, ${attentionOf('o')} as attention, o.metadata,
    ${iso('o.created_at')} as created_at, ${iso('o.updated_at')} as updated_at, ${iso('o.reserved_at')} as reserved_at,
    ${iso('o.funded_at')} as funded_at, ${iso('o.delivered_at')} as delivered_at, ${iso('o.closed_at')} as closed_at,
    ${LIVE} as live
  from ${source} o left join resource_counters c on c.resource_id = o.id
  where ${where} ${rest}`;

/** What the machine judges, from the order as it is shown; `live` is not shown. */
export function orderView(
  order: Pick<OrderResource, 'status' | 'final_status' | 'operation' | 'milestones' | 'delivered_at'>,
  live = true,
): OrderView {
  const { status, operation, milestones } = order;
  const hasMilestones = milestones.length > 0;
  const parts = hasMilestones
    ? milestones.map((milestone) => milestone.status)
    : [wholePart({ status, finalStatus: order.final_status, delivered: order.delivered_at !== null })];
  return { status, operation, parts, hasMilestones, live };
}

function toResource({ due_at, due_action, live, ...row }: Selected): OrderResource {
  return {
    ...row,
    amount: amountText(row.amount),
    allowed: allowedVerbs(orderView(row, live)),
    escrow: row.escrow && { ...row.escrow, amount: amountText(row.escrow.amount) },
    milestones: row.milestones.map((milestone) => ({ ...milestone, amount: amountText(milestone.amount) })),
    due: due_at === null || due_action === null ? null : { at: due_at, action: due_action },
    settlements: row.settlements.map((settlement) => ({
      ...settlement,
      gross: amountText(settlement.gross),
      protocol_fee: amountText(settlement.protocol_fee),
      platform_fee: amountText(settlement.platform_fee),
      net: amountText(settlement.net),
    })),
  };
}

/**
 * The order as GET shows it now, in this transaction; for writers of events.
 * @throws Error when there is no such order
 */
export async function orderResource(trx: Sql, orderId: string): Promise<OrderResource> {
  const row = (await select(sql`o.id = ${orderId}`).execute(trx)).rows[0];
  if (row === undefined) throw new Error(`no order ${orderId}`);
  return toResource(row);
}

/** Columns to write, with the escrow's status; `undefined` leaves a column as it is. */
interface OrderColumns {
  readonly columns: Readonly<Record<string, unknown>>;
  readonly escrowStatus: EscrowStatus | null;
}

/** Parts of a `with`: `changed` is the order's row as written. */
function written(orderId: string, { columns, escrowStatus }: OrderColumns): RawBuilder<unknown> {
  const assignments = Object.entries(columns)
    .filter(([, value]) => value !== undefined)
    .map(([column, value]) => sql`${sql.ref(column)} = ${value}`);
  return sql`changed as (
      update orders set ${sql.join([...assignments, sql`updated_at = marketplace_now(marketplace_id)`])} where id = ${orderId} returning *
    ), escrowed as (
      update escrows set status = ${escrowStatus}, updated_at = now()
      where order_id = ${orderId} and ${escrowStatus}::text is not null
    )`;
}

/** Writes, in one statement, and hands back the order as GET shows it then, but for the version: its events follow. */
export async function changedOrder(trx: Sql, orderId: string, change: OrderColumns): Promise<OrderResource> {
  const { rows } = await sql<Selected>`
    with ${written(orderId, change)} ${selectFrom(sql`changed`, sql`true`)}`.execute(trx);
  if (rows[0] === undefined) throw new Error(`no order ${orderId}`);
  const order = toResource(rows[0]);
  // What a statement writes elsewhere it does not see itself.
  return change.escrowStatus === null || order.escrow === null
    ? order
    : { ...order, escrow: { ...order.escrow, status: change.escrowStatus } };
}

/** Writes a change that sends no event: the version grows by one, all in one statement. */
export async function changeOrderQuietly(trx: Sql, orderId: string, change: OrderColumns): Promise<void> {
  await sql`
    with ${written(orderId, change)}
    insert into resource_counters as c (resource_id, version, sequence) select id, 1, 0 from changed
    on conflict (resource_id) do update set version = c.version + 1`.execute(trx);
}

/** The order of this marketplace with this id, or null. */
export async function findOrder(db: Sql, marketplaceId: string, orderId: string): Promise<OrderResource | null> {
  const row = (await select(sql`o.id = ${orderId} and o.marketplace_id = ${marketplaceId}`).execute(db)).rows[0];
  return row === undefined ? null : toResource(row);
}

/** The order made under a client reference, with the hash of the body it was made from. */
export async function findOrderByRef(
  db: Sql,
  marketplaceId: string,
  clientOrderRef: string,
): Promise<{ id: string; bodyHash: string } | null> {
  const { rows } = await sql<{ id: string; body_hash: string }>`select id, body_hash from orders
    where marketplace_id = ${marketplaceId} and client_order_ref = ${clientOrderRef}`.execute(db);
  return rows[0] === undefined ? null : { id: rows[0].id, bodyHash: rows[0].body_hash };
}

/** What a caller that waits looks at again and again: the version, and the operation in brief. */
interface OrderProgress {
  readonly version: number;
  readonly operationId: string | null;
  readonly operationStatus: string | null;
}

export async function orderProgress(db: Sql, orderId: string): Promise<OrderProgress | null> {
  const { rows } = await sql<{ version: number; id: string | null; status: string | null }>`
    select coalesce(c.version, 0) as version, o.operation->>'id' as id, o.operation->>'status' as status
    from orders o left join resource_counters c on c.resource_id = o.id where o.id = ${orderId}`.execute(db);
  const row = rows[0];
  return row === undefined ? null : { version: row.version, operationId: row.id, operationStatus: row.status };
}

/** The query of the list, by its names on the wire. */
interface OrderQuery extends PageRequest, CreatedBetween {
  readonly client_order_ref?: string | undefined;
  readonly buyer_id?: string | undefined;
  readonly seller_id?: string | undefined;
  readonly status?: readonly OrderStatus[] | undefined;
  readonly attention?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Orders of a marketplace, newest first. */
export async function listOrders(db: Sql, marketplaceId: string, query: OrderQuery): Promise<Page<OrderResource>> {
  const attention = sql`exists (select from attention a where a.resource_id = o.id and a.cleared_at is null)`;
  const where = allOf([
    sql`o.marketplace_id = ${marketplaceId}`,
    ...only('o.client_order_ref', query.client_order_ref),
    ...only('o.buyer_id', query.buyer_id),
    ...only('o.seller_id', query.seller_id),
    ...only('o.status', query.status),
    ...(query.attention === undefined ? [] : [query.attention ? attention : sql`not ${attention}`]),
    ...metadataHas('o', query.metadata),
    ...createdBetween('o', query),
    ...beyond('o', query.cursor),
  ]);
  const { rows } = await select(where, newestFirst('o', query.limit)).execute(db);
  return pageOf(rows.map(toResource), query.limit);
}

/** Ids of the marketplace's orders that are not closed; of those only that wait for this. */
export async function openOrders(
  db: Sql,
  marketplaceId: string,
  waitingFor: WaitingFor | null = null,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from orders where marketplace_id = ${marketplaceId} and status <> 'CLOSED'
      and (${waitingFor}::text is null or waiting_for = ${waitingFor}) order by id`.execute(db);
  return rows.map(({ id }) => id);
}
