/** What the database says about itself and about work that waits. */
import { readdirSync } from 'node:fs';
import { sql } from 'kysely';
import type { Sql } from './sql.ts';

/** Migrations that this code needs. */
const NEEDED: readonly string[] = readdirSync(new URL('./migrations', import.meta.url))
  .filter((file) => /^Migration\d+.*\.ts$/.test(file))
  .map((file) => file.replace(/\.ts$/, ''));

/** Whether the schema has every migration that this code was written for. */
export async function schemaIsCurrent(db: Sql): Promise<boolean> {
  const { rows } = await sql<{ applied: number }>`
    select count(*)::int as applied from mikro_orm_migrations where name = any(${[...NEEDED]}::text[])`.execute(db);
  return rows[0]?.applied === NEEDED.length;
}

/** Days for which the sponsor's balance lasts at its present use; null before it was measured, or when nothing is used. */
export async function sponsorDaysLeft(db: Sql, network: string): Promise<number | null> {
  const { rows } = await sql<{ days: number | null }>`
    select round(available::numeric / nullif(burn_per_day, 0), 1)::float8 as days
    from sponsor_balances where network = ${network}`.execute(db);
  return rows[0]?.days ?? null;
}

/** Since when which providers have not answered; those that do are not listed. */
export async function providerOutages(db: Sql): Promise<ReadonlyMap<string, string>> {
  const { rows } = await sql<{ name: string; since: Date }>`
    select resource_id as name, since from attention where resource_type = 'provider' and cleared_at is null`.execute(
    db,
  );
  return new Map(rows.map(({ name, since }) => [name, new Date(since).toISOString()]));
}

/** Up to which ledger the network's payments are stored; null before they were first read. */
export async function readerLedger(db: Sql, network: string): Promise<number | null> {
  const { rows } = await sql<{ ledger: number }>`
    select ledger from network_cursors where network = ${network} and reader = 'payments'`.execute(db);
  return rows[0]?.ledger ?? null;
}

interface Backlog {
  /** seconds; 0 when everything is relayed */
  readonly oldestUnrelayedEventS: number;
  /** open attention items */
  readonly parked: number;
}

/** Of one marketplace, or of all (`null`). */
export async function backlog(db: Sql, marketplaceId: string | null): Promise<Backlog> {
  const mine = marketplaceId === null ? sql`true` : sql`marketplace_id = ${marketplaceId}`;
  const { rows } = await sql<{ oldest: number; parked: number }>`
    select
      (select coalesce(extract(epoch from now() - min(occurred_at)), 0)::int
       from events where position is null and ${mine}) as oldest,
      (select count(*)::int from attention where cleared_at is null and ${mine}) as parked`.execute(db);
  return { oldestUnrelayedEventS: Math.max(0, rows[0]?.oldest ?? 0), parked: rows[0]?.parked ?? 0 };
}
