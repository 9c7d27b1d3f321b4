/** API keys: only their SHA-256 is stored (F42). Every function takes the tenant: a marketplace, or null for the platform. */
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../domain/ids.ts';
import type { ApiKeyResource } from '../../domain/resources/marketplace.ts';
import type { DeadlineTerms } from '../../domain/order/deadlines.ts';
import { type PaymentProviderName, SCOPES } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import { type Page, type PageRequest, allOf, beyond, iso, newestFirst, pageOf } from './select.ts';

export type { ApiKeyResource };

const COLUMNS = sql`k.id, k.name, k.person, k.prefix, k.scopes, k.ip_allow, ${iso('k.expires_at')} as expires_at,
  ${iso('k.last_used_at')} as last_used_at, ${iso('k.created_at')} as created_at`;

/** A key that authenticates now, with the marketplace it belongs to. */
export interface Authenticated {
  readonly key: ApiKeyResource;
  /** null: a platform key */
  readonly marketplace: {
    readonly id: string;
    readonly name: string;
    readonly status: 'ACTIVE' | 'PAUSED';
    readonly defaultAsset: string;
    readonly platformFeeBps: number;
    readonly paymentProvider: PaymentProviderName;
    readonly deadlines: DeadlineTerms;
  } | null;
}

/**
 * The key with this hash unless it is revoked or expired. Read at every request, so a revocation counts at once.
 * Its last use is written at most once a minute.
 */
export async function authenticate(db: Sql, keyHash: string): Promise<Authenticated | null> {
  const { rows } = await sql<ApiKeyResource & { marketplace: Authenticated['marketplace']; stale: boolean }>`
    select ${COLUMNS}, k.last_used_at is null or k.last_used_at < now() - interval '1 minute' as stale,
      (select json_build_object('id', m.id, 'name', m.name, 'status', m.status, 'defaultAsset', m.default_asset,
        'platformFeeBps', m.platform_fee_bps, 'paymentProvider', m.payment_provider, 'deadlines', m.deadlines)
      from marketplaces m where m.id = k.marketplace_id) as marketplace
    from api_keys k
    where k.key_hash = ${keyHash} and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())`.execute(
    db,
  );
  const row = rows[0];
  if (row === undefined) return null;
  const { marketplace, stale, ...key } = row;
  if (stale) await sql`update api_keys set last_used_at = now() where id = ${key.id}`.execute(db);
  return { key, marketplace };
}

export interface NewApiKey {
  readonly marketplaceId: string | null;
  readonly name: string;
  readonly person: string | null;
  readonly prefix: string;
  readonly keyHash: string;
  readonly scopes: readonly string[];
  readonly ipAllow: readonly string[];
  readonly expiresAt: string | null;
}

export async function insertApiKey(trx: Sql, key: NewApiKey): Promise<ApiKeyResource> {
  const { rows } = await sql<ApiKeyResource>`
    insert into api_keys as k (id, marketplace_id, name, person, prefix, key_hash, scopes, ip_allow, expires_at, created_at)
    values (${newId('apiKey')}, ${key.marketplaceId}, ${key.name}, ${key.person}, ${key.prefix}, ${key.keyHash},
      ${[...key.scopes]}::text[], ${[...key.ipAllow]}::text[], ${key.expiresAt}::timestamptz, now())
    returning ${COLUMNS}`.execute(trx);
  const row = rows[0];
  if (row === undefined) throw new Error('insert returned no row');
  return row;
}

/** The first platform key, from the configuration: there from the first boot on, and not again once revoked. */
export async function ensurePlatformKey(db: Sql, keyHash: string): Promise<void> {
  await sql`
    insert into api_keys (id, marketplace_id, name, person, prefix, key_hash, scopes, ip_allow, created_at)
    values (${newId('apiKey')}, null, 'platform', null, 'configured', ${keyHash}, ${[...SCOPES]}::text[], '{}', now())
    on conflict (key_hash) do nothing`.execute(db);
}

const owned = (marketplaceId: string | null): RawBuilder<unknown> =>
  sql`k.marketplace_id is not distinct from ${marketplaceId} and k.revoked_at is null`;

/** The tenant's keys that are not revoked, newest first. */
export async function listApiKeys(
  db: Sql,
  marketplaceId: string | null,
  page: PageRequest,
): Promise<Page<ApiKeyResource>> {
  const where = allOf([owned(marketplaceId), ...beyond('k', page.cursor)]);
  const { rows } = await sql<ApiKeyResource>`
    select ${COLUMNS} from api_keys k where ${where} ${newestFirst('k', page.limit)}`.execute(db);
  return pageOf(rows, page.limit);
}

/** The tenant's key, locked until the transaction ends; null when there is none. */
export async function lockApiKey(trx: Sql, marketplaceId: string | null, id: string): Promise<ApiKeyResource | null> {
  const { rows } = await sql<ApiKeyResource>`
    select ${COLUMNS} from api_keys k where k.id = ${id} and ${owned(marketplaceId)} for update`.execute(trx);
  return rows[0] ?? null;
}

/** Ends a key: at once, or after an overlap in which its successor is rolled out. */
export async function endApiKey(trx: Sql, id: string, overlapSeconds: number): Promise<void> {
  await sql`update api_keys set
      revoked_at = case when ${overlapSeconds}::int = 0 then now() end,
      expires_at = least(expires_at, now() + make_interval(secs => ${overlapSeconds}::int))
    where id = ${id}`.execute(trx);
}
