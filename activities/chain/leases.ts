/**
 * One source account is one transaction per ledger: whoever uses it holds its lease, from before the envelope is built
 * until it landed or is proved dead. First come first served within a priority.
 */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';

/** A waiter that has not asked for this long is gone (its workflow ended) and must not hold up the others. */
const WAITER_TIMEOUT = '60 seconds';

/** @returns whether `owner` holds the source now; a repeat by the holder is true again */
export async function acquireLease(db: Sql, source: string, owner: string, priority: number): Promise<boolean> {
  const { rows } = await sql<{ heldAt: Date | null }>`
    insert into source_leases as lease (source, owner, priority, queued_at, polled_at)
    values (${source}, ${owner}, ${priority}, clock_timestamp(), clock_timestamp())
    on conflict (source, owner) do update set polled_at = clock_timestamp()
    returning held_at as "heldAt"`.execute(db);
  if (rows[0]?.heldAt != null) return true;
  try {
    const taken = await sql<{ owner: string }>`
      update source_leases set held_at = clock_timestamp()
      where source = ${source} and owner = ${owner}
        and not exists (select from source_leases where source = ${source} and held_at is not null)
        and owner = (
          select owner from source_leases
          where source = ${source} and polled_at > clock_timestamp() - ${WAITER_TIMEOUT}::interval
          order by priority, queued_at, owner limit 1)
      returning owner`.execute(db);
    return taken.rows.length === 1;
  } catch (error) {
    // Somebody else took it between the look and the update: the unique index of holders says so.
    if (error instanceof Error && 'code' in error && error.code === '23505') return false;
    throw error;
  }
}

export async function releaseLease(db: Sql, owner: string): Promise<void> {
  await sql`delete from source_leases where owner = ${owner}`.execute(db);
}
