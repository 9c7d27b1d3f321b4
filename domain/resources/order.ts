/** The order as the API and its events show it. */
import { z } from 'zod';
import {
  DUE_ACTIONS,
  ESCROW_STATUSES,
  ESCROW_TYPES,
  FINAL_STATUSES,
  MILESTONE_STATUSES,
  ORDER_STATUSES,
  ORDER_VERBS,
  RESERVATIONS,
  WAITS,
} from '../statuses.ts';
import { Amount, AssetCode, AttentionView, Deadlines, Id, Metadata, Operation, Timestamp } from './common.ts';

export const Settlement = z
  .object({
    user_id: Id,
    party: z.enum(['SELLER', 'BUYER']),
    milestone_ref: z.string().nullable(),
    gross: Amount,
    protocol_fee: Amount,
    platform_fee: Amount,
    net: Amount,
    transaction_hash: z.string(),
    ledger: z.int(),
  })
  .meta({ id: 'Settlement', description: 'What the chain paid, one per recipient and transaction' });

export type SettlementView = z.infer<typeof Settlement>;

export const Milestone = z
  .object({
    milestone_ref: z.string(),
    index: z.int(),
    title: z.string(),
    amount: Amount,
    seller_id: Id,
    status: z.enum(MILESTONE_STATUSES),
    dispute_id: Id.nullable(),
    completed_at: Timestamp.nullable(),
    settled_at: Timestamp.nullable(),
  })
  .meta({ id: 'Milestone' });

export const Escrow = z
  .object({
    id: Id,
    type: z.enum(ESCROW_TYPES),
    status: z.enum(ESCROW_STATUSES),
    contract_id: z.string().nullable(),
    amount: Amount,
  })
  .meta({ id: 'Escrow' });

export const OrderSchema = z
  .object({
    id: Id,
    client_order_ref: z.string().nullable(),
    buyer_id: Id,
    seller_id: Id,
    amount: Amount,
    asset: AssetCode,
    title: z.string(),
    description: z.string().nullable(),
    platform_fee_bps: z.int(),
    auto: z.boolean(),
    status: z.enum(ORDER_STATUSES),
    final_status: z.enum(FINAL_STATUSES).nullable(),
    reservation: z.enum(RESERVATIONS).nullable(),
    version: z.int(),
    allowed: z.array(z.enum(ORDER_VERBS)),
    waiting_for: z.enum(WAITS).nullable(),
    operation: Operation.nullable(),
    escrow: Escrow.nullable(),
    milestones: z.array(Milestone),
    deadlines: Deadlines,
    due: z.object({ at: Timestamp, action: z.enum(DUE_ACTIONS) }).nullable(),
    dispute_ids: z.array(Id),
    settlements: z.array(Settlement),
    attention: AttentionView.nullable(),
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
    reserved_at: Timestamp.nullable(),
    funded_at: Timestamp.nullable(),
    delivered_at: Timestamp.nullable(),
    closed_at: Timestamp.nullable(),
  })
  .meta({ id: 'Order' });
export type OrderResource = z.infer<typeof OrderSchema>;
