/** New API keys: shown once, stored as SHA-256 (F42). */
import { randomBytes } from 'node:crypto';
import { type ApiKeyResource, type NewApiKey, insertApiKey } from '../db/resources/api-key.ts';
import type { Sql } from '../db/sql.ts';
import { sha256 } from './hash.ts';

const SHOWN_CHARS = 6;

/** Makes a key; `api_key` of the result is the only place where it is readable. */
export async function createKey(
  trx: Sql,
  network: string,
  key: Omit<NewApiKey, 'prefix' | 'keyHash'>,
): Promise<ApiKeyResource & { api_key: string }> {
  const kind = key.marketplaceId === null ? 'pk' : 'sk';
  const start = `${kind}_${network}_`;
  const secret = `${start}${randomBytes(32).toString('base64url')}`;
  const stored = await insertApiKey(trx, {
    ...key,
    prefix: secret.slice(0, start.length + SHOWN_CHARS),
    keyHash: sha256(secret),
  });
  return { ...stored, api_key: secret };
}
