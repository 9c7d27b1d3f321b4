/** The queue in front of a provider, in Postgres: one for all workers, whatever their number. */
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import type { Turns } from '../../providers/limits/turns.ts';

/** Releases and refunds: money that waits to be paid out. */
const URGENT = 2;
/** Every fifth turn is kept for them: new business that came in a burst does not make them wait for the window. */
const KEPT = 5;

/** @param perMinute requests that the provider takes */
export function createTurns(orm: Orm, provider: string, perMinute: number): Turns {
  return {
    take: async ({ owner, priority, queue }) => {
      const limit = perMinute - (priority > URGENT ? Math.floor(perMinute / KEPT) : 0);
      const { rows } = await sql<{ wait_ms: number }>`
        select take_provider_turn(${provider}, ${owner}, ${priority}, ${limit}, ${queue}) as wait_ms`.execute(
        pool(orm),
      );
      return rows[0]?.wait_ms ?? 0;
    },
    holdOff: async (ms) => {
      await sql`
        insert into provider_limits as l (provider, held_until)
        values (${provider}, clock_timestamp() + make_interval(secs => ${ms / 1000}))
        on conflict (provider) do update set held_until = greatest(l.held_until, excluded.held_until)`.execute(
        pool(orm),
      );
    },
  };
}
