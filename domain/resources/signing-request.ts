/** What a user with an own wallet is asked to sign, as the API and its events show it. */
import { z } from 'zod';
import { ORDER_VERBS, SIGNING_REQUEST_STATUSES } from '../statuses.ts';
import { Id, ResourceRef, Timestamp } from './common.ts';

export const SigningRequestSchema = z
  .object({
    id: Id,
    user_id: Id,
    resource: ResourceRef,
    verb: z.enum(ORDER_VERBS),
    summary: z.string().meta({ description: 'In words: what is moved where by the signature' }),
    unsigned_envelope: z
      .string()
      .nullable()
      .meta({ description: 'Base64; only GET of one pending request hands it out' }),
    hash: z.string().nullable().meta({ description: 'Of the transaction to sign: lower-case hex' }),
    sep7_uri: z.string().nullable().meta({ description: 'The envelope as a request that wallets open (SEP-7)' }),
    status: z.enum(SIGNING_REQUEST_STATUSES),
    expires_at: Timestamp,
  })
  .meta({ id: 'SigningRequest' });
export type SigningRequestResource = z.infer<typeof SigningRequestSchema>;
