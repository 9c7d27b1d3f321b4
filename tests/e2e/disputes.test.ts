/** Disputes over HTTP, on real parts: opened, argued about, withdrawn, decided; the books are checked after each. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { DisputeResource } from '../../domain/resources/dispute.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type OrderBody,
  type ProblemBody,
  WAIT,
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type Answer, type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

interface DisputedOrder extends OrderBody {
  readonly dispute_ids: readonly string[];
  readonly due: { readonly at: string; readonly action: string } | null;
  readonly milestones: readonly {
    readonly milestone_ref: string;
    readonly status: string;
    readonly dispute_id: string | null;
  }[];
}

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace({ platform_fee_bps: 50 });
}, 120_000);
afterAll(() => stack.stop());
afterEach(() => expectCoherent(stack), 60_000);

const OPENING = { opened_by: 'BUYER', reason: 'QUALITY_ISSUE', description: 'Wrong size' };
const AGENT = { resolved_by: 'agent:alice' };

const open = (api: Call, orderId: string, fields: Record<string, unknown> = {}) =>
  api<DisputeResource>('POST', `/orders/${orderId}/resolution/dispute`, { ...OPENING, ...fields });
const act = <T = DisputeResource>(api: Call, id: string, path: string, body: unknown): Promise<Answer<T>> =>
  api<T>('POST', `/disputes/${id}/${path}`, body, WAIT);
const getDispute = async (api: Call, id: string) => (await api<DisputeResource>('GET', `/disputes/${id}`)).body;
const orderOf = (api: Call, id: string) => getOrder(api, id) as Promise<DisputedOrder>;

async function runningOrder(api: Call, amount: string, fields: Record<string, unknown> = {}) {
  const [buyer, seller] = await Promise.all([fundedUser(api, amount), readyUser(api)]);
  const { id } = await createOrder(api, buyer, seller, { amount, ...fields });
  return { buyer, seller, order: await driveToProgress(api, id) };
}

describe('a dispute', () => {
  test('is argued about, withdrawn, opened again and split, whatever a stranger put into the contract', async () => {
    const { api } = market;
    const { buyer, seller, order } = await runningOrder(api, '150');
    const evidence = [{ type: 'URL', value: 'https://example.com/a.png', note: null }];
    const dryRun = `/orders/${order.id}/resolution/dispute?dry_run=true`;
    expect(await api('POST', dryRun, OPENING)).toMatchObject({ status: 200, body: { settlements: [] } });
    const first = await open(api, order.id, { evidence });
    expect(first).toMatchObject({
      status: 201,
      body: { order_id: order.id, milestone_refs: [], amount: '150', status: 'OPEN', decision: null, operation: null },
    });
    const { id } = first.body;
    expect(await api('POST', dryRun, OPENING)).toMatchObject({ status: 409, body: { code: 'INVALID_STATE' } });
    expect(first.body.evidence).toMatchObject([{ ...evidence[0], by: 'BUYER' }]);
    expect(await orderOf(api, order.id)).toMatchObject({ status: 'DISPUTED', dispute_ids: [id], allowed: ['extend'] });
    expect(await verb<ProblemBody>(api, order.id, 'resolution/release')).toMatchObject({ status: 409 });

    const comment = { by: 'agent:alice', text: 'Photo, please' };
    expect((await act(api, id, 'comments', comment)).body.comments).toMatchObject([comment]);
    const more = [{ type: 'TEXT', value: 'It does not fit' }];
    expect((await act(api, id, 'evidence', { by: 'SELLER', evidence: more })).body.evidence).toHaveLength(2);
    expect((await act(api, id, 'assign', { assigned_to: 'agent:alice' })).body).toMatchObject({
      status: 'UNDER_REVIEW',
      assigned_to: 'agent:alice',
    });
    expect(await act(api, id, 'withdraw', { by: 'SELLER' })).toMatchObject({ status: 422 });
    expect((await act(api, id, 'withdraw', { by: 'BUYER' })).body).toMatchObject({ status: 'WITHDRAWN', allowed: [] });
    await untilStatus(api, order.id, 'IN_PROGRESS');
    expect(await act(api, id, 'evidence', { by: 'SELLER', evidence: more })).toMatchObject({ status: 409 });

    const stranger = await createStranger(stack, '10');
    await stranger.payContract(order.escrow?.contract_id ?? '', 1n);
    const { body: second } = await open(api, order.id, { opened_by: 'SELLER' });
    const split = { decision: 'SPLIT', release_amount: '100', refund_amount: '50', note: 'Two of three', ...AGENT };
    const refused = [
      { ...split, refund_amount: '50.0000001' },
      { ...split, resolved_by: seller.id },
      { decision: 'FULL_REFUND', refund_amount: '150', ...AGENT },
      { decision: 'SPLIT', ...AGENT },
    ];
    for (const body of refused)
      expect(await act(api, second.id, 'resolve', body)).toMatchObject({
        status: 422,
        body: { code: 'VALIDATION_ERROR' },
      });
    const preview = await act<{ settlements: { net: string }[] }>(api, second.id, 'resolve?dry_run=true', split);
    const resolved = await act(api, second.id, 'resolve', split);
    expect(resolved).toMatchObject({
      status: 200,
      body: { status: 'RESOLVED', decision: 'SPLIT', release_amount: '100', refund_amount: '50', ...AGENT },
    });
    // Who waited for the decision finds the order there.
    const closed = await getOrder(api, order.id);
    expect(closed).toMatchObject({ status: 'CLOSED', final_status: 'SPLIT', dispute_ids: [id, second.id] });
    expect(closed.settlements.map(({ net }) => net)).toEqual(preview.body.settlements.map(({ net }) => net));
    const [paid, back] = closed.settlements;
    expect(await balance(api, seller.id)).toMatchObject({ available: paid?.net });
    expect(await balance(api, buyer.id)).toMatchObject({ available: back?.net, in_escrow: '0' });
  }, 180_000);

  test.each([
    ['FULL_RELEASE', 'RELEASED', { release_amount: '20', refund_amount: '0' }],
    ['FULL_REFUND', 'REFUNDED', { release_amount: '0', refund_amount: '20' }],
  ])(
    'decided %s closes the order %s, also when the worker dies meanwhile',
    async (decision, final, amounts) => {
      const { api } = market;
      const { order } = await runningOrder(api, '20');
      const { body: dispute } = await open(api, order.id);
      const accepted = await api<DisputeResource>('POST', `/disputes/${dispute.id}/resolve`, { decision, ...AGENT });
      expect(accepted).toMatchObject({ status: 202, body: { operation: { verb: 'resolve' } } });
      await stack.killWorker();
      await stack.startWorker();
      expect(await act(api, dispute.id, 'resolve', { decision, ...AGENT })).toMatchObject({ status: 409 });
      const closed = await untilStatus(api, order.id, 'CLOSED');
      expect(closed.final_status).toBe(final);
      expect(await getDispute(api, dispute.id)).toMatchObject({ status: 'RESOLVED', ...amounts });
    },
    180_000,
  );

  test('and its order are found by operators by all that they are about', async () => {
    const { api } = market;
    const deadlines = { delivery: 'P14D', dispute: 'P30D', dispute_default: 'FULL_REFUND' };
    const { order } = await runningOrder(api, '20', { deadlines });
    const searched = async (workflowId: string) => {
      const { typedSearchAttributes } = await stack.client.workflow.getHandle(workflowId).describe();
      return Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    };
    const isFound = (workflowId: string, about: object) =>
      eventually(async () => {
        expect(await searched(workflowId)).toMatchObject(about);
        return true;
      });
    const { due, operation, escrow } = await orderOf(api, order.id);
    const [of, contract] = [{ OrderId: order.id, MarketplaceId: market.id }, escrow?.contract_id];
    const running = { OrderStatus: 'IN_PROGRESS', EscrowContractId: contract, TxHash: operation?.transaction_hash };
    await isFound(`order/${order.id}`, { ...of, ...running, DueAt: new Date(due?.at ?? '') });
    const { body: dispute } = await open(api, order.id);
    await isFound(`dispute/${dispute.id}`, { ...of, DueAt: new Date(dispute.due?.at ?? '') });
    const { body: resolved } = await act(api, dispute.id, 'resolve', { decision: 'FULL_REFUND', ...AGENT });
    await isFound(`dispute/${dispute.id}`, { ...of, TxHash: resolved.operation?.transaction_hash });
    await isFound(`order/${order.id}`, { ...of, OrderStatus: 'CLOSED', EscrowContractId: contract });
    expect(await searched(`order/${order.id}`)).not.toHaveProperty('DueAt');
  }, 180_000);

  test('about some milestones leaves the others alone; the last settled one closes the order', async () => {
    const { api } = market;
    const milestones = ['m1', 'm2', 'm3'].map((milestone_ref, index) => ({
      milestone_ref,
      title: milestone_ref,
      amount: String((index + 1) * 10),
    }));
    const { order } = await runningOrder(api, '60', { milestones });
    const { body: dispute } = await open(api, order.id, { milestone_refs: ['m3', 'm2'] });
    expect(dispute).toMatchObject({ milestone_refs: ['m2', 'm3'], amount: '50' });
    expect(await orderOf(api, order.id)).toMatchObject({ status: 'IN_PROGRESS' });
    expect(await open(api, order.id, { milestone_refs: ['m2'] })).toMatchObject({ status: 409 });
    await verb(api, order.id, 'milestones/m1/release');
    expect(await orderOf(api, order.id)).toMatchObject({ status: 'DISPUTED' });

    const split = {
      decision: 'SPLIT',
      milestones: [
        { milestone_ref: 'm2', release_amount: '0', refund_amount: '20' },
        { milestone_ref: 'm3', release_amount: '29.9999999', refund_amount: '0.0000001' },
      ],
      ...AGENT,
    };
    const foreign = [...split.milestones, { milestone_ref: 'm9', release_amount: '0', refund_amount: '0' }];
    expect(await act(api, dispute.id, 'resolve', { ...split, milestones: foreign })).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND', errors: [{ pointer: '/milestones/2/milestone_ref' }] },
    });
    expect(await act(api, dispute.id, 'resolve', split)).toMatchObject({
      status: 200,
      body: { release_amount: '29.9999999', refund_amount: '20.0000001' },
    });
    const closed = (await untilStatus(api, order.id, 'CLOSED')) as DisputedOrder;
    expect(closed.final_status).toBe('SPLIT');
    expect(closed.milestones.map(({ status }) => status)).toEqual(['RELEASED', 'REFUNDED', 'SPLIT']);
    expect(closed.milestones.map(({ dispute_id: about }) => about)).toEqual([null, dispute.id, dispute.id]);
    const page = (query: string) => api('GET', `/orders/${order.id}/milestones?limit=2${query}`);
    expect((await page('')).body).toMatchObject({ data: [{}, {}], has_more: true, next_cursor: '2' });
    expect((await page('&cursor=2')).body).toMatchObject({ data: [{ milestone_ref: 'm3' }], has_more: false });
  }, 180_000);

  test('that nobody decides goes the way the order says, by the clock of its own marketplace', async () => {
    const other = await stack.createMarketplace();
    const deadlines = { dispute: 'P30D', dispute_default: 'FULL_RELEASE' };
    const [mine, theirs] = await Promise.all(
      [market.api, other.api].map((api) => runningOrder(api, '5', { deadlines })),
    );
    const [first, second] = await Promise.all([
      open(market.api, mine?.order.id ?? ''),
      open(other.api, theirs?.order.id ?? ''),
    ]);
    expect(first.body.due).toMatchObject({ action: 'DISPUTE_DEFAULT' });
    const clock = await market.api<{ id: string }>('POST', '/test-clocks', {});
    await market.api('POST', `/test-clocks/${clock.body.id}/advance`, { by: 'P30D' });
    const closed = await untilStatus(market.api, mine?.order.id ?? '', 'CLOSED');
    expect(closed.final_status).toBe('RELEASED');
    expect(await getDispute(market.api, first.body.id)).toMatchObject({
      status: 'RESOLVED',
      operation: { cause: 'DEADLINE', status: 'SUCCEEDED' },
    });
    expect(await getDispute(other.api, second.body.id)).toMatchObject({ status: 'OPEN' });
  }, 180_000);

  test('is opened once by a call that is repeated, and found by the order of its events', async () => {
    const { api } = market;
    const { order } = await runningOrder(api, '5');
    const key = { 'idempotency-key': `dispute-${order.id}` };
    const path = `/orders/${order.id}/resolution/dispute`;
    const [one, two] = await Promise.all([
      api<DisputeResource>('POST', path, OPENING, key),
      api<DisputeResource>('POST', path, OPENING, key),
    ]);
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(two.body.id).toBe(one.body.id);
    await act(api, one.body.id, 'withdraw', { by: 'BUYER' });
    const types = await eventually(async () => {
      const events = await api<{ data: { type: string }[] }>('GET', `/events?resource_id=${one.body.id}`);
      return events.body.data.length === 2 ? events.body.data.map(({ type }) => type) : null;
    });
    expect(types).toEqual(['dispute.withdrawn', 'dispute.opened']);
    const listed = await api<{ data: DisputeResource[] }>('GET', `/disputes?order_id=${order.id}&status=WITHDRAWN`);
    expect(listed.body.data).toMatchObject([{ id: one.body.id }]);
  }, 120_000);
});
