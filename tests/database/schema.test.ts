/** The migrated schema and what the code believes of it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withClient } from '../../cli/stack/postgres.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import {
  CHAIN_TRANSACTION_STATUSES,
  DUE_ACTIONS,
  ESCROW_STATUSES,
  ESCROW_TYPES,
  FINAL_STATUSES,
  MILESTONE_STATUSES,
  ORDER_STATUSES,
  RESERVATIONS,
  WAITS,
} from '../../domain/statuses.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let orm: Orm;
beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.ownerUrl, poolMax: 2 });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});

test.each([
  ['orders', 'status', ORDER_STATUSES],
  ['orders', 'final_status', FINAL_STATUSES],
  ['orders', 'reservation', RESERVATIONS],
  ['orders', 'waiting_for', WAITS],
  ['orders', 'due_action', DUE_ACTIONS],
  ['milestones', 'status', MILESTONE_STATUSES],
  ['escrows', 'status', ESCROW_STATUSES],
  ['escrows', 'type', ESCROW_TYPES],
  ['chain_transactions', 'status', CHAIN_TRANSACTION_STATUSES],
] as const)('%s.%s takes exactly the values of its union', async (table, column, union) => {
  const { rows } = await withClient(database.ownerUrl, (client) =>
    client.query<{ definition: string }>(
      `select pg_get_constraintdef(oid) as definition from pg_constraint
       where conrelid = $1::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%' || $2 || '%'
         and conname = $1 || '_' || $2 || '_check'`,
      [table, column],
    ),
  );
  const values = [...(rows[0]?.definition ?? '').matchAll(/'([A-Z_]+)'/g)].map(([, value]) => value);
  expect(values.sort()).toEqual([...union].sort());
});

test('the entities describe the migrated schema', async () => {
  const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false, safe: true });
  // Partial indexes and checks that no entity can express stand in the migrations alone.
  const missing = difference.split('\n').filter((line) => line !== '' && !/drop (index|constraint) /.test(line));
  expect(missing).toEqual([]);
});
