/** Statements that a serving process sends again and again are parsed once per connection. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { openOrm } from '../../db/orm.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Names the answer, so that it is found among the session's statements; money as it is bound everywhere. */
const doubled = async (db: Sql, amount: bigint): Promise<string | undefined> =>
  (await sql<{ doubled: string }>`select ${amount}::bigint * 2 as doubled`.execute(db)).rows[0]?.doubled;

const kept = (db: Sql) =>
  sql<{ uses: number }>`
    select (generic_plans + custom_plans)::int as uses from pg_prepared_statements
    where statement like '%as doubled%'`.execute(db);

test.each([
  ['named statements are parsed once, inside transactions and outside', true, [{ uses: 8 }]],
  ['where a pooler cannot keep them, none is left on a connection', false, []],
])('%s', async (_words, preparedStatements, uses) => {
  const orm = await openOrm({ url: database.appUrl, poolMax: 1, preparedStatements });
  try {
    for (let n = 1n; n <= 6n; n += 1n) expect(await doubled(pool(orm), n << 53n)).toBe(String(n << 54n));
    const undone = inTransaction(orm, async (trx) => {
      await doubled(trx, 1n);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(await inTransaction(orm, (trx) => doubled(trx, 21n))).toBe('42');
    expect((await kept(pool(orm))).rows).toEqual(uses);
  } finally {
    await orm.close();
  }
});

test('a statement that was refused can be sent again', async () => {
  const orm = await openOrm({ url: database.appUrl, poolMax: 1, preparedStatements: true });
  try {
    const ratio = (by: number) => sql`select 12 / ${by}::int as ratio`.execute(pool(orm));
    expect((await ratio(3)).rows).toEqual([{ ratio: 4 }]);
    await expect(ratio(0)).rejects.toMatchObject({ code: '22012' });
    expect((await ratio(4)).rows).toEqual([{ ratio: 3 }]);
    await expect(sql`select ${1}::int from nowhere`.execute(pool(orm))).rejects.toMatchObject({ code: '42P01' });
    await expect(sql`select ${1}::int from nowhere`.execute(pool(orm))).rejects.toMatchObject({ code: '42P01' });
  } finally {
    await orm.close();
  }
});
