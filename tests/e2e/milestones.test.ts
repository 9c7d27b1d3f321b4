/** Milestones, refunds, deadlines and test clocks over HTTP, on real parts; the books are checked after each. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import {
  type EventBody,
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
  verb,
} from '../support/flows.ts';
import { type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

interface MilestoneOrder extends OrderBody {
  readonly milestones: readonly { readonly milestone_ref: string; readonly status: string }[];
  readonly due: { readonly at: string; readonly action: string } | null;
}

let stack: TestStack;
let market: TestMarketplace;
let other: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  [market, other] = await Promise.all([stack.createMarketplace({ platform_fee_bps: 50 }), stack.createMarketplace()]);
}, 120_000);
afterAll(() => stack.stop());
afterEach(async () => {
  await stack.calm();
  await expectCoherent(stack);
}, 60_000);

const PATIENCE = { timeoutMs: 120_000 };

const until = (api: Call, id: string, check: (order: MilestoneOrder) => boolean): Promise<MilestoneOrder> =>
  eventually(async () => {
    const order = (await api<MilestoneOrder>('GET', `/orders/${id}`)).body;
    if (check(order)) return order;
    throw new Error(`not yet: ${JSON.stringify(order)}`);
  }, PATIENCE);

const statuses = ({ milestones }: MilestoneOrder): Record<string, string> =>
  Object.fromEntries(milestones.map(({ milestone_ref: ref, status }) => [ref, status]));

/** Of a closed order, when the relay has placed them all. */
const eventsOf = (api: Call, id: string): Promise<EventBody[]> =>
  eventually(async () => {
    const { body } = await api<{ data: EventBody[] }>('GET', `/events?resource_id=${id}&limit=100`);
    const events = body.data.sort((a, b) => a.sequence - b.sequence);
    return events.at(-1)?.type === 'order.closed' ? events : null;
  }, PATIENCE);

async function clockOf(api: Call): Promise<(by: string) => Promise<void>> {
  const { status, body } = await api<{ id: string }>('POST', '/test-clocks', {});
  expect(status).toBe(201);
  return async (by) => {
    expect((await api('POST', `/test-clocks/${body.id}/advance`, { by })).status).toBe(200);
  };
}

describe('a refund', () => {
  test('pays the buyer all there is in the contract less fees, whoever put it there, and shows it before', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '250'), readyUser(api)]);
    const { id } = await createOrder(api, buyer, seller, { amount: '250' });
    const order = await driveToProgress(api, id);
    const stranger = await createStranger(stack, '10');
    await stranger.payContract(order.escrow?.contract_id ?? '', 3n);

    expect((await verb<ProblemBody>(api, id, 'resolution/refund')).body).toMatchObject({ code: 'VALIDATION_ERROR' });
    const before = await getOrder(api, id);
    const preview = await api<{ settlements: Record<string, string>[] }>(
      'POST',
      `/orders/${id}/resolution/refund?dry_run=true`,
      { reason: 'not delivered' },
    );
    expect(preview.status).toBe(200);
    expect(await getOrder(api, id)).toEqual(before);
    const expected = { user_id: buyer.id, party: 'BUYER', gross: '250.0000003', protocol_fee: '0.75' };
    expect(preview.body.settlements).toMatchObject([{ ...expected, platform_fee: '1.25', net: '248.0000003' }]);

    const refunded = await verb(api, id, 'resolution/refund', { reason: 'not delivered' });
    expect(refunded).toMatchObject({ status: 200, body: { status: 'CLOSED', final_status: 'REFUNDED' } });
    expect(refunded.body.settlements).toMatchObject([{ ...expected, platform_fee: '1.25', net: '248.0000003' }]);
    expect(await balance(api, buyer.id)).toMatchObject({ available: '248.0000003', in_escrow: '0' });
    const types = (await eventsOf(api, id)).map(({ type }) => type);
    expect(types.slice(-3)).toEqual(['order.refund_requested', 'order.refunded', 'order.closed']);
  }, 180_000);

  test('goes on when the worker dies between the dispute on chain and its resolution', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    const { id } = await createOrder(api, buyer, seller);
    await driveToProgress(api, id);
    await stack.fault({ name: 'http_500', match: { path: 'resolve-dispute' } });
    await api('POST', `/orders/${id}/resolution/refund`, { reason: 'not delivered' });
    await until(api, id, ({ operation }) => (operation as { step?: string } | null)?.step === 'disputed');
    await stack.killWorker();
    expect(await getOrder(api, id)).toMatchObject({ status: 'REFUND_REQUESTED', allowed: [] });
    await stack.calm();
    await stack.startWorker();
    expect(await untilStatus(api, id, 'CLOSED')).toMatchObject({ final_status: 'REFUNDED' });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '24.8' });
  }, 180_000);
});

describe('an order with milestones', () => {
  const three = (one: UserBody, two: UserBody) => [
    { milestone_ref: 'm1', title: 'Draft', amount: '100', seller_id: one.id },
    { milestone_ref: 'm2', title: 'Second draft', amount: '50.0000001' },
    { milestone_ref: 'm3', title: 'Final', amount: '99.9999999', seller_id: two.id },
  ];

  test('is refused when they do not add up, repeat a reference or name a stranger', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([readyUser(api), readyUser(api)]);
    const create = (milestones: unknown) =>
      api<ProblemBody>('POST', '/orders', {
        buyer_id: buyer.id,
        seller_id: seller.id,
        amount: '250',
        title: 'Logo',
        milestones,
      });
    const [first, ...rest] = three(seller, seller);
    const refusals = [
      [[first], '/milestones', 'SUM'],
      [[first, { ...first, amount: '150' }], '/milestones/1/milestone_ref', 'DUPLICATE'],
      [[{ ...first, seller_id: 'usr_nobody' }, ...rest], '/milestones/0/seller_id', 'NOT_FOUND'],
      [[{ ...first, seller_id: buyer.id }, ...rest], '/milestones/0/seller_id', 'SAME_PARTY'],
    ] as const;
    for (const [milestones, pointer, code] of refusals)
      expect((await create(milestones)).body.errors).toMatchObject([{ pointer, code }]);
  }, 120_000);

  test('is settled milestone by milestone, each to its own seller; the last one closes it', async () => {
    const { api } = market;
    const [buyer, one, two] = await Promise.all([fundedUser(api, '250'), readyUser(api), readyUser(api)]);
    const { id } = await createOrder(api, buyer, one, { amount: '250', milestones: three(one, two) });
    const funded = await driveToProgress(api, id);
    expect(funded).toMatchObject({ escrow: { type: 'MULTI_RELEASE' }, allowed: expect.arrayContaining(['refund']) });
    expect(funded.allowed).not.toContain('deliver');
    const listed = await api<{ data: unknown[] }>('GET', `/orders/${id}/milestones`);
    expect(listed.body).toMatchObject({ has_more: false, data: [{ index: 0 }, { index: 1 }, { index: 2 }] });

    const evidence = [{ type: 'URL', value: 'https://example.com/draft.png', note: null }];
    expect((await verb(api, id, 'milestones/nope/complete')).status).toBe(404);
    expect((await verb<MilestoneOrder>(api, id, 'milestones/m1/complete', { evidence })).body).toMatchObject({
      status: 'IN_PROGRESS',
      operation: { verb: 'complete_milestone', status: 'SUCCEEDED' },
    });
    expect((await verb<ProblemBody>(api, id, 'milestones/m1/complete')).status).toBe(409);
    const first = await verb<MilestoneOrder>(api, id, 'milestones/m1/release');
    expect(first).toMatchObject({ status: 200, body: { status: 'IN_PROGRESS' } });
    expect(statuses(first.body)).toEqual({ m1: 'RELEASED', m2: 'OPEN', m3: 'OPEN' });
    expect(await balance(api, one.id)).toMatchObject({ available: '99.2' });

    const refund = { reason: 'not wanted any more', milestone_refs: ['m2'] };
    const second = await verb<MilestoneOrder>(api, id, 'resolution/refund', refund);
    expect(second).toMatchObject({ status: 200, body: { status: 'IN_PROGRESS' } });
    expect(statuses(second.body)).toEqual({ m1: 'RELEASED', m2: 'REFUNDED', m3: 'OPEN' });

    const last = await verb<MilestoneOrder>(api, id, 'resolution/release');
    expect(last.body).toMatchObject({ status: 'CLOSED', final_status: 'SPLIT', escrow: { status: 'SPLIT' } });
    expect(last.body.settlements.map((settlement) => [settlement.user_id, settlement.net])).toEqual([
      [one.id, '99.2'],
      [buyer.id, '49.6000001'],
      [two.id, '99.2000001'],
    ]);
    expect(await balance(api, two.id)).toMatchObject({ available: '99.2000001' });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '49.6000001', in_escrow: '0' });
    const events = (await eventsOf(api, id)).filter(({ type }) => type.startsWith('order.milestone'));
    expect(events.map(({ type, data }) => [type, data.change['milestone_ref']])).toEqual([
      ['order.milestone_completed', 'm1'],
      ['order.milestone_released', 'm1'],
      ['order.milestone_refunded', 'm2'],
      ['order.milestone_released', 'm3'],
    ]);
    expect(events[0]?.data.change['evidence']).toEqual(evidence);
  }, 240_000);

  test('is released as a whole although the worker dies on the way; every milestone is paid once', async () => {
    const { api } = market;
    const [buyer, one, two] = await Promise.all([fundedUser(api, '250'), readyUser(api), readyUser(api)]);
    const { id } = await createOrder(api, buyer, one, { auto: true, amount: '250', milestones: three(one, two) });
    await untilStatus(api, id, 'IN_PROGRESS');
    await api('POST', `/orders/${id}/resolution/release`, {});
    const halfway = await until(api, id, (order) => statuses(order)['m1'] === 'RELEASED');
    expect(halfway).toMatchObject({ status: 'RELEASE_REQUESTED' });
    await stack.killWorker();
    await stack.startWorker();
    const closed = await until(api, id, ({ status }) => status === 'CLOSED');
    expect(closed).toMatchObject({ final_status: 'RELEASED' });
    expect(closed.settlements.map(({ net }) => net)).toEqual(['99.2', '49.6000001', '99.2000001']);
    expect((await eventsOf(api, id)).map(({ type }) => type).slice(-2)).toEqual(['order.released', 'order.closed']);
  }, 240_000);
});

describe('deadlines, tried out with a test clock', () => {
  test('an inspection period passes and releases; the clock of another marketplace stands still', async () => {
    const deadlines = { inspection: 'P30D' };
    const orders = await Promise.all(
      [market, other].map(async ({ api }) => {
        const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
        const { id } = await createOrder(api, buyer, seller, { auto: true, deadlines });
        await untilStatus(api, id, 'IN_PROGRESS');
        await verb(api, id, 'deliver');
        return { api, id };
      }),
    );
    const [mine, theirs] = orders;
    if (mine === undefined || theirs === undefined) throw new Error('two orders');
    const [advance] = await Promise.all([clockOf(mine.api), clockOf(theirs.api)]);
    await advance('P29D');
    expect(await getOrder(mine.api, mine.id)).toMatchObject({ status: 'IN_PROGRESS', due: { action: 'AUTO_RELEASE' } });
    await advance('P1DT1M');
    const closed = await untilStatus(mine.api, mine.id, 'CLOSED');
    expect(closed).toMatchObject({ final_status: 'RELEASED', operation: { verb: 'release', cause: 'DEADLINE' } });
    expect(await getOrder(theirs.api, theirs.id)).toMatchObject({ status: 'IN_PROGRESS' });
  }, 240_000);

  test('wait while the marketplace is paused, and for a verb that was accepted before', async () => {
    const { api } = other;
    const [buyer, seller] = await Promise.all([fundedUser(api, '50'), readyUser(api)]);
    const advance = await clockOf(api);
    const delivered = async () => {
      const { id } = await createOrder(api, buyer, seller, { auto: true, deadlines: { inspection: 'P1D' } });
      await untilStatus(api, id, 'IN_PROGRESS');
      await verb(api, id, 'deliver');
      return id;
    };
    const [paused, raced] = await Promise.all([delivered(), delivered()]);
    await stack.fault({ name: 'http_503', match: { path: 'dispute-escrow' } });
    expect((await api('POST', `/orders/${raced}/resolution/refund`, { reason: 'broken' })).status).toBe(202);
    await stack.api('POST', `/marketplaces/${other.id}/pause`, {});
    await advance('P2D');
    expect(await until(api, paused, ({ waiting_for }) => waiting_for === 'RESUME')).toMatchObject({
      status: 'IN_PROGRESS',
      operation: { verb: 'deliver' },
    });
    expect((await verb<ProblemBody>(api, paused, 'resolution/release')).body).toMatchObject({
      code: 'MARKETPLACE_PAUSED',
      retryable: true,
    });
    expect(await getOrder(api, raced)).toMatchObject({ operation: { verb: 'refund', status: 'RUNNING' } });
    await stack.api('POST', `/marketplaces/${other.id}/resume`, {});
    await stack.calm();
    expect(await untilStatus(api, paused, 'CLOSED')).toMatchObject({ final_status: 'RELEASED' });
    expect(await untilStatus(api, raced, 'CLOSED')).toMatchObject({ final_status: 'REFUNDED' });
  }, 240_000);

  test('the delivery deadline refunds only what is open; each inspection period releases only its own', async () => {
    const { api } = other;
    const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
    const milestones = ['a', 'b', 'c'].map((ref, index) => ({
      milestone_ref: ref,
      title: ref,
      amount: index === 0 ? '50' : '25',
    }));
    const fields = { auto: true, amount: '100', milestones, deadlines: { delivery: 'P14D', inspection: 'P5D' } };
    const { id } = await createOrder(api, buyer, seller, fields);
    const { due } = await until(api, id, ({ status }) => status === 'IN_PROGRESS');
    expect(due?.action).toBe('AUTO_REFUND');
    const advance = await clockOf(api);

    await advance('P10D');
    await verb(api, id, 'milestones/a/complete');
    await advance('P3D');
    await verb(api, id, 'milestones/b/complete');
    // Later than the old one, and only then.
    const extend = (due_at: string) => verb<ProblemBody>(api, id, 'extend', { deadline: 'delivery', due_at });
    const old = Date.parse(due?.at ?? '');
    expect((await extend(new Date(old).toISOString())).body.errors).toMatchObject([{ code: 'NOT_LATER' }]);
    expect((await extend(new Date(old + 3 * 86_400_000).toISOString())).status).toBe(200);

    await advance('P2DT1M');
    const first = await until(api, id, (order) => statuses(order)['a'] === 'RELEASED');
    expect(statuses(first)).toEqual({ a: 'RELEASED', b: 'COMPLETED', c: 'OPEN' });
    await advance('P2D');
    const second = await until(api, id, (order) => statuses(order)['c'] === 'REFUNDED');
    expect(second).toMatchObject({ status: 'IN_PROGRESS', operation: { verb: 'refund', cause: 'DEADLINE' } });
    expect(statuses(second)['b']).toBe('COMPLETED');
    await advance('P2D');
    expect(await untilStatus(api, id, 'CLOSED')).toMatchObject({ final_status: 'SPLIT' });
    expect(await balance(api, seller.id)).toMatchObject({ available: '74.775' });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '24.925' });
  }, 240_000);
});

describe('before anything is signed', () => {
  test('a funding that waits for its provider can be canceled; the reservation comes back', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    const { id } = await createOrder(api, buyer, seller);
    for (const path of ['reserve', 'escrow']) await verb(api, id, path);
    await stack.fault({ name: 'http_503', match: { path: 'fund-escrow' } });
    expect((await api('POST', `/orders/${id}/escrow/fund`, {})).status).toBe(202);
    await until(api, id, ({ allowed }) => allowed.includes('cancel'));
    const canceled = await insist<OrderBody>(api, `/orders/${id}/cancel`, { reason: 'too slow' });
    expect(canceled).toMatchObject({ status: 200, body: { status: 'CLOSED', final_status: 'CANCELED' } });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '25', reserved: '0' });
    const failed = (await eventsOf(api, id)).find(({ type }) => type === 'order.operation_failed');
    expect(failed?.data.change).toMatchObject({ operation: { verb: 'fund', error: { code: 'CANCELED' } } });
  }, 180_000);

  test('and not after: a funding that is signed may land, so it cannot be canceled', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    const { id } = await createOrder(api, buyer, seller);
    for (const path of ['reserve', 'escrow']) await verb(api, id, path);
    await stack.fault({ name: 'try_again_later' });
    await api('POST', `/orders/${id}/escrow/fund`, {});
    const signed = await until(api, id, ({ operation }) => (operation?.transaction_hash ?? null) !== null);
    expect(signed).toMatchObject({ allowed: [], operation: { verb: 'fund', status: 'RUNNING' } });
    expect((await verb<ProblemBody>(api, id, 'cancel')).body).toMatchObject({ code: 'INVALID_STATE', retryable: true });
    await stack.calm();
    await untilStatus(api, id, 'IN_PROGRESS');
  }, 180_000);

  test('the funding deadline ends an automatic order that is parked', async () => {
    const { api } = other;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    await stack.fault({ name: 'xdr_wrong_amount', match: { path: 'fund-escrow' } });
    const { id } = await createOrder(api, buyer, seller, { auto: true, deadlines: { funding: 'P60D' } });
    await until(api, id, ({ operation }) => operation?.status === 'PARKED');
    await (await clockOf(api))('P61D');
    const expired = await untilStatus(api, id, 'CLOSED');
    expect(expired).toMatchObject({ final_status: 'EXPIRED', attention: null });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '25' });
  }, 180_000);
});
