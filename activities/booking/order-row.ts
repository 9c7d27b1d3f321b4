/**
 * The order's row as activities write it: locked, compared, changed, and every change leaves its events in the same
 * transaction. Only the order workflow's activities come here (one writer per row).
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { type EventInput, recordChange } from '../../db/events.ts';
import { orderResource } from '../../db/resources/order.ts';
import type { Sql } from '../../db/sql.ts';
import type { EventType } from '../../domain/events/index.ts';
import { allowedVerbs, refusal, transitionOf } from '../../domain/order/machine.ts';
import type { OperationView, OrderState } from '../../domain/order/shapes.ts';
import { REASON_TABLE, type Reason } from '../../domain/reasons.ts';
import type { DueAction, FinalStatus, OrderStatus, OrderVerb, Reservation, WaitingFor } from '../../domain/statuses.ts';
import { refuse } from '../failure.ts';

export interface LockedOrder {
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

/** @throws ApplicationFailure NOT_FOUND: an order workflow without its row is over */
export async function lockOrder(trx: Sql, orderId: string): Promise<LockedOrder> {
  const { rows } = await sql<Omit<LockedOrder, 'amount'> & { amount: string }>`
    select id, marketplace_id as "marketplaceId", buyer_id as "buyerId", seller_id as "sellerId", amount, asset, title,
      description, platform_fee_bps as "platformFeeBps", auto, status, reservation, waiting_for as "waitingFor",
      operation, deadlines, due_times as "dueTimes", due_at as "dueAt", due_action as "dueAction",
      delivered_at as "deliveredAt", approved_at as "approvedAt"
    from orders where id = ${orderId} for update`.execute(trx);
  const row = rows[0];
  if (row === undefined) throw refuse('NOT_FOUND', `order ${orderId} does not exist`);
  return {
    ...row,
    amount: BigInt(row.amount),
    dueAt: asDate(row.dueAt),
    deliveredAt: asDate(row.deliveredAt),
    approvedAt: asDate(row.approvedAt),
  };
}

const asDate = (value: Date | string | null): Date | null => (value === null ? null : new Date(value));

export function stateOf(order: LockedOrder): OrderState {
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
export const isRepeat = (order: LockedOrder, operationId: string): boolean => order.operation?.id === operationId;

/** @throws ApplicationFailure INVALID_STATE when the row does not allow the verb now (F13) */
export function demand(order: LockedOrder, verb: OrderVerb): NonNullable<ReturnType<typeof transitionOf>> {
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

/** Writes the patch and hands back the order as it stands then. */
export async function updateOrder(trx: Sql, order: LockedOrder, patch: OrderPatch): Promise<LockedOrder> {
  const columns: Record<string, unknown> = {
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
  };
  const assignments = Object.entries(columns)
    .filter(([, value]) => value !== undefined)
    .map(([column, value]) => sql`${sql.ref(column)} = ${value}`);
  await sql`update orders set ${sql.join([...assignments, sql`updated_at = now()`])} where id = ${order.id}`.execute(
    trx,
  );
  const { finalStatus: _final, due, reservedAt: _reserved, fundedAt: _funded, closedAt: _closed, ...same } = patch;
  return {
    ...order,
    ...same,
    ...(due === undefined ? {} : { dueAt: due?.at ?? null, dueAction: due?.action ?? null }),
  };
}

export interface OrderEvent {
  readonly type: Extract<EventType, `order.${string}`>;
  readonly change?: unknown;
}

/** Records a change of the order with its events, and events of others that belong to it (`balance.*` of a user). */
export async function recordOrderChange(
  trx: Sql,
  order: { readonly id: string; readonly marketplaceId: string },
  origin: { readonly request_id: string | null; readonly actor: string | null },
  events: readonly OrderEvent[],
  others: readonly Pick<EventInput, 'type' | 'resource' | 'object' | 'change'>[] = [],
): Promise<void> {
  const object = events.length === 0 ? null : await orderResource(trx, order.id);
  const common = {
    marketplaceId: order.marketplaceId,
    actor: origin.actor,
    requestId: origin.request_id,
    ...correlation(),
  };
  await recordChange(trx, {
    resourceId: order.id,
    events: [
      ...events.map(({ type, change }) => ({
        type,
        resource: { type: 'order' as const, id: order.id },
        object,
        change: change ?? {},
        ...common,
      })),
      ...others.map((other) => ({ ...other, ...common })),
    ],
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
export function storedProblem(reason: Reason, detail: string): NonNullable<OperationView['error']> {
  const { title, status, retryable } = REASON_TABLE[reason];
  return { type: `/api/v1/docs/errors/${reason}`, title, status, detail, code: reason, retryable };
}
