/**
 * What a step learns of an order under its lock: the truth of that moment, however long it stood before the lock; and of a
 * dispute's transactions, before it lets a decision go.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type OrderRow, lockOrder } from '../../activities/booking/order-row.ts';
import { createDisputeResolution } from '../../activities/disputes/resolution.ts';
import type { Deps } from '../../activities/context.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { disputeWorkflowId } from '../../domain/workflow-ids.ts';
import { asActivity } from '../support/activity.ts';
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

/** Decided and parked, with one transaction. @returns what failing it makes of it */
async function letGo(status: string, booked: boolean): Promise<{ status: string; operation: string | undefined }> {
  const [id, orderId] = [newId('dispute'), await orderWithMilestone()];
  const workflowId = disputeWorkflowId(id);
  const part = { index: 0, ref: 'm1', seller_id: 'usr_2', amount: '1', shares: { seller: '0', buyer: '1' } };
  const parts = [{ ...part, approved: false, opened: false, outcome: null, transaction_hash: null }];
  const operation = { id: 'op_1', verb: 'resolve', status: 'PARKED', request_id: null };
  await sql`
    insert into disputes (id, order_id, marketplace_id, amount, asset, opened_by, reason, status, parts, decision,
      operation, created_at, updated_at)
    values (${id}, ${orderId}, 'mkt_1', 1, 'USDC', 'BUYER', 'OTHER', 'RESOLVING', ${JSON.stringify(parts)}, 'FULL_REFUND',
      ${JSON.stringify(operation)}, now(), now())`.execute(db);
  await sql`
    insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, order_id, status, source, sequence,
      max_time, unsigned_envelope, inner_hash, created_at, booked_at)
    values (${id}, ${`${workflowId}/dispute:0`}, 1, '{}', ${workflowId}, ${orderId}, ${status}, 'G1', 1, 1, '', ${id}, now(),
      ${booked ? new Date() : null})`.execute(db);
  const { failResolution } = createDisputeResolution({ orm } as Deps);
  const dead = { operation_id: 'op_1', reason: 'CANCELED', detail: 'given up', transaction_hash: null };
  const state = await asActivity(workflowId, 1, () => failResolution({ dispute_id: id, ...dead }));
  return { status: state.status, operation: state.operation?.status };
}

test.each([
  ['SIGNED', false],
  ['SUBMITTED', false],
  ['CONFIRMED', false],
])('a decision of which a transaction is %s is not let go: it is driven on', async (status, booked) => {
  expect(await letGo(status, booked)).toEqual({ status: 'RESOLVING', operation: 'RUNNING' });
});

test.each([
  ['PREPARED', false],
  ['DEAD', true],
  ['CONFIRMED', true],
])('a decision of which all is told is let go: %s', async (status, booked) => {
  expect(await letGo(status, booked)).toEqual({ status: 'OPEN', operation: 'FAILED' });
});
