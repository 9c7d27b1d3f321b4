/**
 * The order's row as activities write it: locked, compared, changed, and every change leaves its events in the same
 * transaction. Only the order workflow's activities come here (one writer per row).
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { type EventInput, recordChange } from '../../db/events.ts';
import { type OrderResource, changeOrderQuietly, changedOrder, orderResource } from '../../db/resources/order.ts';
import { iso } from '../../db/resources/select.ts';
import type { Sql } from '../../db/sql.ts';
import type { EventType } from '../../domain/events/index.ts';
import { type DeadlineTerms, type DueTimes, nextDue, shownDue } from '../../domain/order/deadlines.ts';
import { type OrderView, allowedVerbs, refusal, transitionOf } from '../../domain/order/machine.ts';
import { wholePart } from '../../domain/order/milestones.ts';
import type { EscrowWallets, OperationTask, OperationView, OrderState } from '../../domain/order/shapes.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { Repair } from '../../domain/repairs.ts';
import type {
  DueAction,
  EscrowStatus,
  FinalStatus,
  MilestoneStatus,
  OrderStatus,
  OrderVerb,
  Reservation,
  WaitingFor,
} from '../../domain/statuses.ts';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import { refuse } from '../failure.ts';
import { problemOf } from '../problem.ts';
import { openSurplus } from '../surplus/opening.ts';
import { type Diversion, divertedTarget, diversionsOf } from './diversions.ts';

export interface EscrowRecord {
  readonly id: string;
  readonly contractId: string | null;
  readonly wallets: EscrowWallets | null;
  /** stroops */
  readonly amount: bigint;
  readonly asset: string;
  readonly platformFeeBps: number;
}

/** A milestone, or the one part of an order without. */
export interface Part {
  /** null: the order has no milestones */
  readonly index: number | null;
  readonly ref: string | null;
  readonly title: string;
  /** stroops */
  readonly amount: bigint;
  readonly sellerId: string;
  readonly status: MilestoneStatus;
  readonly approved: boolean;
  readonly completed: boolean;
  readonly disputeId: string | null;
  /** ISO; null when no inspection period runs */
  readonly inspectionDue: string | null;
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
  readonly finalStatus: FinalStatus | null;
  readonly reservation: Reservation | null;
  readonly waitingFor: WaitingFor | null;
  readonly operation: OperationView | null;
  readonly task: OperationTask | null;
  /** parts of which two persons decided that somebody else than its party is paid; of one party the last counts */
  readonly diversions: readonly Diversion[];
  /** the matter that parking the operation raised, while it is open */
  readonly parking: { readonly id: string; readonly repairs: readonly Repair[] } | null;
  readonly deadlines: DeadlineTerms;
  readonly dueTimes: DueTimes;
  readonly dueAt: Date | null;
  readonly dueAction: DueAction | null;
  readonly deliveredAt: Date | null;
  readonly approvedAt: Date | null;
  /** null before the verb `escrow` */
  readonly escrow: EscrowRecord | null;
  readonly hasMilestones: boolean;
  /** at least one */
  readonly parts: readonly Part[];
  /** of the marketplace's test clock; 0 without one */
  readonly clockOffsetMs: number;
  /** the marketplace is paused: nothing is paid out, deadlines wait */
  readonly paused: boolean;
  /** when it was locked, or read, by the database's clock: seconds since 1970 */
  readonly asOf: number;
}

/** What every verb brings along from its caller. */
export interface OperationInput {
  readonly order_id: string;
  readonly operation_id: string;
  readonly cause: 'API' | 'AUTO' | 'DEADLINE';
  readonly request_id: string | null;
  readonly actor: string | null;
  readonly reason: string | null;
  /** by a deadline: the time that is over, ISO; one that was moved since is not */
  readonly deadline_at?: string;
}

type RawPart = Omit<Part, 'amount'> & { amount: string };
type Raw = Omit<OrderRow, 'amount' | 'escrow' | 'parts' | 'hasMilestones'> & {
  amount: string;
  escrow: (Omit<EscrowRecord, 'amount'> & { amount: string }) | null;
  milestones: RawPart[] | null;
};

const SELECT = sql`
  select o.id, o.marketplace_id as "marketplaceId", o.buyer_id as "buyerId", o.seller_id as "sellerId", o.amount, o.asset,
    o.title, o.description, o.platform_fee_bps as "platformFeeBps", o.auto, o.status, o.final_status as "finalStatus",
    o.reservation, o.waiting_for as "waitingFor", o.operation, o.operation_task as task, o.deadlines,
    o.due_times as "dueTimes", o.due_at as "dueAt", o.due_action as "dueAction", o.delivered_at as "deliveredAt",
    o.approved_at as "approvedAt",
    (select json_build_object('id', e.id, 'contractId', e.contract_id, 'wallets', e.wallets, 'amount', e.amount::text,
      'asset', e.asset, 'platformFeeBps', e.platform_fee_bps) from escrows e where e.order_id = o.id) as escrow,
    (select json_agg(json_build_object('index', m.index, 'ref', m.milestone_ref, 'title', m.title,
      'amount', m.amount::text, 'sellerId', m.seller_id, 'status', m.status, 'approved', m.approved_at is not null,
      'completed', m.completed_at is not null, 'disputeId', m.dispute_id,
      'inspectionDue', ${iso('m.inspection_due_at')}) order by m.index)
      from milestones m where m.order_id = o.id) as milestones,
    coalesce((select t.offset_ms from test_clocks t where t.marketplace_id = o.marketplace_id), 0)::float8
      as "clockOffsetMs",
    ${diversionsOf(sql`o.id`)} as diversions,
    (select json_build_object('id', a.id, 'repairs', a.allowed_repairs) from attention a where a.resource_id = o.id
      and a.cleared_at is null and a.detail->>'operation_id' = o.operation->>'id' limit 1) as parking,
    (select p.status = 'PAUSED' from marketplaces p where p.id = o.marketplace_id) as paused,
    extract(epoch from clock_timestamp())::float8 as "asOf"
  from orders o`;

/**
 * Whoever locks it writes it. Two statements: one that waits for the lock sees the milestones, the escrow and the time as of
 * before its wait. @throws ApplicationFailure NOT_FOUND: an order workflow without its row is over
 */
export async function lockOrder(trx: Sql, orderId: string): Promise<OrderRow> {
  await sql`select from orders where id = ${orderId} for update`.execute(trx);
  return readOrder(trx, orderId);
}

/** For looking only. @throws ApplicationFailure NOT_FOUND */
export async function readOrder(db: Sql, orderId: string): Promise<OrderRow> {
  const { rows } = await sql<Raw>`${SELECT} where o.id = ${orderId}`.execute(db);
  const row = rows[0];
  if (row === undefined) throw refuse('NOT_FOUND', `order ${orderId} does not exist`);
  const { milestones, ...order } = row;
  return withParts({
    ...order,
    amount: BigInt(order.amount),
    dueAt: asDate(order.dueAt),
    deliveredAt: asDate(order.deliveredAt),
    approvedAt: asDate(order.approvedAt),
    escrow: order.escrow && { ...order.escrow, amount: BigInt(order.escrow.amount) },
    hasMilestones: milestones !== null,
    parts: (milestones ?? []).map((milestone) => ({ ...milestone, amount: BigInt(milestone.amount) })),
  });
}

/** The one part of an order without milestones is the order itself. */
function withParts(order: OrderRow): OrderRow {
  if (order.hasMilestones) return order;
  const { amount, sellerId, title, deliveredAt, approvedAt, dueTimes } = order;
  const part: Part = {
    index: null,
    ref: null,
    title,
    amount,
    sellerId,
    status: wholePart({ status: order.status, finalStatus: order.finalStatus, delivered: deliveredAt !== null }),
    approved: approvedAt !== null,
    completed: deliveredAt !== null,
    disputeId: null,
    inspectionDue: deliveredAt === null ? null : (dueTimes.inspection ?? null),
  };
  return { ...order, parts: [part] };
}

/** Business time of the order: ahead of the clock where the marketplace tries out deadlines. Never the chain's time. */
export const orderTime = ({ clockOffsetMs }: Pick<OrderRow, 'clockOffsetMs'>): Date =>
  new Date(Date.now() + clockOffsetMs);

/** @throws ApplicationFailure INVALID_STATE when there is none yet */
export function escrowOf({ id, escrow }: OrderRow): EscrowRecord {
  if (escrow === null) throw refuse('INVALID_STATE', `order ${id} has no escrow`);
  return escrow;
}

const asDate = (value: Date | string | null): Date | null => (value === null ? null : new Date(value));

export function stateOf(order: OrderRow): OrderState {
  const { operation, task, parts, parking } = order;
  const targets = parts
    .filter(({ index }) => task?.parts.includes(index) === true)
    .map(({ index, approved }) => ({ index, approved, ...divertedTarget(order, index) }));
  return {
    status: order.status,
    auto: order.auto,
    parts: parts.map(({ status }) => status),
    hasMilestones: order.hasMilestones,
    waiting_for: order.waitingFor,
    operation: operation && {
      id: operation.id,
      verb: operation.verb,
      status: operation.status,
      targets,
      ...(operation.status === 'PARKED' ? { repairs: parking?.repairs ?? ['retry'] } : {}),
    },
    ...(order.escrow?.contractId == null ? {} : { contract_id: order.escrow.contractId }),
    due: nextDue(order),
    clock_offset_ms: order.clockOffsetMs,
    as_of: order.asOf,
  };
}

/** What the machine judges. Under the mutex and the row's lock nothing of another operation is given up. */
export const viewOf = ({ status, operation, parts, hasMilestones }: OrderRow): OrderView => ({
  status,
  operation,
  parts: parts.map((part) => part.status),
  hasMilestones,
  live: true,
});

/**
 * Whether a transaction of the order's own workflow, or of another one of the order, may land, with a signature that we
 * never saw if need be (handed out), or landed and is not booked. Under the row's lock and without the source account's
 * lease nothing is signed meanwhile.
 */
export async function mayLand(trx: Sql, orderId: string, workflowId = orderWorkflowId(orderId)): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from chain_transactions where order_id = ${orderId} and workflow_id = ${workflowId}
      and (status in ('SIGNED', 'SUBMITTED') or (status = 'CONFIRMED' and booked_at is null))) as found`.execute(trx);
  return rows[0]?.found === true;
}

/** The operation has run already: local activities do run twice after a crash. */
export const isRepeat = (order: OrderRow, operationId: string): boolean => order.operation?.id === operationId;

/** @throws ApplicationFailure INVALID_STATE when the row does not allow the verb now (F13) */
export function demand(order: OrderRow, verb: OrderVerb): NonNullable<ReturnType<typeof transitionOf>> {
  const view = viewOf(order);
  return transitionOf(view, verb) ?? refuseVerb(order, refusal(view, verb));
}

/** @throws ApplicationFailure INVALID_STATE with what is allowed instead */
export function refuseVerb(order: OrderRow, words: string): never {
  throw refuse('INVALID_STATE', words, {
    current_status: order.status,
    allowed: allowedVerbs(viewOf(order)),
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
  readonly task?: OperationTask;
  readonly dueTimes?: DueTimes;
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

/** Writes the patch, the next timer and the events, and hands back the state of the order then. */
export async function changeOrder(
  trx: Sql,
  order: OrderRow,
  patch: OrderPatch,
  origin: Origin,
  { events = [], others = [] }: Following = {},
): Promise<OrderState> {
  const { escrowStatus = null, ...fields } = patch;
  const changed = withParts({ ...order, ...given(fields) });
  const due = shownDue(changed);
  const change = {
    columns: { ...columnsOf(patch), due_at: due?.at ?? null, due_action: due?.action ?? null },
    escrowStatus,
  };
  if (events.length + others.length === 0) await changeOrderQuietly(trx, order.id, change);
  else await recordEvents(trx, order, await changedOrder(trx, order.id, change), origin, { events, others });
  const left =
    patch.status === 'CLOSED' && order.escrow !== null && (await openSurplus(trx, order.id, 'LEFT')) !== null;
  return { ...stateOf(changed), ...(left ? { surplus: true } : {}) };
}

/** A patch without what it leaves as it is. */
const given = <T extends object>(patch: T): Partial<T> =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Partial<T>;

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
  operation_task: patch.task === undefined ? undefined : JSON.stringify(patch.task),
  due_times: patch.dueTimes === undefined ? undefined : JSON.stringify(patch.dueTimes),
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

/** The problem that is stored with an operation that failed. */
export const storedProblem = (
  reason: Reason,
  detail: string,
  of: { readonly orderId: string; readonly requestId: string | null },
) => problemOf(reason, detail, { instance: `/api/v1/orders/${of.orderId}`, requestId: of.requestId });
