/** `extend`: a deadline that runs, or has not started, moved to a later time. */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import { DEADLINE_NAMES, type DeadlineName } from '../../domain/order/deadlines.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import { inTransaction } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { doneOperation } from '../operation.ts';
import {
  type OperationInput,
  type OrderRow,
  type Part,
  changeOrder,
  demand,
  isRepeat,
  lockOrder,
  orderTime,
  stateOf,
} from './order-row.ts';

type ExtendInput = OperationInput & { readonly deadline: string; readonly due_at: string };

export function createOrderDeadlines({ orm }: Deps) {
  return {
    /** @throws ApplicationFailure VALIDATION_ERROR when it does not run any more, or the new time is not later */
    extendDeadline: (input: ExtendInput): Promise<OrderState> => inTransaction(orm, (trx) => extendInside(trx, input)),
  };
}

async function extendInside(trx: Sql, input: ExtendInput): Promise<OrderState> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'extend');
  const name = DEADLINE_NAMES.find((known) => known === input.deadline);
  const at = new Date(input.due_at).toISOString();
  const running = name === undefined || name === 'dispute' ? null : runningOf(order, name);
  if (name === undefined || running === null)
    throw pointed('/deadline', 'NOT_RUNNING', `the ${input.deadline} deadline does not run`);
  if (running.until !== null && at <= running.until)
    throw pointed('/due_at', 'NOT_LATER', `the deadline is ${running.until} already`);
  if (running.until === null && at <= orderTime(order).toISOString())
    throw pointed('/due_at', 'NOT_LATER', 'the deadline would be over before it begins');
  const parts = name === 'inspection' ? await extendInspections(trx, order, at) : order.parts;
  const patch = {
    dueTimes: { ...order.dueTimes, [name]: at },
    operation: doneOperation(input, 'extend', orderTime(order)),
  };
  const change = { deadline: name, due_at: at, reason: input.reason };
  return changeOrder(trx, { ...order, parts }, patch, input, { events: [{ type: 'order.extended', change }] });
}

/** Null: it is off or over. `until` null: it has not started, so that any time to come is later. */
function runningOf(order: OrderRow, name: Exclude<DeadlineName, 'dispute'>): { until: string | null } | null {
  const set = order.dueTimes[name] ?? null;
  const funded = order.status === 'IN_PROGRESS' || order.status === 'DISPUTED';
  if (name === 'funding') return funded || set === null ? null : { until: set };
  const open = order.parts.some(({ status }) => status === 'OPEN' || status === 'DISPUTED');
  if (name === 'delivery') return order.deadlines.delivery === null || !open ? null : { until: set };
  const inspected = order.parts.flatMap(({ status, inspectionDue }) =>
    status === 'COMPLETED' && inspectionDue !== null ? [inspectionDue] : [],
  );
  if (order.deadlines.inspection === null || (inspected.length === 0 && !open)) return null;
  return { until: inspected.sort()[0] ?? set };
}

/** Every inspection that runs goes on at least until then. */
async function extendInspections(trx: Sql, order: OrderRow, at: string): Promise<readonly Part[]> {
  const isShorter = ({ index, status, inspectionDue }: Part): boolean =>
    index !== null && status === 'COMPLETED' && inspectionDue !== null && inspectionDue < at;
  const indexes = order.parts.filter(isShorter).map(({ index }) => index);
  await sql`update milestones set inspection_due_at = ${at}::timestamptz
    where order_id = ${order.id} and index = any(${indexes}::int[])`.execute(trx);
  return order.parts.map((part) => (isShorter(part) ? { ...part, inspectionDue: at } : part));
}

const pointed = (pointer: string, code: string, detail: string) =>
  refuse('VALIDATION_ERROR', detail, { errors: [{ pointer, code, detail }] });
