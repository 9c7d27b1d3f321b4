/**
 * The outbox relay: gives every committed event its position in one total order (F54). Ids and commit order differ, so a
 * reader that followed ids would miss events; positions are assigned only to what is committed, by one relay at a time,
 * and become visible batch after batch: who has read up to a position has missed nothing below it.
 */
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Orm } from '../db/orm.ts';
import { type Sql, inTransaction, pool } from '../db/sql.ts';

/** Name of the advisory lock: one relay at a time over all processes. */
export const RELAY_LOCK = 0x0e7e_17b0;
const BATCH = 1_000;
/** How late an event is shown at most. Idle looks are most of what an idle worker asks of the database. */
const INTERVAL_MS = 100;
const RETRY_MS = 1_000;

/**
 * Relays until stopped. Any number of processes may run it; a process that dies lets the lock go with its connection.
 * @returns `stop`, which resolves when the pass that was running is over
 */
export function startRelay(options: { orm: Orm; log: Logger; intervalMs?: number }): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = run(options, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

async function run(options: { orm: Orm; log: Logger; intervalMs?: number }, stopping: AbortSignal): Promise<void> {
  const { orm, log, intervalMs = INTERVAL_MS } = options;
  while (!stopping.aborted) {
    let delay = intervalMs;
    try {
      if ((await relayOnce(orm)) === BATCH) delay = 0;
    } catch (error) {
      log.warn({ error }, 'relay.failed');
      delay = RETRY_MS;
    }
    if (delay > 0) await setTimeout(delay, undefined, { signal: stopping }).catch(() => undefined);
  }
}

/** One pass. @returns how many events got their position; 0 also when another process is at it */
export async function relayOnce(orm: Orm): Promise<number> {
  // Nearly always there is nothing: one index look-up instead of a transaction.
  if (!(await hasUnrelayed(pool(orm)))) return 0;
  return inTransaction(orm, async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(${RELAY_LOCK}) as locked`.execute(trx);
    return rows[0]?.locked === true ? assign(trx) : 0;
  });
}

async function hasUnrelayed(db: Sql): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from events where position is null) as found`.execute(db);
  return rows[0]?.found === true;
}

/**
 * In a statement of its own, so that its snapshot is younger than the lock: it sees what the relay before it assigned.
 * Oldest first; a resource's events stay in their sequence even if the clock stepped back between two of them.
 */
async function assign(trx: Sql): Promise<number> {
  const { rows } = await sql<{ relayed: number }>`
    with waiting as (
      select id, resource_id, sequence,
        max(occurred_at) over (partition by resource_id order by sequence) as at
      from events where position is null
    ), numbered as (
      select id, row_number() over (order by at, resource_id, sequence)
        + coalesce((select max(position) from events), 0) as position
      from waiting order by at, resource_id, sequence limit ${BATCH}
    ), relayed as (
      update events e set position = n.position from numbered n where e.id = n.id returning 1
    )
    select count(*)::int as relayed from relayed`.execute(trx);
  return rows[0]?.relayed ?? 0;
}
