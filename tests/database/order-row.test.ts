/** What a step learns of an order under its lock: the truth of that moment, however long it stood before the lock. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type OrderRow, lockOrder } from '../../activities/booking/order-row.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/wait.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: Orm;
let db: Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl });
  db = pool(orm);
  await sql`
    insert into marketplaces (id, name, status, default_asset, platform_fee_bps, payment_provider, deadlines, created_at)
    values ('mkt_1', 'Market', 'ACTIVE', 'USDC', 50, 'crypto-native', '{}', now())`.execute(db);
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});

async function orderWithMilestone(): Promise<string> {
  const id = newId('order');
  await sql`
    insert into orders (id, marketplace_id, body_hash, buyer_id, seller_id, amount, asset, title, platform_fee_bps, auto,
      status, deadlines, due_times, metadata, created_at, updated_at)
    values (${id}, 'mkt_1', '', 'usr_1', 'usr_2', 1, 'USDC', 'Logo', 0, false, 'IN_PROGRESS', '{}', '{}', '{}', now(),
      now())`.execute(db);
  await sql`
    insert into milestones (order_id, index, milestone_ref, title, amount, seller_id, status)
    values (${id}, 0, 'm1', 'Draft', 1, 'usr_2', 'OPEN')`.execute(db);
  return id;
}

/** @returns what one transaction read at the lock, and what another one read that stood before it meanwhile */
async function oneAfterTheOther(
  orderId: string,
  change: (trx: Sql) => Promise<unknown>,
): Promise<[OrderRow, OrderRow]> {
  let second: Promise<OrderRow | null> = Promise.resolve(null);
  const waits = async (): Promise<boolean> => {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    return rows[0]?.n === 1;
  };
  const first = await inTransaction(orm, async (trx) => {
    await lockOrder(trx, orderId);
    second = inTransaction(orm, (other) => lockOrder(other, orderId));
    await eventually(waits);
    await change(trx);
    return lockOrder(trx, orderId);
  });
  const later = await second;
  if (later === null) throw new Error('nobody came');
  return [first, later];
}

test.each([
  ['only looked', () => Promise.resolve()],
  ['changed the order', (trx: Sql) => sql`update orders set status = 'RELEASE_REQUESTED'`.execute(trx)],
])('who comes after one that %s is later', async (_words, change) => {
  const [first, second] = await oneAfterTheOther(await orderWithMilestone(), change);
  expect(second.status).toBe(first.status);
  expect(second.asOf).toBeGreaterThan(first.asOf);
});

test('who waited for a change of a milestone sees it', async () => {
  const [, second] = await oneAfterTheOther(await orderWithMilestone(), async (trx) => {
    await sql`update milestones set status = 'RELEASED'`.execute(trx);
    await sql`update orders set updated_at = now()`.execute(trx);
  });
  expect(second.parts).toMatchObject([{ status: 'RELEASED' }]);
});
