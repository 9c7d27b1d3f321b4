/**
 * Providers that are down for long, and networks reached through two of them: what waits is shown and goes on by itself,
 * operators see one item per outage, and every order ends as it would have.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { expectCoherent } from '../support/coherent.ts';
import { type OrderBody, createOrder, fundedUser, getOrder, readyUser, untilStatus, verb } from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const PATIENCE = { timeoutMs: 120_000 };
const ORDERS = 4;

let stack: TestStack;
let market: TestMarketplace;
let orm: Orm;
let buyer: { readonly id: string };
let seller: { readonly id: string };

beforeAll(async () => {
  stack = await startTestStack();
  // The network through two nodes: faults tell them apart by path.
  await stack.killWorker('SIGTERM');
  await stack.startAnotherWorker({ SOROBAN_RPC_URL: `${stack.sandboxUrl}/rpc/one,${stack.sandboxUrl}/rpc/two` });
  market = await stack.createMarketplace();
  orm = await openOrm({ url: stack.databaseUrls.app, poolMax: 2 });
  [buyer, seller] = await Promise.all([fundedUser(market.api, '1000'), readyUser(market.api)]);
}, 180_000);
afterAll(async () => {
  await orm.close();
  await stack.stop();
});

const providers = async () =>
  (await stack.api<{ providers: Record<string, string> }>('GET', '/health/detailed')).body.providers;
const outages = async () => {
  const { rows } = await sql<{ name: string; open: boolean }>`
    select resource_id as name, cleared_at is null as open from attention where resource_type = 'provider'`.execute(
    pool(orm),
  );
  return rows;
};

test('an outage of the gateway is one item for all orders that wait; each shows it and goes on by itself', async () => {
  const { api } = market;
  const orders = await Promise.all(Array.from({ length: ORDERS }, () => createOrder(api, buyer, seller)));
  for (const { id } of orders) await verb(api, id, 'reserve');
  await stack.fault({ name: 'http_503', match: { face: 'trustless-work' } });
  for (const { id } of orders) expect((await api('POST', `/orders/${id}/escrow`, {})).status).toBe(202);

  const before = await getOrder(api, orders[0]?.id ?? '');
  for (const { id } of orders)
    await eventually(async () => (await getOrder(api, id)).waiting_for === 'PROVIDER', PATIENCE);
  // Who waits for a change is told: it is another version.
  if (before.waiting_for === null) expect((await getOrder(api, before.id)).version).toBeGreaterThan(before.version);

  await eventually(async () => (await providers())['trustless-work']?.startsWith('down since '), PATIENCE);
  expect(await outages()).toEqual([{ name: 'trustless-work', open: true }]);
  expect((await market.api('GET', '/health/ready')).status).toBe(200);

  await stack.calm();
  for (const { id } of orders) {
    const done: OrderBody = await untilStatus(api, id, 'ESCROW_FUNDING');
    expect(done).toMatchObject({ waiting_for: null, attention: null });
  }
  await eventually(async () => (await providers())['trustless-work'] === 'ok', PATIENCE);
  expect(await outages()).toEqual([{ name: 'trustless-work', open: false }]);
}, 300_000);

test('with one node down and the other one now and then ledgers behind, an order goes through as ever', async () => {
  const { api } = market;
  const order = await createOrder(api, buyer, seller);
  await stack.fault({ name: 'http_502', match: { face: 'rpc', path: '/one' } });
  await stack.fault({ name: 'stale_index', ledgers: 3, probability: 0.3, match: { face: 'rpc', path: '/two' } });
  for (const path of ['reserve', 'escrow', 'escrow/fund']) await verb(api, order.id, path);
  await untilStatus(api, order.id, 'IN_PROGRESS');
  await verb(api, order.id, 'resolution/release');
  await untilStatus(api, order.id, 'CLOSED');
  // They change places.
  await stack.calm();
  await stack.fault({ name: 'http_502', match: { face: 'rpc', path: '/two' } });
  const next = await createOrder(api, buyer, seller, { auto: true });
  await untilStatus(api, next.id, 'IN_PROGRESS');
  await stack.calm();
  await expectCoherent(stack);
}, 300_000);
