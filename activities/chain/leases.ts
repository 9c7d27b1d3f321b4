/**
 * One source account is one transaction per ledger: whoever uses it holds its lease, from before the envelope is built
 * until it landed or is proved dead. First come first served within a priority.
 */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';

/**
 * A waiter that has not asked for this long is passed over, and keeps its place for when it asks again: longer than the
 * pause between two of its questions, shorter than it takes to hand on the work of a worker that was killed.
 */
const WAITER_TIMEOUT = '8 seconds';
/** Longer than the longest pause between two attempts at preparing. */
const ORPHANED_AFTER = '90 seconds';

/** @returns 0 when `owner` holds the source now (a repeat by the holder too), else how many go before it */
export async function acquireLease(db: Sql, source: string, owner: string, priority: number): Promise<number> {
  // Nearly always nobody else is there: one statement. A conflict is somebody who came first, or this owner again.
  const free = await sql<{ owner: string }>`
    insert into source_leases (source, owner, priority, queued_at, polled_at, held_at)
    select ${source}, ${owner}, ${priority}, clock_timestamp(), clock_timestamp(), clock_timestamp()
    where not exists (select from source_leases where source = ${source})
    on conflict do nothing returning owner`.execute(db);
  return free.rows.length === 1 ? 0 : queue(db, source, owner, priority);
}

async function queue(db: Sql, source: string, owner: string, priority: number): Promise<number> {
  const { rows } = await sql<{ heldAt: Date | null }>`
    insert into source_leases as lease (source, owner, priority, queued_at, polled_at)
    values (${source}, ${owner}, ${priority}, clock_timestamp(), clock_timestamp())
    on conflict (source, owner) do update set polled_at = clock_timestamp()
    returning held_at as "heldAt"`.execute(db);
  if (rows[0]?.heldAt != null) return 0;
  const ahead = await countAhead(db, source, owner);
  if (ahead > 0) return ahead;
  try {
    const taken = await sql<{ owner: string }>`
      update source_leases set held_at = clock_timestamp()
      where source = ${source} and owner = ${owner}
        and not exists (select from source_leases where source = ${source} and held_at is not null)
      returning owner`.execute(db);
    return taken.rows.length === 1 ? 0 : 1;
  } catch (error) {
    // Somebody else took it between the look and the update: the unique index of holders says so.
    if (error instanceof Error && 'code' in error && error.code === '23505') return 1;
    throw error;
  }
}

async function countAhead(db: Sql, source: string, owner: string): Promise<number> {
  const { rows } = await sql<{ ahead: number }>`
    select count(*)::int as ahead from source_leases other
    join source_leases mine on mine.source = other.source and mine.owner = ${owner}
    where other.source = ${source} and (other.held_at is not null
      or (other.polled_at > clock_timestamp() - ${WAITER_TIMEOUT}::interval
        and (other.priority, other.queued_at, other.owner) < (mine.priority, mine.queued_at, mine.owner)))`.execute(db);
  return rows[0]?.ahead ?? 0;
}

/** Gives the source back, unless an envelope that may still land uses it: an attempt that was given up may come late. */
export async function releaseLease(db: Sql, owner: string): Promise<void> {
  await sql`
    delete from source_leases where owner = ${owner} and not exists (
      select from chain_transactions where intent_key = ${owner} and status in ('SIGNED', 'SUBMITTED'))`.execute(db);
}

/**
 * Frees what nobody uses: taken by an attempt that came too late, when its transaction was settled already, or by a
 * workflow that is gone. Whoever prepares asks again and again, and nothing is signed without the lease: one that nobody
 * asked for in a while, and that no signed envelope needs, has no owner.
 * @returns how many were freed
 */
export async function freeOrphanedLeases(db: Sql): Promise<number> {
  const { rows } = await sql<{ owner: string }>`
    delete from source_leases lease
    where polled_at < clock_timestamp() - ${ORPHANED_AFTER}::interval
      and coalesce((select status from chain_transactions where intent_key = lease.owner order by attempt desc limit 1),
        'DEAD') not in ('SIGNED', 'SUBMITTED')
    returning owner`.execute(db);
  return rows.length;
}
