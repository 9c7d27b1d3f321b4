/** A matter that somebody has to look at, as the API shows it. */
import { z } from 'zod';
import { REPAIRS } from '../repairs.ts';
import { Id, Timestamp } from './common.ts';

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
    proposal: z.null().meta({ description: 'A repair that waits for a second person; none needs one yet' }),
  })
  .meta({ id: 'Attention' });
export type AttentionResource = z.infer<typeof AttentionSchema>;
