/**
 * The order's row as activities write it: locked, compared, changed, and every change leaves its events in the same
 * transaction. Only the order workflow's activities come here (one writer per row).
 */
import { activityInfo } from '@temporalio/activity';
import { type RawBuilder, sql } from 'kysely';
import { type EventInput, recordChange } from '../../db/events.ts';
import { type OrderResource, changeOrderQuietly, changedOrder, orderResource } from '../../db/resources/order.ts';
import type { Sql } from '../../db/sql.ts';
import type { EventType } from '../../domain/events/index.ts';
import { allowedVerbs, refusal, transitionOf } from '../../domain/order/machine.ts';
import type { EscrowWallets, OperationView, OrderState } from '../../domain/order/shapes.ts';
import { REASON_TABLE, type Reason } from '../../domain/reasons.ts';
import type {
  DueAction,
  EscrowStatus,
  FinalStatus,
  OrderStatus,
  OrderVerb,
  Reservation,
  WaitingFor,
} from '../../domain/statuses.ts';
import { refuse } from '../failure.ts';

export interface EscrowRecord {
  readonly id: string;
  readonly contractId: string | null;
  readonly wallets: EscrowWallets | null;
  /** stroops */
  readonly amount: bigint;
  readonly asset: string;
  readonly platformFeeBps: number;
}

export interface OrderRow {
  readonly id: string;
  readonly marketplaceId: string;
  readonly buyerId: string;
  readonly sellerId: string;
  /** stroops */
  readonly amount: bigint;
  readonly asset: string;
  readonly title: string;
  readonly description: string | null;
  readonly platformFeeBps: number;
  readonly auto: boolean;
  readonly status: OrderStatus;
  readonly reservation: Reservation | null;
  readonly waitingFor: WaitingFor | null;
  readonly operation: OperationView | null;
  readonly deadlines: { readonly funding: string | null; readonly inspection: string | null };
  readonly dueTimes: Record<string, string>;
  readonly dueAt: Date | null;
  readonly dueAction: DueAction | null;
  readonly deliveredAt: Date | null;
  readonly approvedAt: Date | null;
  /** null before the verb `escrow` */
  readonly escrow: EscrowRecord | null;
}

/** What every verb brings along from its caller. */
export interface OperationInput {
  readonly order_id: string;
  readonly operation_id: string;
  readonly cause: 'API' | 'AUTO' | 'DEADLINE';
  readonly request_id: string | null;
  readonly actor: string | null;
  readonly reason: string | null;
}

type Raw = Omit<OrderRow, 'amount' | 'escrow'> & {
  amount: string;
  escrow: (Omit<EscrowRecord, 'amount'> & { amount: string }) | null;
};

const SELECT = sql`
  select o.id, o.marketplace_id as "marketplaceId", o.buyer_id as "buyerId", o.seller_id as "sellerId", o.amount, o.asset,
    o.title, o.description, o.platform_fee_bps as "platformFeeBps", o.auto, o.status, o.reservation,
    o.waiting_for as "waitingFor", o.operation, o.deadlines, o.due_times as "dueTimes", o.due_at as "dueAt",
    o.due_action as "dueAction", o.delivered_at as "deliveredAt", o.approved_at as "approvedAt",
    (select json_build_object('id', e.id, 'contractId', e.contract_id, 'wallets', e.wallets, 'amount', e.amount::text,
      'asset', e.asset, 'platformFeeBps', e.platform_fee_bps) from escrows e where e.order_id = o.id) as escrow
  from orders o`;

/** Whoever locks it writes it. @throws ApplicationFailure NOT_FOUND: an order workflow without its row is over */
export const lockOrder = (trx: Sql, orderId: string): Promise<OrderRow> => select(trx, orderId, sql`for update`);

/** For looking only. @throws ApplicationFailure NOT_FOUND */
export const readOrder = (db: Sql, orderId: string): Promise<OrderRow> => select(db, orderId, sql``);

async function select(db: Sql, orderId: string, lock: RawBuilder<unknown>): Promise<OrderRow> {
  const { rows } = await sql<Raw>`${SELECT} where o.id = ${orderId} ${lock}`.execute(db);
  const row = rows[0];
  if (row === undefined) throw refuse('NOT_FOUND', `order ${orderId} does not exist`);
  return {
    ...row,
    amount: BigInt(row.amount),
    dueAt: asDate(row.dueAt),
    deliveredAt: asDate(row.deliveredAt),
    approvedAt: asDate(row.approvedAt),
    escrow: row.escrow && { ...row.escrow, amount: BigInt(row.escrow.amount) },
  };
}

/** @throws ApplicationFailure INVALID_STATE when there is none yet */
export function escrowOf({ id, escrow }: OrderRow): EscrowRecord {
  if (escrow === null) throw refuse('INVALID_STATE', `order ${id} has no escrow`);
  return escrow;
}

const asDate = (value: Date | string | null): Date | null => (value === null ? null : new Date(value));

export function stateOf(order: OrderRow): OrderState {
  const { operation, dueAt, dueAction } = order;
  return {
    status: order.status,
    auto: order.auto,
    delivered: order.deliveredAt !== null,
    approved: order.approvedAt !== null,
    waiting_for: order.waitingFor,
    operation: operation === null ? null : { id: operation.id, verb: operation.verb, status: operation.status },
    due: dueAt === null || dueAction === null ? null : { action: dueAction, at: dueAt.toISOString() },
  };
}

/** The operation has run already: local activities do run twice after a crash. */
export const isRepeat = (order: OrderRow, operationId: string): boolean => order.operation?.id === operationId;

/** @throws ApplicationFailure INVALID_STATE when the row does not allow the verb now (F13) */
export function demand(order: OrderRow, verb: OrderVerb): NonNullable<ReturnType<typeof transitionOf>> {
  const view = { status: order.status, operation: order.operation, delivered: order.deliveredAt !== null };
  const transition = transitionOf(view, verb);
  if (transition !== null) return transition;
  throw refuse('INVALID_STATE', refusal(view, verb), {
    current_status: order.status,
    allowed: allowedVerbs(view),
    retryable: order.operation?.status === 'RUNNING',
  });
}

export interface OrderPatch {
  /** of the order's escrow */
  readonly escrowStatus?: EscrowStatus;
  readonly status?: OrderStatus;
  readonly finalStatus?: FinalStatus;
  readonly reservation?: Reservation | null;
  readonly waitingFor?: WaitingFor | null;
  readonly operation?: OperationView;
  readonly dueTimes?: Record<string, string>;
  readonly due?: { readonly at: Date; readonly action: DueAction } | null;
  readonly reservedAt?: Date;
  readonly fundedAt?: Date;
  readonly deliveredAt?: Date;
  readonly approvedAt?: Date;
  readonly closedAt?: Date;
}

export interface OrderEvent {
  readonly type: Extract<EventType, `order.${string}`>;
  readonly change?: unknown;
}

/** Who asked for it. */
interface Origin {
  readonly request_id: string | null;
  readonly actor: string | null;
}

/** What happens together with a change: events of the order, and of others that belong to it (`balance.*` of a user). */
interface Following {
  readonly events?: readonly OrderEvent[];
  readonly others?: readonly Pick<EventInput, 'type' | 'resource' | 'object' | 'change'>[];
}

/** Writes the patch with its events and hands back the state of the order then. */
export async function changeOrder(
  trx: Sql,
  order: OrderRow,
  patch: OrderPatch,
  origin: Origin,
  { events = [], others = [] }: Following = {},
): Promise<OrderState> {
  const change = { columns: columnsOf(patch), escrowStatus: patch.escrowStatus ?? null };
  if (events.length + others.length === 0) await changeOrderQuietly(trx, order.id, change);
  else await recordEvents(trx, order, await changedOrder(trx, order.id, change), origin, { events, others });
  const { due } = patch;
  return stateOf({
    ...order,
    status: patch.status ?? order.status,
    waitingFor: patch.waitingFor === undefined ? order.waitingFor : patch.waitingFor,
    operation: patch.operation ?? order.operation,
    deliveredAt: patch.deliveredAt ?? order.deliveredAt,
    approvedAt: patch.approvedAt ?? order.approvedAt,
    ...(due === undefined ? {} : { dueAt: due?.at ?? null, dueAction: due?.action ?? null }),
  });
}

/** The events of an order that was inserted just now. */
export async function recordCreation(trx: Sql, order: OrderRow, origin: Origin): Promise<void> {
  const events = [{ type: 'order.created' }] as const;
  await recordEvents(trx, order, await orderResource(trx, order.id), origin, { events });
}

const columnsOf = (patch: OrderPatch): Record<string, unknown> => ({
  status: patch.status,
  final_status: patch.finalStatus,
  reservation: patch.reservation,
  waiting_for: patch.waitingFor,
  operation: patch.operation === undefined ? undefined : JSON.stringify(patch.operation),
  due_times: patch.dueTimes === undefined ? undefined : JSON.stringify(patch.dueTimes),
  due_at: patch.due === undefined ? undefined : (patch.due?.at ?? null),
  due_action: patch.due === undefined ? undefined : (patch.due?.action ?? null),
  reserved_at: patch.reservedAt,
  funded_at: patch.fundedAt,
  delivered_at: patch.deliveredAt,
  approved_at: patch.approvedAt,
  closed_at: patch.closedAt,
});

async function recordEvents(
  trx: Sql,
  order: OrderRow,
  object: OrderResource,
  origin: Origin,
  { events = [], others = [] }: Following,
): Promise<void> {
  const common = {
    marketplaceId: order.marketplaceId,
    actor: origin.actor,
    requestId: origin.request_id,
    ...correlation(),
  };
  const own = events.map(({ type, change }) => ({
    type,
    resource: { type: 'order' as const, id: order.id },
    object,
    change: change ?? {},
    ...common,
  }));
  await recordChange(trx, {
    resourceId: order.id,
    events: [...own, ...others.map((other) => ({ ...other, ...common }))],
  });
}

/** The run that did it, for whoever follows an event back to the workflow. */
export function correlation(): { workflowId: string; runId: string } {
  const { workflowId, runId } = activityInfo().workflowExecution ?? { workflowId: '', runId: '' };
  return { workflowId, runId };
}

export function newOperation(input: OperationInput, verb: OrderVerb, at: Date): OperationView {
  return {
    id: input.operation_id,
    verb,
    cause: input.cause,
    status: 'RUNNING',
    step: null,
    transaction_hash: null,
    error: null,
    request_id: input.request_id,
    started_at: at.toISOString(),
    finished_at: null,
  };
}

/** A database-only verb: begun and done in one transaction. */
export function doneOperation(input: OperationInput, verb: OrderVerb, at: Date): OperationView {
  return { ...newOperation(input, verb, at), status: 'SUCCEEDED', step: 'booked', finished_at: at.toISOString() };
}

/** The problem that is stored with an operation that failed. */
export function storedProblem(
  reason: Reason,
  detail: string,
  of: { readonly orderId: string; readonly requestId: string | null },
): NonNullable<OperationView['error']> {
  const { title, status, retryable } = REASON_TABLE[reason];
  return {
    type: `/api/v1/docs/errors/${reason}`,
    title,
    status,
    detail,
    instance: `/api/v1/orders/${of.orderId}`,
    code: reason,
    request_id: of.requestId,
    retryable,
    errors: [],
  };
}
