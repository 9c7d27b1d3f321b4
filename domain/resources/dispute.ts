/** The dispute as the API and its events show it. */
import { z } from 'zod';
import {
  DISPUTE_DECISIONS,
  DISPUTE_REASONS,
  DISPUTE_STATUSES,
  DISPUTE_VERBS,
  DUE_ACTIONS,
  EVIDENCE_TYPES,
  PARTIES,
} from '../statuses.ts';
import { Amount, AssetCode, AttentionView, DisputeOperation, Id, Timestamp } from './common.ts';

export const DisputeEvidence = z
  .object({
    type: z.enum(EVIDENCE_TYPES),
    value: z.string(),
    note: z.string().nullable(),
    by: z.string(),
    created_at: Timestamp,
  })
  .meta({ id: 'DisputeEvidence' });

export const DisputeComment = z
  .object({ by: z.string(), text: z.string(), created_at: Timestamp })
  .meta({ id: 'DisputeComment' });

export const DisputeSchema = z
  .object({
    id: Id,
    order_id: Id,
    milestone_refs: z.array(z.string()),
    amount: Amount,
    asset: AssetCode,
    opened_by: z.enum(PARTIES),
    reason: z.enum(DISPUTE_REASONS),
    description: z.string().nullable(),
    status: z.enum(DISPUTE_STATUSES),
    allowed: z.array(z.enum(DISPUTE_VERBS)),
    assigned_to: z.string().nullable(),
    evidence: z.array(DisputeEvidence),
    comments: z.array(DisputeComment),
    decision: z.enum(DISPUTE_DECISIONS).nullable(),
    release_amount: Amount.nullable(),
    refund_amount: Amount.nullable(),
    note: z.string().nullable(),
    resolved_by: z.string().nullable(),
    operation: DisputeOperation.nullable(),
    attention: AttentionView.nullable(),
    due: z.object({ at: Timestamp, action: z.enum(DUE_ACTIONS) }).nullable(),
    version: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
    resolved_at: Timestamp.nullable(),
  })
  .meta({ id: 'Dispute' });
export type DisputeResource = z.infer<typeof DisputeSchema>;
