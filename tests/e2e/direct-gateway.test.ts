/** `ESCROW_GATEWAY=direct`: whole orders without one request to Trustless Work, which is down all the time here. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { initialEscrow } from '../../providers/escrow/invocation.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack({ environment: { ESCROW_GATEWAY: 'direct' } });
  market = await stack.createMarketplace({ platform_fee_bps: 50 });
  const down = { name: 'http_503', match: { face: 'trustless-work' } };
  await fetch(`${stack.sandboxUrl}/control/faults`, { method: 'POST', body: JSON.stringify(down) });
}, 120_000);
afterEach(() => expectCoherent(stack), 60_000);
afterAll(() => stack.stop());

/** Every request that Trustless Work got. */
async function requests(): Promise<unknown[]> {
  const response = await fetch(`${stack.sandboxUrl}/control/journal`);
  return ((await response.json()) as { fired: unknown[] }).fired;
}

test('an order goes from creation to its payout, and Trustless Work is never asked', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '250'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller, { amount: '250' });
  await driveToProgress(api, order.id);
  const evidence = [{ type: 'URL', value: 'https://example.com/a.png', note: null }];
  await insist(api, `/orders/${order.id}/deliver`, { evidence });
  await insist(api, `/orders/${order.id}/resolution/release`, {});
  expect(await untilStatus(api, order.id, 'CLOSED')).toMatchObject({
    final_status: 'RELEASED',
    settlements: [{ user_id: seller.id, gross: '250', protocol_fee: '0.75', platform_fee: '1.25', net: '248' }],
  });
  expect(await balance(api, seller.id)).toMatchObject({ available: '248' });
  expect(await requests()).toEqual([]);

  // The count is not empty for want of counting.
  await fetch(`${stack.sandboxUrl}/trustless-work/helper/get-escrow-by-contract-ids`);
  expect(await requests()).toHaveLength(1);
}, 240_000);

test('a factory that a stranger initialised parks the deploy, with what was found; nothing is signed', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '10'), readyUser(api)]);
  const stranger = await createStranger(stack, '1');
  const someone = stranger.address;
  const [code = '', issuer = ''] = (stack.env['ASSETS'] ?? '').split(':');
  const escrow = initialEscrow(
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
    await assetContract(),
  );
  await stranger.call(stack.env['ESCROW_FACTORY_SINGLE'] ?? '', 'initialize_escrow', escrow);

  const order = await createOrder(api, buyer, seller, { amount: '10' });
  expect((await insist(api, `/orders/${order.id}/reserve`, {})).status).toBe(200);
  await verb(api, order.id, 'escrow');
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

async function assetContract(): Promise<string> {
  const response = await fetch(`${stack.sandboxUrl}/control/info`);
  return ((await response.json()) as { asset: { contract: string } }).asset.contract;
}
