/** A parked operation as the order's row, the attention list and the events show it; and how it is taken up again. */
import { sql } from 'kysely';
import { inTransaction } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { Repair } from '../../domain/repairs.ts';
import type { Deps } from '../context.ts';
import { changeOrder, correlation, lockOrder, orderTime, stateOf } from './order-row.ts';

export function createOrderParking({ orm }: Deps) {
  return {
    /** Only an operator can help: shown on the order, in the attention list and in the Temporal UI. */
    async parkOperation(input: {
      order_id: string;
      operation_id: string;
      reason: string;
      message: string;
      detail: unknown;
      step: string;
      repairs: readonly Repair[];
    }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status === 'PARKED') return stateOf(order);
        const attention = {
          id: newId('attention'),
          reason: input.reason,
          since: orderTime(order).toISOString(),
          allowed_repairs: [...input.repairs],
        };
        // By its operation it is found again: other matters of the order are not this one's.
        const { message, step, operation_id } = input;
        const detail = { message, detail: input.detail, step, operation_id };
        await sql`insert into attention (id, marketplace_id, resource_type, resource_id, workflow_id, reason, detail,
            allowed_repairs, since)
          values (${attention.id}, ${order.marketplaceId}, 'order', ${order.id}, ${correlation().workflowId},
            ${input.reason}, ${JSON.stringify(detail)},
            ${attention.allowed_repairs}, ${attention.since})`.execute(trx);
        const event = { type: 'order.attention_required' as const, change: { attention } };
        const patch = { operation: { ...operation, status: 'PARKED' as const } };
        const parking = { id: attention.id, repairs: input.repairs };
        return changeOrder(trx, { ...order, parking }, patch, origin(operation.request_id), { events: [event] });
      });
    },

    async unparkOperation(input: { order_id: string; operation_id: string }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status !== 'PARKED') return stateOf(order);
        const { rows } = await sql<{ id: string }>`
          update attention set cleared_at = now() where id = ${order.parking?.id ?? null} and cleared_at is null
          returning id`.execute(trx);
        const events = rows.map(({ id }) => ({
          type: 'order.attention_cleared' as const,
          change: { attention_id: id },
        }));
        const patch = { operation: { ...operation, status: 'RUNNING' as const } };
        return changeOrder(trx, order, patch, origin(operation.request_id), { events });
      });
    },
  };
}

const origin = (requestId: string | null) => ({ request_id: requestId, actor: null });
