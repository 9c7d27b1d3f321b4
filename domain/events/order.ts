/** Events of an order's life. */
import { z } from 'zod';
import { Amount, AssetCode, AttentionView, DeadlineName, Id, Operation, Timestamp } from '../resources/common.ts';
import { Settlement } from '../resources/order.ts';
import { FINAL_STATUSES } from '../statuses.ts';
import { orderEvent } from './define.ts';

const transactionHash = z.string();
const money = { amount: Amount, asset: AssetCode };
const settled = { settlements: z.array(Settlement), transaction_hash: transactionHash };
const milestone = { milestone_ref: z.string() };
const completed = {
  evidence: z.array(z.object({ type: z.string(), value: z.string(), note: z.string().nullable() })),
  transaction_hash: transactionHash,
};

export const ORDER_EVENTS = [
  orderEvent('order.created'),
  orderEvent('order.funds_reserved', money),
  orderEvent('order.escrow_creating'),
  orderEvent('order.escrow_created', { contract_id: z.string(), transaction_hash: transactionHash }),
  orderEvent('order.escrow_funding'),
  orderEvent('order.escrow_funded', { ...money, transaction_hash: transactionHash }),
  orderEvent('order.in_progress'),
  orderEvent('order.delivered', completed),
  orderEvent('order.milestone_completed', { ...milestone, ...completed }),
  orderEvent('order.milestone_released', { ...milestone, ...settled }),
  orderEvent('order.milestone_refunded', { ...milestone, ...settled }),
  orderEvent('order.milestone_split', { ...milestone, ...settled }),
  orderEvent('order.milestone_disputed', { ...milestone, dispute_id: Id }),
  orderEvent('order.release_requested'),
  orderEvent('order.released', settled),
  orderEvent('order.refund_requested', { reason: z.string().nullable() }),
  orderEvent('order.refunded', settled),
  /** `dispute_id`: the one because of which nothing else can go on */
  orderEvent('order.disputed', { dispute_id: Id.nullable() }),
  /** also sent when the order expired: `final_status` tells which */
  orderEvent('order.canceled', { final_status: z.enum(['CANCELED', 'EXPIRED']), reason: z.string().nullable() }),
  orderEvent('order.extended', { deadline: DeadlineName, due_at: Timestamp, reason: z.string().nullable() }),
  orderEvent('order.closed', { final_status: z.enum(FINAL_STATUSES) }),
  orderEvent('order.operation_failed', { operation: Operation }),
  orderEvent('order.attention_required', { attention: AttentionView }),
  orderEvent('order.attention_cleared', { attention_id: Id }),
] as const;
