/** Parts that several resources share, as the API shows them. Zod: not for workflow code. */
import { z } from 'zod';
import { DEADLINE_NAMES } from '../order/deadlines.ts';
import { DISPUTE_VERBS, OPERATION_STATUSES, ORDER_VERBS, PAYMENT_VERBS } from '../statuses.ts';

export const Id = z.string().min(1);
/** `2026-11-22T14:00:00.000Z` */
export const Timestamp = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time', example: '2026-11-22T14:00:00.000Z' });
/** A decimal amount in shortest form: at most seven decimals, no trailing zeros. */
export const Amount = z
  .string()
  .regex(/^-?(0|[1-9]\d*)(\.\d{0,6}[1-9])?$/)
  .meta({ description: 'Decimal amount in shortest form', example: '12.5' });
export const AssetCode = z.string().min(1).meta({ example: 'USDC' });
export const Metadata = z.record(z.string(), z.string());
export const ResourceRef = z.object({ type: z.string(), id: z.string() });

/** A problem as it is stored with an operation that failed. */
export const StoredProblem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  code: z.string(),
  request_id: z.string().nullable(),
  retryable: z.boolean(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })),
});

export const Operation = z
  .object({
    id: Id,
    verb: z.enum(ORDER_VERBS),
    cause: z.enum(['API', 'AUTO', 'DEADLINE', 'REPAIR']),
    status: z.enum(OPERATION_STATUSES),
    step: z.string().nullable(),
    transaction_hash: z.string().nullable(),
    error: StoredProblem.nullable(),
    request_id: z.string().nullable(),
    started_at: Timestamp,
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: 'Operation', description: 'The running operation, else the last that ended' });

export const DisputeOperation = Operation.extend({ verb: z.enum(DISPUTE_VERBS) }).meta({ id: 'DisputeOperation' });

/** Of a withdrawal or an adjustment. */
export const PaymentOperation = Operation.extend({ verb: z.enum(PAYMENT_VERBS) }).meta({ id: 'PaymentOperation' });

export const AttentionView = z
  .object({ id: Id, reason: z.string(), since: Timestamp, allowed_repairs: z.array(z.string()) })
  .meta({ id: 'AttentionSummary' });

const duration = z.string().nullable().meta({ description: 'ISO 8601 duration; null = off', example: 'P7D' });
export const Deadlines = z
  .object({
    funding: duration,
    delivery: duration,
    inspection: duration,
    dispute: duration,
    dispute_default: z.enum(['FULL_RELEASE', 'FULL_REFUND']).nullable(),
  })
  .meta({ id: 'Deadlines' });
export const DeadlineName = z.enum(DEADLINE_NAMES);
