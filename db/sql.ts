/** Bound SQL inside a transaction: `sql\`…\`.execute(trx)` with Kysely's tag. */
import type { Kysely } from 'kysely';
import type { Orm } from './orm.ts';

/** A connection that speaks SQL: the pool, or an open transaction. Tables are not typed; each statement states its row. */
export type Sql = Kysely<Record<string, never>>;

/** Runs `work` in one transaction of the pool; commits when it resolves, rolls back when it throws. */
export async function inTransaction<T>(orm: Orm, work: (trx: Sql) => Promise<T>): Promise<T> {
  return orm.em.fork().transactional((em) => work(em.getKysely() as unknown as Sql));
}

/** Single statements outside a transaction. */
export const pool = (orm: Orm): Sql => orm.em.fork().getKysely() as unknown as Sql;
