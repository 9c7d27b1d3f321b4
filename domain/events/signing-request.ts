/** Events of what users with their own wallet are asked to sign. */
import { z } from 'zod';
import { signingEvent } from './define.ts';

export const SIGNING_EVENTS = [
  signingEvent('signing.requested'),
  signingEvent('signing.completed', { transaction_hash: z.string() }),
  signingEvent('signing.expired', { reason: z.string() }),
] as const;
