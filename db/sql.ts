/** Bound SQL inside a transaction: `sql\`…\`.execute(trx)` with Kysely's tag. */
import type { Kysely } from 'kysely';
import type { Orm } from './orm.ts';

/** A connection that speaks SQL: the pool, or an open transaction. Tables are not typed; each statement states its row. */
export type Sql = Kysely<Record<string, never>>;

const pools = new WeakMap<Orm, Sql>();

/** Single statements outside a transaction. */
export function pool(orm: Orm): Sql {
  // Kept: a fork of the entity manager for each statement costs as much as a short statement does.
  const known = pools.get(orm);
  if (known !== undefined) return known;
  const db = orm.em.fork().getKysely() as unknown as Sql;
  pools.set(orm, db);
  return db;
}

/** Runs `work` in one transaction of the pool; commits when it resolves, rolls back when it throws. */
export async function inTransaction<T>(orm: Orm, work: (trx: Sql) => Promise<T>): Promise<T> {
  return pool(orm).transaction().execute(work);
}
