import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withClient } from '../../cli/stack/postgres.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test('the application’s role cannot change the schema', async () => {
  const attempt = withClient(database.appUrl, (client) => client.query('create table public.intruder (id int)'));
  await expect(attempt).rejects.toThrow(/permission denied/);
});

test('the application’s role can neither write nor empty a ledger table', async () => {
  for (const statement of [
    'delete from ledger_transfers',
    'truncate ledger_accounts',
    'update ledger_accounts set debits_posted = 1',
  ])
    await expect(withClient(database.appUrl, (client) => client.query(statement))).rejects.toThrow(/permission denied/);
});
