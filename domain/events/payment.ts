/** Events of withdrawals and adjustments. */
import { z } from 'zod';
import { PaymentOperation } from '../resources/common.ts';
import { adjustmentEvent, withdrawalEvent } from './define.ts';

const approved = { approved_by: z.string().nullable() };
const submitted = { transaction_hash: z.string() };
const completed = { transaction_hash: z.string(), ledger: z.int() };
const failed = { operation: PaymentOperation };
const canceled = { reason: z.string().nullable() };

export const PAYMENT_EVENTS = [
  withdrawalEvent('withdrawal.created'),
  withdrawalEvent('withdrawal.approval_required'),
  /** `approved_by` null: below the marketplace's threshold nobody else has to approve */
  withdrawalEvent('withdrawal.approved', approved),
  withdrawalEvent('withdrawal.submitted', submitted),
  withdrawalEvent('withdrawal.completed', completed),
  withdrawalEvent('withdrawal.failed', failed),
  withdrawalEvent('withdrawal.canceled', canceled),
  adjustmentEvent('adjustment.created'),
  adjustmentEvent('adjustment.approval_required'),
  adjustmentEvent('adjustment.approved', approved),
  adjustmentEvent('adjustment.submitted', submitted),
  adjustmentEvent('adjustment.completed', completed),
  adjustmentEvent('adjustment.failed', failed),
  adjustmentEvent('adjustment.canceled', canceled),
] as const;
