/** Marketplaces and their API keys as the API shows them. */
import { z } from 'zod';
import { MARKETPLACE_STATUSES, PAYMENT_PROVIDERS, SCOPES } from '../statuses.ts';
import { Amount, AssetCode, Deadlines, Id, Timestamp } from './common.ts';

export const MarketplaceSchema = z
  .object({
    id: Id,
    name: z.string(),
    status: z.enum(MARKETPLACE_STATUSES),
    default_asset: AssetCode,
    platform_fee_bps: z.int(),
    payment_provider: z.enum(PAYMENT_PROVIDERS),
    deadlines: Deadlines,
    approval_threshold: Amount.nullable(),
    created_at: Timestamp,
  })
  .meta({ id: 'Marketplace' });
export type MarketplaceResource = z.infer<typeof MarketplaceSchema>;

export const ApiKeySchema = z
  .object({
    id: Id,
    name: z.string(),
    person: z.string().nullable(),
    prefix: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    ip_allow: z.array(z.string()),
    expires_at: Timestamp.nullable(),
    last_used_at: Timestamp.nullable(),
    created_at: Timestamp,
  })
  .meta({ id: 'ApiKey' });
export type ApiKeyResource = z.infer<typeof ApiKeySchema>;
