/** The life of an order over HTTP, on real Temporal, Postgres and the local network; the books are checked after each. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createSurplusActivities } from '../../activities/surplus/index.ts';
import { proposeOrApprove } from '../../db/repair-approvals.ts';
import { inTransaction } from '../../db/sql.ts';
import type { AttentionResource } from '../../domain/resources/attention.ts';
import type { TimelineItem } from '../../domain/resources/timeline.ts';
import { asActivity } from '../support/activity.ts';
import { expectCoherent } from '../support/coherent.ts';
import { reconcileNow, withDeps } from '../support/deps.ts';
import {
  type ProblemBody,
  balance,
  createOrder,
  deposit,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { PATIENCE, keyOf, onChain, rows } from '../support/payments.ts';
import { type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace({ platform_fee_bps: 50 });
}, 120_000);
afterAll(() => stack.stop());
afterEach(() => expectCoherent(stack), 60_000);

/** All pages of `limit` items. */
async function timelineOf(id: string, limit: number): Promise<TimelineItem[]> {
  const items: TimelineItem[] = [];
  for (let cursor = ''; ; ) {
    const { body } = await market.api<{ data: TimelineItem[]; next_cursor: string | null }>(
      'GET',
      `/orders/${id}/timeline?limit=${limit}${cursor}`,
    );
    items.push(...body.data);
    if (body.next_cursor === null) return items;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

describe('an order', () => {
  test('goes step by step from creation to release; the seller gets what the chain paid', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '300'), readyUser(api)]);
    const created = await createOrder(api, buyer, seller, { amount: '250' });
    expect(created).toMatchObject({ status: 'ORDER_CREATED', allowed: ['reserve', 'cancel', 'extend'], escrow: null });

    expect((await verb(api, created.id, 'reserve')).body).toMatchObject({
      status: 'FUNDS_RESERVED',
      reservation: 'HELD',
    });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '50', reserved: '250', total: '300' });

    const escrowed = (await verb(api, created.id, 'escrow')).body;
    expect(escrowed).toMatchObject({ status: 'ESCROW_FUNDING', operation: { verb: 'escrow', status: 'SUCCEEDED' } });
    expect(escrowed.escrow?.contract_id).toMatch(/^C[A-Z2-7]{55}$/);

    expect((await verb(api, created.id, 'escrow/fund')).body).toMatchObject({ status: 'IN_PROGRESS' });
    expect(await balance(api, buyer.id)).toMatchObject({
      available: '50',
      reserved: '0',
      total: '50',
      in_escrow: '250',
    });

    const evidence = [{ type: 'URL', value: 'https://example.com/a.png', note: null }];
    expect((await verb(api, created.id, 'deliver', { evidence })).body).toMatchObject({ status: 'IN_PROGRESS' });

    const released = await verb(api, created.id, 'resolution/release');
    expect(released).toMatchObject({ status: 200, body: { status: 'CLOSED', final_status: 'RELEASED', allowed: [] } });
    // 30 bps of the protocol and 50 of the marketplace, out of the amount.
    expect(released.body.settlements).toMatchObject([
      { user_id: seller.id, gross: '250', protocol_fee: '0.75', platform_fee: '1.25', net: '248' },
    ]);
    expect(released.body.settlements[0]?.transaction_hash).toBe(released.body.operation?.transaction_hash);
    expect(await balance(api, seller.id)).toMatchObject({ available: '248', total: '248' });
    expect(await balance(api, buyer.id)).toMatchObject({ total: '50', in_escrow: '0' });

    const timeline = await timelineOf(created.id, 100);
    expect(await timelineOf(created.id, 7)).toEqual(timeline);
    expect(timeline[0]).toMatchObject({ kind: 'REQUEST', name: 'create' });
    // From the request to the hash, the ledger and the money, and then the event that tells of it.
    const release = timeline.slice(timeline.findIndex(({ kind, name }) => kind === 'REQUEST' && name === 'release'));
    const place = (kind: string, name: string) => release.findIndex((item) => item.kind === kind && item.name === name);
    const landed = place('TRANSACTION', 'RELEASE');
    expect(release[landed]).toMatchObject({
      status: 'CONFIRMED',
      detail: expect.stringMatching(/^ledger \d+$/),
      ref: released.body.operation?.transaction_hash,
      request_id: released.headers.get('x-request-id'),
    });
    const paid = release.findIndex(({ kind, detail }) => kind === 'TRANSFER' && detail?.startsWith('248 USDC: debit'));
    const causal = [
      0,
      place('STEP', 'RELEASE: signed'),
      landed,
      paid,
      place('EVENT', 'order.released'),
      place('EVENT', 'order.closed'),
    ];
    expect(causal).toEqual([...new Set(causal)].sort((one, other) => one - other));
    expect(causal).not.toContain(-1);
  }, 120_000);

  test('that is automatic waits for the deposit and then goes on by itself', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([readyUser(api), readyUser(api)]);
    const order = await createOrder(api, buyer, seller, { auto: true, amount: '10.0000001' });
    const waiting = await untilStatus(api, order.id, 'ORDER_CREATED');
    expect(waiting.operation).toBeNull();
    await deposit(api, buyer.id, '10.0000001');
    expect(await untilStatus(api, order.id, 'IN_PROGRESS')).toMatchObject({ waiting_for: null });
    await verb(api, order.id, 'deliver');
    const { body } = await verb(api, order.id, 'resolution/release');
    // Every stroop is accounted for at seven decimals (F25).
    expect(body.settlements).toMatchObject([
      { gross: '10.0000001', protocol_fee: '0.03', platform_fee: '0.05', net: '9.9200001' },
    ]);
  }, 120_000);

  test('that is canceled gives the reservation back and nothing else', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '30'), readyUser(api)]);
    const order = await createOrder(api, buyer, seller);
    await verb(api, order.id, 'reserve');
    const { status, body } = await verb(api, order.id, 'cancel', { reason: 'changed my mind' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'CLOSED', final_status: 'CANCELED', reservation: null });
    expect(await balance(api, buyer.id)).toMatchObject({ available: '30', reserved: '0' });
  }, 120_000);

  test('cannot reserve more than is there, and says so', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '24.9999999'), readyUser(api)]);
    const order = await createOrder(api, buyer, seller);
    const { status, body } = await verb<ProblemBody>(api, order.id, 'reserve');
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'INSUFFICIENT_FUNDS', retryable: false });
    expect(await getOrder(api, order.id)).toMatchObject({ status: 'ORDER_CREATED', version: order.version });
  }, 120_000);

  test('refuses a verb out of turn and names what is allowed', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    const order = await createOrder(api, buyer, seller);
    await verb(api, order.id, 'reserve');
    const { status, body } = await verb<ProblemBody>(api, order.id, 'resolution/release');
    expect(status).toBe(409);
    expect(body).toMatchObject({
      code: 'INVALID_STATE',
      retryable: false,
      current_status: 'FUNDS_RESERVED',
      allowed: ['cancel', 'escrow', 'extend'],
    });
  }, 120_000);

  test('reserves once, whatever is called at the same time (F13)', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
    const order = await createOrder(api, buyer, seller);
    const answers = await Promise.all(Array.from({ length: 20 }, () => verb(api, order.id, 'reserve')));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 409)]);
    expect(await balance(api, buyer.id)).toMatchObject({ available: '75', reserved: '25' });
  }, 120_000);

  test('of two orders for one balance only one can be reserved', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '30'), readyUser(api)]);
    const orders = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
    const answers = await Promise.all(orders.map((order) => verb(api, order.id, 'reserve')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422]);
  }, 120_000);

  test('repeated with the same key while the first call runs is the same order', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
    const body = { buyer_id: buyer.id, seller_id: seller.id, amount: '25', title: 'Logo' };
    const key = { 'idempotency-key': `k-${buyer.id}` };
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => api<{ id: string }>('POST', '/orders', body, key)),
    );
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
  }, 120_000);

  test('a funding that is repeated with the same key attaches to the one that runs', async () => {
    const { api } = market;
    const [buyer, seller] = await Promise.all([fundedUser(api, '60'), readyUser(api)]);
    const order = await createOrder(api, buyer, seller);
    for (const path of ['reserve', 'escrow']) await verb(api, order.id, path);
    const key = { 'idempotency-key': `fund-${order.id}` };
    const path = `/orders/${order.id}/escrow/fund`;
    const first = await api<{ operation: { id: string } }>('POST', path, {}, key);
    const repeats = await Promise.all(
      Array.from({ length: 4 }, () =>
        api<{ operation: { id: string } }>('POST', path, {}, { ...key, prefer: 'wait=60' }),
      ),
    );
    expect(first.status).toBe(202);
    for (const repeat of repeats) expect(repeat.body.operation.id).toBe(first.body.operation.id);
    await untilStatus(api, order.id, 'IN_PROGRESS');
    expect(await balance(api, buyer.id)).toMatchObject({ total: '35', in_escrow: '25' });
  }, 120_000);

  test('driven by two workers at once happens once', async () => {
    const { api } = market;
    const other = await stack.startAnotherWorker();
    const [buyer, seller] = await Promise.all([fundedUser(api, '200'), readyUser(api)]);
    const orders = await Promise.all(Array.from({ length: 4 }, () => createOrder(api, buyer, seller)));
    await Promise.all(orders.map((order) => driveToProgress(api, order.id)));
    await Promise.all(orders.map((order) => verb(api, order.id, 'resolution/release')));
    for (const order of orders) await untilStatus(api, order.id, 'CLOSED');
    await other.kill('SIGTERM');
    expect(await balance(api, buyer.id)).toMatchObject({ total: '100', in_escrow: '0' });
  }, 180_000);
});

describe('what a stranger put into a contract', () => {
  let alice: Call;
  let bob: Call;
  beforeAll(async () => {
    alice = await keyOf(stack, market, 'alice', ['support']);
    bob = await keyOf(stack, market, 'bob', ['support']);
  });
  const matterOf = (id: string, before: string | null = null) =>
    eventually(async () => {
      const { status, attention } = await getOrder(market.api, id);
      if (status !== 'CLOSED' || attention === null || attention.id === before) return null;
      return (await market.api<AttentionResource>('GET', `/attention/${attention.id}`)).body;
    }, PATIENCE);
  const payTo = (by: Call, { id }: AttentionResource, address: string) =>
    insist<AttentionResource>(by, `/attention/${id}/repair`, { action: 'payout_to', address });
  /** By the books, which are held against the chain after each test. */
  const untilNothingIsLeft = (id: string) =>
    eventually(async () => {
      const settled = 'select settled_at is not null as over from surpluses where order_id = $1';
      return (await rows<{ over: boolean }>(stack, settled, [id]))[0]?.over === true;
    }, PATIENCE);

  test('before and after a release is paid back on the word of two persons, whatever became of the workflow', async () => {
    const { api } = market;
    const [buyer, seller, outside] = await Promise.all([
      fundedUser(api, '25'),
      readyUser(api),
      createStranger(stack, '100'),
    ]);
    const { id } = await createOrder(api, buyer, seller);
    const contractId = (await driveToProgress(api, id)).escrow?.contract_id ?? '';
    await outside.payContract(contractId, 100_000_000n);
    await verb(api, id, 'resolution/release');
    const matter = await matterOf(id);
    expect(matter).toMatchObject({
      reason: 'SURPLUS',
      resource: { type: 'order', id },
      allowed_repairs: ['payout_to'],
      proposal: { action: 'payout_to', address: outside.address, amount: '10', proposed_by: null },
    });
    const first = await payTo(alice, matter, outside.address);
    expect(first).toMatchObject({ status: 202, body: { proposal: { address: outside.address, reason: null } } });
    expect(first.body.proposal?.proposed_by).not.toBeNull();
    // Too late for what they decide.
    await outside.payContract(contractId, 50_000_000n);
    expect((await payTo(alice, matter, outside.address)).status).toBe(202);
    await stack.client.workflow.getHandle(matter.workflow_id).terminate('lost');
    expect((await payTo(bob, matter, outside.address)).status).toBe(202);
    const rest = await matterOf(id, matter.id);
    // 30 bps of the protocol and 50 of the marketplace.
    expect(await onChain(stack, outside.address)).toBe('94.9200000');
    expect(rest).toMatchObject({ reason: 'SURPLUS', proposal: { amount: '5' } });

    // To a user of ours: his balance grows.
    await payTo(bob, rest, buyer.wallet.address ?? '');
    await payTo(alice, rest, buyer.wallet.address ?? '');
    await untilNothingIsLeft(id);
    expect(await balance(api, buyer.id)).toMatchObject({ available: '4.96' });
    expect(await getOrder(api, id)).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED', attention: null });
  }, 240_000);

  test('and was never funded comes out of it, too; a payout whose workflow was lost is found by its row', async () => {
    const { api } = market;
    const [buyer, seller, outside] = await Promise.all([
      fundedUser(api, '25'),
      readyUser(api),
      createStranger(stack, '100'),
    ]);
    const { id } = await createOrder(api, buyer, seller);
    for (const path of ['reserve', 'escrow']) await verb(api, id, path);
    const contractId = (await untilStatus(api, id, 'ESCROW_FUNDING')).escrow?.contract_id ?? '';
    await outside.payContract(contractId, 10_000_000n);
    await verb(api, id, 'cancel', { reason: 'changed my mind' });
    const matter = await matterOf(id);
    await payTo(alice, matter, outside.address);
    const { workflow_id } = matter;
    await stack.client.workflow.getHandle(workflow_id).terminate('lost');
    await withDeps(stack, stack.client, async (deps) => {
      const by = { key: 'key_bob', person: 'bob' };
      const proposal = {
        attentionId: matter.id,
        action: 'payout_to',
        address: outside.address,
        reason: null,
        by,
      } as const;
      const said = await inTransaction(deps.orm, (trx) => proposeOrApprove(trx, proposal));
      const escrow_id = workflow_id.slice('surplus/'.length);
      const taken = { escrow_id, approval_id: said?.approval_id ?? '' };
      await asActivity(workflow_id, 1, () => createSurplusActivities(deps).takeSurplusApproval(taken));
    });
    expect(await reconcileNow(stack, stack.client)).toMatchObject({ surpluses_waiting: 1 });
    await untilNothingIsLeft(id);
    expect(await onChain(stack, outside.address)).toBe('99.9920000');
    expect(await balance(api, buyer.id)).toMatchObject({ available: '25', in_escrow: '0' });
    // Seen by a reader that dies before it tells anybody.
    await rows(stack, 'update surpluses set settled_at = null, seen_at = clock_timestamp() where order_id = $1', [id]);
    await reconcileNow(stack, stack.client);
    await untilNothingIsLeft(id);
  }, 240_000);
});
