/** Withdrawals and adjustments as the API and their events show them. */
import { z } from 'zod';
import { ADJUSTMENT_DIRECTIONS, MEMO_TYPES, PAYMENT_STATUSES } from '../statuses.ts';
import { Amount, AssetCode, AttentionView, Id, Metadata, PaymentOperation, Timestamp } from './common.ts';

const Memo = z.object({ type: z.enum(MEMO_TYPES), value: z.string() }).meta({ id: 'Memo' });

export const WithdrawalSchema = z
  .object({
    id: Id,
    user_id: Id.nullable().meta({ description: 'null: the earned fees of the marketplace' }),
    amount: Amount,
    asset: AssetCode,
    destination: z.object({ address: z.string(), memo: Memo.nullable() }),
    client_ref: z.string().nullable(),
    status: z.enum(PAYMENT_STATUSES),
    requested_by: Id,
    approved_by: Id.nullable(),
    transaction_hash: z.string().nullable(),
    ledger: z.int().nullable(),
    operation: PaymentOperation,
    attention: AttentionView.nullable(),
    metadata: Metadata,
    version: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
    completed_at: Timestamp.nullable(),
  })
  .meta({ id: 'Withdrawal' });
export type WithdrawalResource = z.infer<typeof WithdrawalSchema>;

export const AdjustmentSchema = z
  .object({
    id: Id,
    user_id: Id,
    direction: z.enum(ADJUSTMENT_DIRECTIONS),
    amount: Amount,
    asset: AssetCode,
    status: z.enum(PAYMENT_STATUSES),
    reason: z.string(),
    reference: z.string().nullable(),
    operation: PaymentOperation,
    version: z.int(),
    created_at: Timestamp,
  })
  .meta({ id: 'Adjustment' });
export type AdjustmentResource = z.infer<typeof AdjustmentSchema>;
