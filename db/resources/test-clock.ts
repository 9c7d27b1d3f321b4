/** Test clocks: how far a marketplace's business time is ahead. */
import { sql } from 'kysely';
import { newId } from '../../domain/ids.ts';
import type { Sql } from '../sql.ts';

export interface TestClock {
  readonly id: string;
  /** milliseconds ahead of the clock */
  readonly offsetMs: number;
}

/** Makes the marketplace's clock, or finds it. */
export async function createTestClock(db: Sql, marketplaceId: string): Promise<TestClock> {
  const { rows } = await sql<TestClock>`
    insert into test_clocks (id, marketplace_id, offset_ms, created_at)
    values (${newId('testClock')}, ${marketplaceId}, 0, now())
    on conflict (marketplace_id) do update set offset_ms = test_clocks.offset_ms
    returning id, offset_ms::float8 as "offsetMs"`.execute(db);
  if (rows[0] === undefined) throw new Error(`no test clock of ${marketplaceId}`);
  return rows[0];
}

/** Null: the marketplace has no such clock. */
export async function advanceTestClock(
  db: Sql,
  marketplaceId: string,
  id: string,
  byMs: number,
): Promise<TestClock | null> {
  const { rows } = await sql<TestClock>`
    update test_clocks set offset_ms = offset_ms + ${byMs} where id = ${id} and marketplace_id = ${marketplaceId}
    returning id, offset_ms::float8 as "offsetMs"`.execute(db);
  return rows[0] ?? null;
}
