/** An event as every reader gets it: list, webhook, stream. */
import { z } from 'zod';
import { RESOURCE_TYPES } from '../statuses.ts';
import { Id, Timestamp } from './common.ts';

export const EventSchema = z
  .object({
    id: Id,
    type: z.string().meta({ example: 'order.funds_reserved' }),
    occurred_at: Timestamp,
    marketplace_id: Id,
    resource: z.object({ type: z.enum(RESOURCE_TYPES), id: Id }),
    sequence: z.int().meta({ description: 'Position among the events of this resource, without gaps, from 1' }),
    data: z.object({
      object: z.record(z.string(), z.unknown()).meta({ description: 'The resource as GET showed it at that moment' }),
      change: z.record(z.string(), z.unknown()).meta({ description: 'What this type adds' }),
    }),
    actor: z.string().nullable(),
    request_id: z.string().nullable(),
    correlation: z.object({ workflow_id: z.string().nullable(), run_id: z.string().nullable() }),
  })
  .meta({ id: 'Event' });
export type EventResource = z.infer<typeof EventSchema>;
