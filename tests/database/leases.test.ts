/** One source account is used by one transaction at a time. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { acquireLease, freeOrphanedLeases, releaseLease } from '../../activities/chain/leases.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type Sql, pool } from '../../db/sql.ts';
import { createTestDatabase } from '../support/database.ts';

const SOURCE = 'GSOURCE';
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: Orm;
let db: Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.ownerUrl });
  db = pool(orm);
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});
beforeEach(async () => {
  await sql`delete from source_leases`.execute(db);
  await sql`delete from chain_transactions`.execute(db);
});

const acquire = (owner: string, priority = 5) => acquireLease(pool(orm), SOURCE, owner, priority);

async function transaction(owner: string, status: string): Promise<void> {
  await sql`
    insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, status, source, sequence, max_time,
      unsigned_envelope, inner_hash, created_at)
    values (${owner}, ${owner}, 1, '{}', 'w', ${status}, ${SOURCE}, 1, 1, '', ${owner}, now())`.execute(db);
}

const longAgo = () => sql`update source_leases set polled_at = now() - interval '1 hour'`.execute(db);

test('of twenty that ask at once one gets it, and it stays with that one', async () => {
  const owners = Array.from({ length: 20 }, (_, index) => `order/${index}`);
  const answers = await Promise.all(owners.map((owner) => acquire(owner)));
  const holders = owners.filter((_, index) => answers[index] === 0);
  expect(holders).toHaveLength(1);
  expect(await acquire(holders[0] ?? '')).toBe(0);
});

test('it goes to the most urgent, then to who came first', async () => {
  await acquire('holder');
  expect(await acquire('deploy', 5)).toBe(1);
  expect(await acquire('second deploy', 5)).toBe(2);
  expect(await acquire('release', 1)).toBe(1);
  await releaseLease(db, 'holder');
  expect(await acquire('second deploy', 5)).toBe(2);
  expect(await acquire('release', 1)).toBe(0);
  await releaseLease(db, 'release');
  expect(await acquire('deploy', 5)).toBe(0);
});

test('who stopped asking holds nobody up', async () => {
  await acquire('holder');
  await acquire('gone');
  await longAgo();
  expect(await acquire('here')).toBe(1);
  await releaseLease(db, 'holder');
  expect(await acquire('here')).toBe(0);
});

test('it is not given back while an envelope that may land uses it', async () => {
  await acquire('order/1');
  await transaction('order/1', 'SIGNED');
  await releaseLease(db, 'order/1');
  expect(await acquire('order/2')).toBe(1);
});

test.each([
  ['settled', 'CONFIRMED', 1],
  ['dead', 'DEAD', 1],
  ['not signed, and without the lease it will not be', 'PREPARED', 1],
  ['signed', 'SIGNED', 0],
  ['on its way', 'SUBMITTED', 0],
])('one that nobody asks for is freed, unless its transaction may land: %s', async (_words, status, freed) => {
  await acquire('order/1');
  await transaction('order/1', status);
  expect(await freeOrphanedLeases(db)).toBe(0);
  await longAgo();
  expect(await freeOrphanedLeases(db)).toBe(freed);
});
