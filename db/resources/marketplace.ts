/** Marketplaces: read and written by the API. */
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../domain/ids.ts';
import type { MarketplaceResource } from '../../domain/resources/marketplace.ts';
import type { WalletKind } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import { type Page, type PageRequest, allOf, amountText, beyond, iso, newestFirst, pageOf } from './select.ts';

export type { MarketplaceResource };

/** How many wallets of each kind a marketplace has, besides one fee wallet: a source is one transaction per ledger. */
export interface WalletPools {
  readonly OPERATOR: number;
  readonly RESOLVER: number;
}

/** What every marketplace needs besides its users' wallets. */
const SYSTEM_WALLETS = ['FEE', 'OPERATOR', 'RESOLVER'] as const satisfies WalletKind[];

const COLUMNS = sql`m.id, m.name, m.status, m.default_asset, m.platform_fee_bps, m.payment_provider, m.deadlines,
  m.approval_threshold::text as approval_threshold, ${iso('m.created_at')} as created_at`;

const toResource = (row: MarketplaceResource): MarketplaceResource => ({
  ...row,
  approval_threshold: row.approval_threshold === null ? null : amountText(row.approval_threshold),
});

const select = async (db: Sql, where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => {
  const { rows } = await sql<MarketplaceResource>`select ${COLUMNS} from marketplaces m where ${where} ${rest}`.execute(
    db,
  );
  return rows.map(toResource);
};

export async function findMarketplace(db: Sql, id: string): Promise<MarketplaceResource | null> {
  return (await select(db, sql`m.id = ${id}`))[0] ?? null;
}

/** All marketplaces, newest first: for platform keys only. */
export async function listMarketplaces(db: Sql, page: PageRequest): Promise<Page<MarketplaceResource>> {
  return pageOf(await select(db, allOf(beyond('m', page.cursor)), newestFirst('m', page.limit)), page.limit);
}

export type MarketplaceTerms = Pick<
  MarketplaceResource,
  'name' | 'default_asset' | 'platform_fee_bps' | 'payment_provider' | 'deadlines'
> & {
  /** stroops */
  readonly approvalThreshold: bigint | null;
};

/** Inserts a marketplace and its system wallets, which wait to be provisioned. */
export async function insertMarketplace(
  trx: Sql,
  terms: MarketplaceTerms,
  pools: WalletPools,
): Promise<{ marketplace: MarketplaceResource; walletIds: string[] }> {
  const { rows } = await sql<MarketplaceResource>`
    insert into marketplaces as m (id, name, status, default_asset, platform_fee_bps, payment_provider, deadlines,
      approval_threshold, created_at)
    values (${newId('marketplace')}, ${terms.name}, 'ACTIVE', ${terms.default_asset}, ${terms.platform_fee_bps},
      ${terms.payment_provider}, ${JSON.stringify(terms.deadlines)}::jsonb,
      ${terms.approvalThreshold?.toString() ?? null}, now())
    returning ${COLUMNS}`.execute(trx);
  const row = rows[0];
  if (row === undefined) throw new Error('insert returned no row');
  return { marketplace: toResource(row), walletIds: await fillPools(trx, row.id, pools) };
}

/**
 * Inserts the system wallets that a marketplace lacks: all of a new one, some after its pools were made larger. A pool
 * never shrinks here: escrows name the wallets in it.
 * @returns the ids of the new wallets
 */
export async function fillPools(trx: Sql, marketplaceId: string, pools: WalletPools): Promise<string[]> {
  const { rows } = await sql<{ kind: WalletKind; n: number }>`
    select kind, count(*)::int as n from wallets
    where marketplace_id = ${marketplaceId} and status <> 'CLOSED' group by kind`.execute(trx);
  const wanted = { FEE: 1, ...pools };
  const wallets = SYSTEM_WALLETS.flatMap((kind) => {
    const present = rows.find((row) => row.kind === kind)?.n ?? 0;
    return Array.from({ length: Math.max(0, wanted[kind] - present) }, () => ({ id: newId('wallet'), kind }));
  });
  await sql`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
    select id, ${marketplaceId}, null, kind, 'crypto-native', 'PROVISIONING', now(), now()
    from jsonb_to_recordset(${JSON.stringify(wallets)}::jsonb) as w(id text, kind text)`.execute(trx);
  return wallets.map((wallet) => wallet.id);
}

/** Changes the given terms; null when there is no such marketplace. Orders keep the terms they were made with. */
export async function updateMarketplace(
  trx: Sql,
  id: string,
  change: Partial<MarketplaceTerms>,
): Promise<MarketplaceResource | null> {
  const threshold = change.approvalThreshold;
  const sets = [
    ...(change.name === undefined ? [] : [sql`name = ${change.name}`]),
    ...(change.default_asset === undefined ? [] : [sql`default_asset = ${change.default_asset}`]),
    ...(change.platform_fee_bps === undefined ? [] : [sql`platform_fee_bps = ${change.platform_fee_bps}`]),
    ...(change.deadlines === undefined ? [] : [sql`deadlines = ${JSON.stringify(change.deadlines)}::jsonb`]),
    ...(threshold === undefined ? [] : [sql`approval_threshold = ${threshold?.toString() ?? null}`]),
  ];
  if (sets.length === 0) return findMarketplace(trx, id);
  const { rows } = await sql<MarketplaceResource>`
    update marketplaces m set ${sql.join(sets)} where m.id = ${id} returning ${COLUMNS}`.execute(trx);
  return rows[0] === undefined ? null : toResource(rows[0]);
}

/** Whether a marketplace can work: a wallet of every kind is there. The rest of its pools follows, or is looked at. */
export async function walletsReady(db: Sql, marketplaceId: string): Promise<boolean> {
  const { rows } = await sql<{ kinds: number }>`
    select count(distinct kind)::int as kinds from wallets
    where marketplace_id = ${marketplaceId} and status = 'READY'
      and kind = any(${[...SYSTEM_WALLETS]}::text[])`.execute(db);
  return rows[0]?.kinds === SYSTEM_WALLETS.length;
}

/** Pauses or resumes; @returns the status it had, or null when there is no such marketplace */
export async function setMarketplaceStatus(
  trx: Sql,
  id: string,
  status: MarketplaceResource['status'],
): Promise<MarketplaceResource['status'] | null> {
  const { rows } = await sql<{ status: MarketplaceResource['status'] }>`
    update marketplaces m set status = ${status} from (select id, status from marketplaces where id = ${id} for update) old
    where m.id = old.id returning old.status`.execute(trx);
  return rows[0]?.status ?? null;
}
