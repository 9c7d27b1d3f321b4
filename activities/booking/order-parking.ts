/** A parked operation as the order's row, the attention list and the events show it; and how it is taken up again. */
import { sql } from 'kysely';
import { type Sql, inTransaction } from '../../db/sql.ts';
import type { OperationView, OrderState } from '../../domain/order/shapes.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { Repair } from '../../domain/repairs.ts';
import { takeApproval } from '../approvals.ts';
import { insertAttention } from '../attention.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { type OrderRow, changeOrder, correlation, lockOrder, orderTime, stateOf } from './order-row.ts';

export function createOrderParking({ orm }: Deps) {
  return {
    /** Only an operator can help: shown on the order, in the attention list and in the Temporal UI. */
    parkOperation: (input: {
      order_id: string;
      operation_id: string;
      reason: Reason;
      message: string;
      detail: unknown;
      step: string;
      repairs: readonly Repair[];
    }): Promise<OrderState> =>
      inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status === 'PARKED') return stateOf(order);
        const { message, detail, step, operation_id, reason, repairs } = input;
        const since = orderTime(order);
        const id = await insertAttention(trx, {
          marketplaceId: order.marketplaceId,
          resource: { type: 'order', id: order.id },
          workflowId: correlation().workflowId,
          reason,
          // By its operation it is found again: other matters of the order are not this one's.
          detail: { message, detail, step, operation_id },
          allowedRepairs: repairs,
          since,
        });
        const attention = { id, reason, since: since.toISOString(), allowed_repairs: [...repairs] };
        const event = { type: 'order.attention_required' as const, change: { attention } };
        const patch = { operation: { ...operation, status: 'PARKED' as const } };
        const parked = { ...order, parking: { id, repairs } };
        return changeOrder(trx, parked, patch, origin(operation.request_id), { events: [event] });
      }),

    unparkOperation: (input: { order_id: string; operation_id: string }): Promise<OrderState> =>
      inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        if (order.operation?.id !== input.operation_id || order.operation.status !== 'PARKED') return stateOf(order);
        return takeUp(trx, order, order.operation);
      }),

    /**
     * Two persons decided who is paid instead: the parked step is taken up again, and goes that way.
     * @throws ApplicationFailure INVALID_STATE when they did not decide this; MARKETPLACE_PAUSED
     */
    divertPayout: (input: { order_id: string; approval_id: string }): Promise<OrderState> =>
      inTransaction(orm, async (trx) => {
        const parked = await lockOrder(trx, input.order_id);
        // This very call, or another one, has taken it up before.
        if (parked.operation?.status !== 'PARKED') return stateOf(parked);
        if (parked.paused) throw refuse('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
        await takeApproval(trx, input.approval_id, { attention_id: parked.parking?.id ?? null });
        // It says where the money goes now.
        const order = await lockOrder(trx, input.order_id);
        return takeUp(trx, order, { ...parked.operation, cause: 'REPAIR' });
      }),
  };
}

/** Clears what parking it raised, and nothing else of the order. */
async function takeUp(trx: Sql, order: OrderRow, operation: OperationView): Promise<OrderState> {
  const { rows } = await sql<{ id: string }>`
    update attention set cleared_at = now() where id = ${order.parking?.id ?? null} and cleared_at is null
    returning id`.execute(trx);
  const events = rows.map(({ id }) => ({
    type: 'order.attention_cleared' as const,
    change: { attention_id: id },
  }));
  const patch = { operation: { ...operation, status: 'RUNNING' as const } };
  return changeOrder(trx, order, patch, origin(operation.request_id), { events });
}

const origin = (requestId: string | null) => ({ request_id: requestId, actor: null });
