/**
 * The only worker is killed with SIGKILL at random moments while twenty orders run. Afterwards everything is settled,
 * nothing happened twice, and the books equal the chain (F1–F5, F24).
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import { type OrderBody, balance, createOrder, fundedUser, getOrder, readyUser } from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually, randomMoment } from '../support/wait.ts';

const ORDERS = 20;
const KILLS = 3;
const BUYERS = 5;

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
}, 120_000);
afterAll(() => stack.stop());

test('twenty orders survive a worker that is killed again and again', async () => {
  const { api } = market;
  const seller = await readyUser(api);
  const buyers = await Promise.all(Array.from({ length: BUYERS }, () => fundedUser(api, '1000')));
  const orders = await Promise.all(
    Array.from({ length: ORDERS }, (_, index) =>
      createOrder(api, buyers[index % BUYERS] ?? seller, seller, { auto: true, amount: String(index + 1) }),
    ),
  );
  let finished = false;
  const killing = (async () => {
    for (let kill = 0; kill < KILLS && !finished; kill += 1) {
      await randomMoment(500, 3_500);
      await stack.killWorker();
      await stack.startWorker();
    }
  })();
  await Promise.all(orders.map((order) => release(order)));
  finished = true;
  await killing;

  const settled = await Promise.all(orders.map((order) => getOrder(api, order.id)));
  for (const order of settled)
    expect(order).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED', attention: null });
  // Of 1 + 2 + … + 20 the buyers paid every fifth, once.
  for (const [index, buyer] of buyers.entries()) {
    const spent = Array.from({ length: ORDERS / BUYERS }, (_, order) => order * BUYERS + index + 1);
    const left = 1000 - spent.reduce((sum, amount) => sum + amount, 0);
    expect(await balance(api, buyer.id)).toMatchObject({ total: String(left), reserved: '0', in_escrow: '0' });
  }
  await expectCoherent(stack);

  /** As a marketplace would: ask again until it is done; a refusal while another attempt runs is no failure. */
  async function release(order: OrderBody): Promise<void> {
    await eventually(
      async () => {
        const now = await getOrder(api, order.id);
        if (now.status === 'IN_PROGRESS') return true;
        throw new Error(`not in progress: ${JSON.stringify(now)}`);
      },
      { timeoutMs: 400_000, everyMs: 500 },
    );
    await eventually(
      async () => {
        const now = await getOrder(api, order.id);
        if (now.status === 'CLOSED') return true;
        if (now.operation?.status !== 'RUNNING') await api('POST', `/orders/${order.id}/resolution/release`, {});
        return null;
      },
      { timeoutMs: 400_000, everyMs: 500 },
    );
  }
}, 900_000);
