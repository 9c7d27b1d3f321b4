/** Events of an order's life. */
import { z } from 'zod';
import { Amount, AssetCode, AttentionView, DeadlineName, Id, Operation, Timestamp } from '../resources/common.ts';
import { Settlement } from '../resources/order.ts';
import { FINAL_STATUSES } from '../statuses.ts';
import { orderEvent } from './define.ts';

const transactionHash = z.string();
const money = { amount: Amount, asset: AssetCode };

export const ORDER_EVENTS = [
  orderEvent('order.created'),
  orderEvent('order.funds_reserved', money),
  orderEvent('order.escrow_creating'),
  orderEvent('order.escrow_created', { contract_id: z.string(), transaction_hash: transactionHash }),
  orderEvent('order.escrow_funding'),
  orderEvent('order.escrow_funded', { ...money, transaction_hash: transactionHash }),
  orderEvent('order.in_progress'),
  orderEvent('order.delivered', {
    evidence: z.array(z.object({ type: z.string(), value: z.string(), note: z.string().nullable() })),
    transaction_hash: transactionHash,
  }),
  orderEvent('order.release_requested'),
  orderEvent('order.released', { settlements: z.array(Settlement), transaction_hash: transactionHash }),
  /** also sent when the order expired: `final_status` tells which */
  orderEvent('order.canceled', { final_status: z.enum(['CANCELED', 'EXPIRED']), reason: z.string().nullable() }),
  orderEvent('order.extended', { deadline: DeadlineName, due_at: Timestamp, reason: z.string().nullable() }),
  orderEvent('order.closed', { final_status: z.enum(FINAL_STATUSES) }),
  orderEvent('order.operation_failed', { operation: Operation }),
  orderEvent('order.attention_required', { attention: AttentionView }),
  orderEvent('order.attention_cleared', { attention_id: Id }),
] as const;
