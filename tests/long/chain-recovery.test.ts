/**
 * The chain step in the whole system: a worker that dies with transactions in hand at every stage, a network that has
 * become dear, answers that got lost, and workflows that are gone while something is owed to their orders.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createOrderActivities } from '../../activities/index.ts';
import { withClient } from '../../cli/stack/postgres.ts';
import { orderWakeSignal } from '../../workflows/messages.ts';
import { asActivity } from '../support/activity.ts';
import { expectCoherent } from '../support/coherent.ts';
import { reconcileNow, withDeps } from '../support/deps.ts';
import {
  type OrderBody,
  WAIT,
  balance,
  createOrder,
  deposit,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;
let buyer: { readonly id: string };
let seller: { readonly id: string };

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
  [buyer, seller] = await Promise.all([fundedUser(market.api, '1000'), readyUser(market.api)]);
}, 180_000);
afterEach(async () => {
  await stack.calm();
  await expectCoherent(stack);
}, 90_000);
afterAll(() => stack.stop());

const rows = <T>(text: string, ...values: unknown[]): Promise<T[]> =>
  withClient(stack.databaseUrls.owner, async (owner) => (await owner.query(text, values)).rows);

const lose = (orderId: string) => stack.client.workflow.getHandle(`order/${orderId}`).terminate('lost');

const reconcile = () => reconcileNow(stack, stack.client);

async function escrowed(): Promise<OrderBody> {
  const order = await createOrder(market.api, buyer, seller);
  for (const path of ['reserve', 'escrow']) await verb(market.api, order.id, path);
  return untilStatus(market.api, order.id, 'ESCROW_FUNDING');
}

test.each([
  ['building', { path: '/fund-escrow' }],
  ['submitting', { body: 'sendTransaction' }],
  ['looking for it', { body: 'getTransaction"' }],
])(
  'a worker that is killed while %s leaves a funding that is done once',
  async (_words, match) => {
    const { api } = market;
    const order = await escrowed();
    const before = await balance(api, buyer.id);
    await stack.fault({ name: 'timeout', match });
    await api('POST', `/orders/${order.id}/escrow/fund`, {});
    await eventually(async () => (await stack.control<{ fired: unknown[] }>('GET', '/journal')).fired.length > 0, {
      timeoutMs: 120_000,
    });
    await stack.killWorker();
    await stack.calm();
    await stack.startWorker();
    await untilStatus(api, order.id, 'IN_PROGRESS');
    const after = await balance(api, buyer.id);
    expect(Number(before.total) - Number(after.total)).toBe(25);
    expect(
      await rows(
        "select attempt, status from chain_transactions where order_id = $1 and intent->>'kind' = 'FUND_ESCROW'",
        order.id,
      ),
    ).toEqual([{ attempt: 1, status: 'CONFIRMED' }]);
  },
  240_000,
);

test('a funding that the network passes over bids more until it gets in', async () => {
  const { api } = market;
  const order = await escrowed();
  // It begins with the submission, and lasts long enough for the slowest machine to bid again.
  await stack.control('POST', '/clock', { ledger_ms: 500 });
  await stack.fault({ name: 'fee_surge', fee: 50_000, ledgers: 64, match: { body: 'sendTransaction' } });
  await api('POST', `/orders/${order.id}/escrow/fund`, {});
  await untilStatus(api, order.id, 'IN_PROGRESS');
  const envelopes = await rows<{ n: number; fee: string }>(
    `select count(*)::int as n, t.fee_charged::text as fee from chain_envelopes e
     join chain_transactions t on t.id = e.transaction_id
     where t.order_id = $1 and t.intent->>'kind' = 'FUND_ESCROW' group by t.id`,
    order.id,
  );
  expect(envelopes).toEqual([{ n: 2, fee: expect.stringMatching(/^[1-9]\d*$/) }]);
  await stack.control('POST', '/clock', { ledger_ms: 100 });
}, 240_000);

test.each([
  ['reserve', 'FUNDS_RESERVED'],
  ['escrow', 'ESCROW_FUNDING'],
])(
  'a %s whose answer and workflow are lost is answered from the row when it is sent again',
  async (path, status) => {
    const { api } = market;
    const order = await createOrder(api, buyer, seller);
    if (path === 'escrow') await verb(api, order.id, 'reserve');
    const key = randomUUID();
    const send = () => api<OrderBody>('POST', `/orders/${order.id}/${path}`, {}, { ...WAIT, 'idempotency-key': key });
    const first = await send();
    expect(first).toMatchObject({ status: 200, body: { status } });
    // As if the API had died before it noted its answer.
    await rows(
      'update idempotency_keys set finished_at = null, response_status = null, response_body = null, response_headers = null where key = $1',
      key,
    );
    await lose(order.id);
    const again = await send();
    expect(again).toMatchObject({
      status: 200,
      body: { status, operation: { id: first.body.operation?.id, status: 'SUCCEEDED' } },
    });
  },
  180_000,
);

test('an order that waits for money goes on when its workflow was lost before the money came', async () => {
  const { api } = market;
  const poor = await readyUser(api);
  const order = await createOrder(api, poor, seller, { auto: true });
  await eventually(async () => (await getOrder(api, order.id)).waiting_for === 'DEPOSIT', { timeoutMs: 120_000 });
  await lose(order.id);
  await deposit(api, poor.id, '30');
  await reconcile();
  expect(await untilStatus(api, order.id, 'IN_PROGRESS')).toMatchObject({ attention: null });
}, 240_000);

test('an order whose time is over is closed though its workflow was lost', async () => {
  const { api } = market;
  const order = await createOrder(api, buyer, seller, { deadlines: { funding: 'PT3S' } });
  await verb(api, order.id, 'reserve');
  await lose(order.id);
  await eventually(
    async () => {
      await reconcile();
      return (await getOrder(api, order.id)).status === 'CLOSED';
    },
    { timeoutMs: 120_000 },
  );
  expect(await getOrder(api, order.id)).toMatchObject({ final_status: 'EXPIRED', reservation: null });
}, 240_000);

test('a step that a dying worker began on the row, unheard of in the history, is taken up', async () => {
  const { api } = market;
  // The seller's wallet cannot be created: the order waits for it, its money reserved.
  await stack.fault({ name: 'try_again_later' });
  const { body: late } = await api<{ id: string }>('POST', '/users', { external_user_id: `u-${randomUUID()}` });
  const order = await createOrder(api, buyer, late, { auto: true });
  await eventually(async () => (await getOrder(api, order.id)).waiting_for === 'WALLET', { timeoutMs: 120_000 });
  await stack.killWorker();
  const workflowId = `order/${order.id}`;
  const operation = {
    operation_id: `op_${randomUUID()}`,
    cause: 'API',
    request_id: null,
    actor: null,
    reason: null,
  } as const;
  await withDeps(stack, stack.client, (deps) =>
    asActivity(workflowId, 1, () =>
      createOrderActivities(deps).beginOperation({ order_id: order.id, verb: 'escrow', ...operation }),
    ),
  );
  await stack.calm();
  await stack.startWorker();
  await stack.client.workflow.getHandle(workflowId).signal(orderWakeSignal, { cause: 'WALLET' });
  expect(await untilStatus(api, order.id, 'IN_PROGRESS')).toMatchObject({ attention: null });
}, 240_000);
