/** A parked operation as the order's row, the attention list and the events show it; and how it is taken up again. */
import { sql } from 'kysely';
import { inTransaction } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { Deps } from '../context.ts';
import { correlation, lockOrder, recordOrderChange, stateOf, updateOrder } from './order-row.ts';

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
    }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status === 'PARKED') return stateOf(order);
        const attention = {
          id: newId('attention'),
          reason: input.reason,
          since: new Date().toISOString(),
          allowed_repairs: ['retry'],
        };
        await sql`insert into attention (id, marketplace_id, resource_type, resource_id, workflow_id, reason, detail,
            allowed_repairs, since)
          values (${attention.id}, ${order.marketplaceId}, 'order', ${order.id}, ${correlation().workflowId},
            ${input.reason}, ${JSON.stringify({ message: input.message, detail: input.detail, step: input.step })},
            ${attention.allowed_repairs}, ${attention.since})`.execute(trx);
        const parked = await updateOrder(trx, order, { operation: { ...operation, status: 'PARKED' } });
        await recordOrderChange(trx, parked, origin(operation.request_id), [
          { type: 'order.attention_required', change: { attention } },
        ]);
        return stateOf(parked);
      });
    },

    async unparkOperation(input: { order_id: string; operation_id: string }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status !== 'PARKED') return stateOf(order);
        const { rows } = await sql<{ id: string }>`
          update attention set cleared_at = now() where resource_id = ${order.id} and cleared_at is null
          returning id`.execute(trx);
        const running = await updateOrder(trx, order, { operation: { ...operation, status: 'RUNNING' } });
        const cleared = rows.map(({ id }) => ({
          type: 'order.attention_cleared' as const,
          change: { attention_id: id },
        }));
        await recordOrderChange(trx, running, origin(operation.request_id), cleared);
        return stateOf(running);
      });
    },
  };
}

const origin = (requestId: string | null) => ({ request_id: requestId, actor: null });
