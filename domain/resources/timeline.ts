/** One line of an order's history, as people who look into a case read it. */
import { z } from 'zod';
import { Timestamp } from './common.ts';

const TIMELINE_KINDS = ['REQUEST', 'STEP', 'TRANSFER', 'TRANSACTION', 'EVENT', 'WEBHOOK'] as const;

export const TimelineItemSchema = z
  .object({
    at: Timestamp,
    kind: z.enum(TIMELINE_KINDS),
    name: z.string().meta({ description: 'Verb, intent and step, transfer code, event type' }),
    status: z.string().nullable(),
    attempt: z.int().nullable(),
    detail: z.string().nullable(),
    ref: z
      .string()
      .meta({ description: 'Operation, chain transaction, transfer or event id; the hash of a transaction' }),
    request_id: z.string().nullable(),
  })
  .meta({ id: 'TimelineItem' });
export type TimelineItem = z.infer<typeof TimelineItemSchema>;
