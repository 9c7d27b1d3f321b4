/** `ESCROW_GATEWAY=direct`: whole orders without one request to Trustless Work, which is down all the time here. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { initialEscrow } from '../../providers/escrow/invocation.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type OrderBody,
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
} from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack({ environment: { ESCROW_GATEWAY: 'direct' } });
  market = await stack.createMarketplace({ platform_fee_bps: 50 });
  await stack.fault({ name: 'http_503', match: { face: 'trustless-work' } });
}, 120_000);
afterEach(() => expectCoherent(stack), 60_000);
afterAll(() => stack.stop());

/** Every request that Trustless Work got. */
const requests = async (): Promise<unknown[]> => (await stack.control<{ fired: unknown[] }>('GET', '/journal')).fired;

/** A step that ends with a transaction; the first answer may come before it. */
async function step(order: { readonly id: string }, path: string, body: unknown, status: string): Promise<OrderBody> {
  const { status: answered } = await insist(market.api, `/orders/${order.id}/${path}`, body);
  expect([200, 202]).toContain(answered);
  return untilStatus(market.api, order.id, status);
}

/** Task queues, without their prefix, on which the envelopes of an order were built. */
async function buildQueues(order: { readonly id: string }): Promise<Set<string | undefined>> {
  const { events } = await stack.client.workflow.getHandle(`order/${order.id}`).fetchHistory();
  const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: found }) => found ?? []);
  const builds = scheduled.filter(({ activityType }) => activityType?.name === 'prepareTransaction');
  return new Set(builds.map(({ taskQueue }) => taskQueue?.name?.replace(stack.env['TASK_QUEUE_PREFIX'] ?? '', '')));
}

test('orders go from creation to payout or refund, with and without milestones, and Trustless Work is never asked', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '350'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller, { amount: '250' });
  await driveToProgress(api, order.id);
  const evidence = [{ type: 'URL', value: 'https://example.com/a.png', note: null }];
  await step(order, 'deliver', { evidence }, 'IN_PROGRESS');
  expect(await step(order, 'resolution/release', {}, 'CLOSED')).toMatchObject({
    final_status: 'RELEASED',
    settlements: [{ user_id: seller.id, gross: '250', protocol_fee: '0.75', platform_fee: '1.25', net: '248' }],
  });
  expect(await balance(api, seller.id)).toMatchObject({ available: '248' });
  expect(await buildQueues(order)).toEqual(new Set(['chain']));

  const milestones = [
    { milestone_ref: 'first', title: 'Sketch', amount: '60' },
    { milestone_ref: 'second', title: 'Print', amount: '40' },
  ];
  const staged = await createOrder(api, buyer, seller, { amount: '100', milestones });
  await driveToProgress(api, staged.id);
  await step(staged, 'milestones/first/release', {}, 'IN_PROGRESS');
  expect(await step(staged, 'resolution/refund', { reason: 'no print' }, 'CLOSED')).toMatchObject({
    settlements: [
      { user_id: seller.id, gross: '60', net: '59.52' },
      { user_id: buyer.id, gross: '40', net: '39.68' },
    ],
  });
  expect(await requests()).toEqual([]);

  // The count is not empty for want of counting.
  await fetch(`${stack.sandboxUrl}/trustless-work/helper/get-escrow-by-contract-ids`);
  expect(await requests()).toHaveLength(1);
}, 240_000);

test('a factory that a stranger initialised parks the deploy, with what was found; nothing is signed', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '10'), readyUser(api)]);
  const { address: someone, call } = await createStranger(stack, '1');
  const [code = '', issuer = ''] = (stack.env['ASSETS'] ?? '').split(':');
  const { asset } = await stack.control<{ asset: { contract: string } }>('GET', '/info');
  const foreign = initialEscrow(
    {
      type: 'SINGLE_RELEASE',
      engagementId: 'mine',
      title: 'mine',
      description: '',
      roles: {
        approver: someone,
        serviceProvider: someone,
        platform: someone,
        releaseSigner: someone,
        disputeResolver: someone,
      },
      receiver: someone,
      amount: 1n,
      platformFeeBps: 0,
      asset: { code, issuer },
      milestones: [{ description: '', amount: 1n, receiver: someone }],
    },
    asset.contract,
  );
  await call(stack.env['ESCROW_FACTORY_SINGLE'] ?? '', 'initialize_escrow', foreign);

  const order = await createOrder(api, buyer, seller, { amount: '10' });
  await step(order, 'reserve', {}, 'FUNDS_RESERVED');
  await api('POST', `/orders/${order.id}/escrow`, {});
  const parked = await eventually(
    async () => {
      const now = await getOrder(api, order.id);
      return now.operation?.status === 'PARKED' ? now : null;
    },
    { timeoutMs: 120_000 },
  );
  expect(parked).toMatchObject({
    operation: { verb: 'escrow', transaction_hash: null },
    attention: { reason: 'ENVELOPE_REJECTED' },
    escrow: { contract_id: null },
  });
}, 240_000);
