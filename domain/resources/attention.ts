/** A matter that somebody has to look at, as the API shows it. */
import { z } from 'zod';
import { REPAIRS } from '../repairs.ts';
import { Amount, Id, Timestamp } from './common.ts';

export const AttentionSchema = z
  .object({
    id: Id,
    marketplace_id: Id.nullable(),
    resource: z.object({ type: z.string(), id: z.string() }),
    workflow_id: z.string(),
    reason: z.string(),
    detail: z.unknown(),
    since: Timestamp,
    allowed_repairs: z.array(z.enum(REPAIRS)),
    proposal: z
      .object({
        action: z.enum(REPAIRS),
        address: z.string(),
        amount: Amount.meta({ description: 'Before fees' }),
        asset: z.string(),
        reason: z.string().nullable(),
        proposed_by: z.string().nullable().meta({ description: 'Id of the API key; null: the system suggests it' }),
        proposed_at: Timestamp,
      })
      .nullable()
      .meta({ description: 'A repair that moves money waits for the same call by another person' }),
  })
  .meta({ id: 'Attention' });
export type AttentionResource = z.infer<typeof AttentionSchema>;
