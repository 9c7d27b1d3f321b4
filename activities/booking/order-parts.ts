/**
 * The parts of an order (its milestones, or the order as a whole) as they move, and the order's status that follows from
 * them: rows, next timer and events, in the caller's transaction.
 */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import type { Evidence } from '../../domain/intents.ts';
import { derive, isSettled, mayFollow, takes } from '../../domain/order/milestones.ts';
import type { OperationView, OrderState } from '../../domain/order/shapes.ts';
import type { SettlementView } from '../../domain/resources/order.ts';
import type { EscrowStatus, MilestoneStatus, OrderStatus, OrderVerb } from '../../domain/statuses.ts';
import { addDuration } from '../durations.ts';
import { refuse } from '../failure.ts';
import {
  type OperationInput,
  type OrderEvent,
  type OrderPatch,
  type OrderRow,
  type Part,
  changeOrder,
  orderTime,
  refuseVerb,
} from './order-row.ts';
import type { balanceEvent } from './order-verbs.ts';

/**
 * The parts a verb is about, in the order of their index, however the caller named them: those it names, by a deadline those
 * whose time is over, else every one that can take it.
 * @throws ApplicationFailure INVALID_STATE when there is none, or a named one cannot take it
 */
export function demandTargets(
  order: OrderRow,
  verb: OrderVerb,
  { milestone_refs: refs = null, cause, deadline_at: deadlineAt }: TargetInput,
): Part[] {
  if (refs !== null) return refs.map((ref) => named(order, verb, ref)).sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
  const over = (at: string | null | undefined): boolean =>
    at != null && deadlineAt !== undefined && Date.parse(at) <= Date.parse(deadlineAt);
  const targets = order.parts.filter((part) => {
    if (!takes(verb, part.status)) return false;
    if (cause !== 'DEADLINE') return true;
    return verb === 'refund'
      ? part.status === 'OPEN' && over(order.dueTimes.delivery)
      : part.status === 'COMPLETED' && over(part.inspectionDue);
  });
  if (targets.length === 0) refuseVerb(order, `${verb}: there is nothing it could be about`);
  return targets;
}

type TargetInput = Pick<OperationInput, 'cause' | 'deadline_at'> & {
  readonly milestone_refs?: readonly string[] | null;
};

function named(order: OrderRow, verb: OrderVerb, ref: string): Part {
  const part = order.parts.find((candidate) => candidate.ref === ref);
  if (part === undefined) throw refuse('NOT_FOUND', `there is no milestone ${ref}`);
  if (!takes(verb, part.status)) refuseVerb(order, `${verb}: milestone ${ref} is ${part.status}`);
  return part;
}

/** Whether nothing is left when these parts are settled. */
export const settlesRest = (order: OrderRow, targets: readonly Part[]): boolean =>
  order.parts.every((part) => isSettled(part.status) || targets.some(({ index }) => index === part.index));

/** Where a part stands again when the dispute about it is withdrawn. */
export const restOf = ({ completed }: Part): MilestoneStatus => (completed ? 'COMPLETED' : 'OPEN');

export interface PartMoved {
  readonly index: number | null;
  readonly status: MilestoneStatus;
  /** DISPUTED: the dispute it is in now */
  readonly disputeId?: string;
}

interface PartsMoved {
  readonly moves: readonly PartMoved[];
  /** what the chain paid, for those that are settled */
  readonly settlements?: readonly SettlementView[];
  /** for those that are completed */
  readonly evidence?: readonly Evidence[];
  readonly transactionHash?: string;
  readonly operation?: OperationView;
  readonly origin: { readonly request_id: string | null; readonly actor: string | null };
  /** events of others, e.g. `balance.credited` of who was paid */
  readonly others?: readonly Awaited<ReturnType<typeof balanceEvent>>[];
}

/** Moves parts and whatever of the order follows. Parts that stand there already are left alone: it may run twice. */
export async function moveParts(trx: Sql, order: OrderRow, moved: PartsMoved): Promise<OrderState> {
  const at = orderTime(order);
  const steps = moved.moves.flatMap((move) => {
    const from = order.parts.find(({ index }) => index === move.index);
    if (from === undefined) throw refuse('BOOKS_DIFFER', `order ${order.id} has no part ${move.index}`);
    if (from.status === move.status) return [];
    if (!mayFollow(from.status, move.status))
      throw refuse('BOOKS_DIFFER', `${move.status} cannot follow ${from.status} on order ${order.id}`);
    return [{ from, to: arrived(order, from, move, at), disputeId: move.disputeId ?? null }];
  });
  if (order.hasMilestones) await write(trx, order, steps, at);
  const parts = order.parts.map((part) => steps.find(({ from }) => from.index === part.index)?.to ?? part);
  const derived = derive(parts.map(({ status }) => status));
  const status = statusAfter(order.status, derived.status);
  const closed = derived.finalStatus !== null;
  const delivered = steps.find(
    ({ from, to }) => from.index === null && from.status === 'OPEN' && to.status === 'COMPLETED',
  );
  const patch: OrderPatch = {
    waitingFor: null,
    status,
    ...(moved.operation === undefined ? {} : { operation: moved.operation }),
    escrowStatus: derived.finalStatus ?? (status === 'DISPUTED' ? 'DISPUTED' : ('FUNDED' satisfies EscrowStatus)),
    ...(closed ? { finalStatus: derived.finalStatus, closedAt: at } : {}),
    ...(delivered === undefined
      ? {}
      : { deliveredAt: at, dueTimes: { ...order.dueTimes, ...inspection(delivered.to.inspectionDue) } }),
  };
  const events = [
    ...steps.flatMap((step) => partEvents(step, moved)),
    ...statusEvents(order, { status, finalStatus: derived.finalStatus }, steps, moved),
  ];
  return changeOrder(trx, { ...order, parts }, patch, moved.origin, { events, others: moved.others ?? [] });
}

const inspection = (due: string | null) => (due === null ? {} : { inspection: due });

interface Step {
  readonly from: Part;
  readonly to: Part;
  readonly disputeId: string | null;
}

/** While an operation settles everything that is left, the order shows that until it has, or has failed. */
const statusAfter = (before: OrderStatus, derived: OrderStatus): OrderStatus =>
  derived !== 'CLOSED' && (before === 'RELEASE_REQUESTED' || before === 'REFUND_REQUESTED') ? before : derived;

function arrived(order: OrderRow, from: Part, { status, disputeId }: PartMoved, at: Date): Part {
  if (status === 'DISPUTED') return { ...from, status, disputeId: disputeId ?? null };
  if (status !== 'COMPLETED' || from.completed) return { ...from, status };
  // An extension that was made before the period began is its least.
  const least = order.dueTimes.inspection ?? null;
  const term = order.deadlines.inspection;
  const regular = term === null ? null : addDuration(at, term).toISOString();
  const inspectionDue = regular !== null && least !== null && least > regular ? least : regular;
  return { ...from, status, completed: true, inspectionDue };
}

async function write(trx: Sql, order: OrderRow, steps: readonly Step[], at: Date): Promise<void> {
  const rows = steps.map(({ from, to }) => ({
    index: to.index,
    status: to.status,
    dispute_id: to.disputeId,
    completed_at: to.completed && !from.completed ? at.toISOString() : null,
    inspection_due_at: to.inspectionDue,
    settled_at: isSettled(to.status) ? at.toISOString() : null,
  }));
  await sql`
    update milestones m set status = t.status, dispute_id = t.dispute_id, inspection_due_at = t.inspection_due_at,
      completed_at = coalesce(m.completed_at, t.completed_at), settled_at = t.settled_at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as t(index int, status text, dispute_id text,
      completed_at timestamptz, inspection_due_at timestamptz, settled_at timestamptz)
    where m.order_id = ${order.id} and m.index = t.index`.execute(trx);
}

const SETTLED_EVENTS = {
  RELEASED: 'order.milestone_released',
  REFUNDED: 'order.milestone_refunded',
  SPLIT: 'order.milestone_split',
} as const;

function partEvents(
  { from, to, disputeId }: Step,
  { settlements = [], evidence = [], transactionHash = '' }: PartsMoved,
): OrderEvent[] {
  const milestone_ref = to.ref;
  if (to.status === 'COMPLETED' && !from.completed) {
    const change = { evidence, transaction_hash: transactionHash };
    return milestone_ref === null
      ? [{ type: 'order.delivered', change }]
      : [{ type: 'order.milestone_completed', change: { milestone_ref, ...change } }];
  }
  if (milestone_ref === null) return [];
  if (to.status === 'DISPUTED')
    return [{ type: 'order.milestone_disputed', change: { milestone_ref, dispute_id: disputeId ?? '' } }];
  if (to.status !== 'RELEASED' && to.status !== 'REFUNDED' && to.status !== 'SPLIT') return [];
  const own = settlements.filter((settlement) => settlement.milestone_ref === milestone_ref);
  const change = { milestone_ref, settlements: own, transaction_hash: own.at(-1)?.transaction_hash ?? transactionHash };
  return [{ type: SETTLED_EVENTS[to.status], change }];
}

function statusEvents(
  order: OrderRow,
  now: ReturnType<typeof derive> | { status: OrderStatus; finalStatus: ReturnType<typeof derive>['finalStatus'] },
  steps: readonly Step[],
  { settlements = [], transactionHash = '' }: PartsMoved,
): OrderEvent[] {
  if (now.status === order.status) return [];
  if (now.status === 'DISPUTED') {
    const dispute_id = steps.find(({ to }) => to.status === 'DISPUTED')?.disputeId ?? null;
    return [{ type: 'order.disputed', change: { dispute_id } }];
  }
  if (now.finalStatus === null) return [{ type: 'order.in_progress' }];
  const change = { settlements, transaction_hash: settlements.at(-1)?.transaction_hash ?? transactionHash };
  const settled: OrderEvent[] =
    now.finalStatus === 'SPLIT'
      ? []
      : [{ type: now.finalStatus === 'RELEASED' ? 'order.released' : 'order.refunded', change }];
  return [...settled, { type: 'order.closed', change: { final_status: now.finalStatus } }];
}
