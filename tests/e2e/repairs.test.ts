/** Repairs that move money over HTTP: somebody cannot be paid, two persons decide who is instead, the books follow the chain. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createOrderParking } from '../../activities/booking/order-parking.ts';
import { proposeOrApprove } from '../../db/repair-approvals.ts';
import { inTransaction } from '../../db/sql.ts';
import type { AttentionResource } from '../../domain/resources/attention.ts';
import type { DisputeResource } from '../../domain/resources/dispute.ts';
import { disputeWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import { asActivity } from '../support/activity.ts';
import { expectCoherent } from '../support/coherent.ts';
import { reconcileNow, withDeps } from '../support/deps.ts';
import {
  type OrderBody,
  type ProblemBody,
  type UserBody,
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
} from '../support/flows.ts';
import { createOwnWallet, ownUser } from '../support/own-wallet.ts';
import { key, keyOf, onChain, systemAddress } from '../support/payments.ts';
import {
  type Answer,
  type Body,
  type Call,
  type TestMarketplace,
  type TestStack,
  startTestStack,
} from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

const PATIENCE = { timeoutMs: 120_000 };

let stack: TestStack;
let market: TestMarketplace;
let api: Call;
/** support of two persons */
let alice: Call;
let bob: Call;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace({ platform_fee_bps: 50 });
  ({ api } = market);
  alice = await keyOf(stack, market, 'alice', ['support']);
  bob = await keyOf(stack, market, 'bob', ['support']);
}, 120_000);
afterAll(() => stack.stop());
afterEach(() => expectCoherent(stack), 60_000);

const addressOf = ({ wallet }: UserBody): string => wallet.address ?? '';
const freeze = (user: UserBody) => stack.control('POST', '/freeze', { address: addressOf(user) });
const terminate = (workflowId: string) => stack.client.workflow.getHandle(workflowId).terminate('lost');

/** Something whose transactions follow. */
const begin = async (path: string, body: Body = {}) => expect((await api('POST', path, body, key())).status).toBe(202);

/** `orchestrator …` */
async function command(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, ...stack.env };
  return (await promisify(execFile)(process.execPath, ['cli/main.ts', ...args], { env })).stdout;
}

async function runningOrder(fields: Body = {}, selling = readyUser(api)) {
  const [buyer, seller] = await Promise.all([fundedUser(api, '30'), selling]);
  const { id } = await createOrder(api, buyer, seller, fields);
  return { buyer, seller, order: await driveToProgress(api, id) };
}

/** The matter for which an order or a dispute is parked, when it is another one than `before`. */
const parked = (path: string, before: AttentionResource | null = null) =>
  eventually(async () => {
    const { operation, attention } = (await api<OrderBody>('GET', path)).body;
    if (operation?.status !== 'PARKED' || attention === null || attention.id === before?.id) return null;
    return (await api<AttentionResource>('GET', `/attention/${attention.id}`)).body;
  }, PATIENCE);

type Repaired = AttentionResource & ProblemBody;
const payoutTo = (by: Call, { id }: AttentionResource, address: string): Promise<Answer<Repaired>> =>
  insist<Repaired>(by, `/attention/${id}/repair`, { action: 'payout_to', address, reason: 'frozen' });

test('who cannot be released to is paid elsewhere, on the word of two persons', async () => {
  const { seller, order } = await runningOrder();
  const [outside, other] = await Promise.all([createStranger(stack, '1'), createStranger(stack, '1')]);
  await freeze(seller);
  await begin(`/orders/${order.id}/resolution/release`);
  const matter = await parked(`/orders/${order.id}`);
  expect(matter).toMatchObject({ reason: 'TRUSTLINE_UNUSABLE', proposal: null });
  expect(matter.allowed_repairs).toEqual(['retry', 'adopt', 'give_up', 'payout_to']);

  const repair = (body: Body) => alice<ProblemBody>('POST', `/attention/${matter.id}/repair`, body);
  for (const [body, pointer] of [
    [{ action: 'payout_to' }, '/address'],
    [{ action: 'retry', address: other.address }, '/address'],
    [{ action: 'adopt' }, '/transaction_hash'],
    [{ action: 'payout_to', address: other.address, transaction_hash: 'ab'.repeat(32) }, '/transaction_hash'],
  ] as const)
    expect(await repair(body)).toMatchObject({
      status: 422,
      body: { code: 'VALIDATION_ERROR', errors: [{ pointer }] },
    });
  const unpayable = [
    'nonsense',
    order.escrow?.contract_id,
    addressOf(seller),
    await systemAddress(stack, 'OPERATOR', market.id),
    'GAAZI4TCR3TY5OJHCTJC2A4QSY6CJWJH5IAJTGKIN2ER7LBNVKOCCWN7',
  ];
  for (const address of unpayable)
    expect(await repair({ action: 'payout_to', address })).toMatchObject({
      status: 422,
      body: { code: 'DESTINATION_INVALID', errors: [{ pointer: '/address' }] },
    });

  const proposal = { action: 'payout_to', address: other.address, amount: '25', asset: 'USDC', reason: 'frozen' };
  // Nobody is his own second person, and a key that names nobody is none.
  for (const by of [alice, alice, api])
    expect(await payoutTo(by, matter, other.address)).toMatchObject({ status: 202, body: { proposal } });
  // Another address is another proposal, with the other person as its first.
  for (const by of [bob, bob])
    expect((await payoutTo(by, matter, outside.address)).body.proposal?.address).toBe(outside.address);
  expect(await getOrder(api, order.id)).toMatchObject({ status: 'RELEASE_REQUESTED', operation: { status: 'PARKED' } });
  // Approved by two; nothing is paid before the marketplace goes on.
  await stack.api('POST', `/marketplaces/${market.id}/pause`, {});
  const paused = await repair({ action: 'payout_to', address: outside.address });
  expect(paused).toMatchObject({ status: 409, body: { code: 'MARKETPLACE_PAUSED', retryable: true } });
  await stack.api('POST', `/marketplaces/${market.id}/resume`, {});
  expect((await payoutTo(alice, matter, outside.address)).status).toBe(202);

  const closed = await untilStatus(api, order.id, 'CLOSED');
  expect(closed).toMatchObject({ final_status: 'RELEASED', operation: { cause: 'REPAIR', status: 'SUCCEEDED' } });
  const [settled] = closed.settlements;
  expect(settled).toMatchObject({ user_id: seller.id, party: 'SELLER', gross: '25', net: '24.8' });
  expect(await onChain(stack, outside.address)).toBe('25.8000000');
  expect(await onChain(stack, other.address)).toBe('1.0000000');
  expect(await balance(api, seller.id)).toMatchObject({ total: '0' });
  expect(await payoutTo(alice, matter, outside.address)).toMatchObject({
    status: 409,
    body: { code: 'INVALID_STATE' },
  });
}, 180_000);

test('a refund goes to another user’s wallet, milestone by milestone, also when worker and workflow die', async () => {
  const milestones = ['10', '15'].map((amount, index) => ({ milestone_ref: `m${index}`, title: 'Part', amount }));
  const [{ buyer, order }, friend] = await Promise.all([runningOrder({ milestones }), readyUser(api)]);
  await freeze(buyer);
  await begin(`/orders/${order.id}/resolution/refund`, { reason: 'not wanted' });
  const first = await parked(`/orders/${order.id}`);
  // The dispute is open on chain: there is no way back.
  expect(first.allowed_repairs).toEqual(['retry', 'adopt', 'payout_to']);
  await payoutTo(alice, first, addressOf(friend));
  await stack.killWorker();
  const approving = payoutTo(bob, first, addressOf(friend));
  await stack.startWorker();
  expect((await approving).status).not.toBe(422);
  const second = await parked(`/orders/${order.id}`, first);
  expect(await balance(api, friend.id)).toMatchObject({ available: '9.92' });

  const said = ['--address', addressOf(friend), '--person', 'carol', '--note', 'frozen'];
  expect(await command('payout-to', order.id, ...said)).toContain('"event":"repair.proposed"');
  await terminate(orderWorkflowId(order.id));
  await payoutTo(bob, second, addressOf(friend));
  const closed = await untilStatus(api, order.id, 'CLOSED');
  expect(closed).toMatchObject({
    final_status: 'REFUNDED',
    settlements: [{ user_id: buyer.id }, { user_id: buyer.id }],
  });
  expect(await balance(api, friend.id)).toMatchObject({ available: '24.8' });
  // Whose wallet was paid is told, not whose money it was: he hears of his deposit only.
  const told = (user: UserBody) => api<{ data: Body[] }>('GET', `/events?resource_id=${user.id}&type=balance.credited`);
  expect((await told(friend)).body.data).toHaveLength(2);
  expect((await told(buyer)).body.data).toHaveLength(1);
  expect(await balance(api, buyer.id)).toMatchObject({ total: '5', in_escrow: '0' });
}, 180_000);

test('what two persons approved is carried out also when nobody lived to tell', async () => {
  const { seller, order } = await runningOrder();
  const outside = await createStranger(stack, '1');
  await freeze(seller);
  await begin(`/orders/${order.id}/resolution/release`);
  const matter = await parked(`/orders/${order.id}`);
  await payoutTo(alice, matter, outside.address);
  await withDeps(stack, stack.client, async (deps) => {
    const said = { attentionId: matter.id, action: 'payout_to', address: outside.address, reason: null } as const;
    const by = (person: string) => ({ ...said, by: { key: `key_${person}`, person } });
    const say = (person: string) => inTransaction(deps.orm, (trx) => proposeOrApprove(trx, by(person)));
    const take = (approval: Awaited<ReturnType<typeof say>>) => {
      const taken = { order_id: order.id, approval_id: approval?.approval_id ?? '' };
      return asActivity(orderWorkflowId(order.id), 1, () => createOrderParking(deps).divertPayout(taken));
    };
    // Whatever a workflow is told: what one person said alone is not carried out.
    await expect(take(await say('alice'))).rejects.toMatchObject({ type: 'INVALID_STATE' });
    await take(await say('bob'));
  });
  await reconcileNow(stack, stack.client);
  await untilStatus(api, order.id, 'CLOSED');
  expect(await onChain(stack, outside.address)).toBe('25.8000000');
}, 180_000);

/** The issuer's decision, or the seller's own. */
const FROZEN = async () => {
  const seller = await readyUser(api);
  return { seller, close: () => freeze(seller) };
};
const FULL = async () => {
  const wallet = await createOwnWallet(stack, '1');
  return { seller: await ownUser(api, wallet), close: () => wallet.limitTo('10') };
};

test.each([
  ['FULL_RELEASE', 'frozen', FROZEN, {}, 'RELEASED', '24.8'],
  ['SPLIT', 'full', FULL, { release_amount: '20', refund_amount: '5' }, 'SPLIT', '19.84'],
] as const)(
  'a decision %s whose seller’s account is %s pays elsewhere, also when its workflow was lost, and two persons come at once',
  async (decision, _closed, selling, amounts, final, paid) => {
    const { seller, close } = await selling();
    const { order, buyer } = await runningOrder({}, Promise.resolve(seller));
    const opening = { opened_by: 'BUYER', reason: 'OTHER' };
    const { body: dispute } = await api<DisputeResource>('POST', `/orders/${order.id}/resolution/dispute`, opening);
    await close();
    const deciding = { decision, ...amounts, resolved_by: 'agent:alice' };
    await begin(`/disputes/${dispute.id}/resolve`, deciding);
    const matter = await parked(`/disputes/${dispute.id}`);
    expect(matter).toMatchObject({ reason: 'TRUSTLINE_UNUSABLE', detail: { detail: { address: addressOf(seller) } } });
    expect(matter.allowed_repairs).toContain('payout_to');
    // The contract pays an address once: who has a share is not paid the other one's, too.
    if (decision === 'SPLIT')
      expect(await payoutTo(alice, matter, addressOf(buyer))).toMatchObject({ body: { code: 'DESTINATION_INVALID' } });
    const outside = await createStranger(stack, '1');
    await terminate(disputeWorkflowId(dispute.id));
    const both = await Promise.all([alice, bob].map((by) => payoutTo(by, matter, outside.address)));
    expect(both.map(({ status }) => status)).toEqual([202, 202]);
    const closed = await untilStatus(api, order.id, 'CLOSED');
    expect(closed.final_status).toBe(final);
    expect(Number.parseFloat(await onChain(stack, outside.address)) - 1).toBeCloseTo(Number.parseFloat(paid), 7);
    const { body } = await api<DisputeResource>('GET', `/disputes/${dispute.id}`);
    expect(body).toMatchObject({ status: 'RESOLVED', decision, operation: { cause: 'REPAIR' }, attention: null });
  },
  180_000,
);
