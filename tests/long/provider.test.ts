/**
 * Providers that lie, lose answers and fail, while an order is funded and released: nothing forged is ever signed, nothing
 * lands twice, and what is proved dead is compensated.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { repairUpdates } from '../../workflows/messages.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type OrderBody,
  type ProblemBody,
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
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;
let buyer: { readonly id: string; readonly wallet: { readonly address: string | null } };
let seller: { readonly id: string };

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
  [buyer, seller] = await Promise.all([fundedUser(market.api, '1000'), readyUser(market.api)]);
}, 120_000);
afterEach(async () => {
  await stack.calm();
  await expectCoherent(stack);
}, 60_000);
afterAll(() => stack.stop());

const fired = async (): Promise<string[]> =>
  (await stack.control<{ fired: { name: string }[] }>('GET', '/journal')).fired.map(({ name }) => name);

/** An order whose escrow is deployed: the next thing that moves money is its funding. */
async function escrowed(): Promise<OrderBody> {
  const order = await createOrder(market.api, buyer, seller);
  for (const path of ['reserve', 'escrow']) await verb(market.api, order.id, path);
  return untilStatus(market.api, order.id, 'ESCROW_FUNDING');
}

describe('an envelope that is not what was asked for is not signed (F18)', () => {
  test.each(['xdr_wrong_amount', 'xdr_wrong_contract', 'xdr_extra_operation', 'xdr_foreign_auth'])(
    '%s: the order is parked, and goes on when an operator says so',
    async (name) => {
      const { api } = market;
      const order = await escrowed();
      const before = await balance(api, buyer.id);
      await stack.fault({ name, match: { path: 'fund-escrow' } });
      expect((await verb(api, order.id, 'escrow/fund')).status).toBe(202);
      const parked = await eventually(async () => {
        const now = await getOrder(api, order.id);
        return now.operation?.status === 'PARKED' ? now : null;
      });
      expect(parked).toMatchObject({
        status: 'ESCROW_FUNDING',
        allowed: ['cancel'],
        operation: { verb: 'fund', transaction_hash: null },
        attention: { reason: 'ENVELOPE_REJECTED', allowed_repairs: ['retry', 'adopt', 'give_up'] },
      });
      expect(await balance(api, buyer.id)).toEqual({ ...before, at: expect.any(String) });
      expect(await fired()).toContain(name);

      await stack.calm();
      const reason = 'the provider is itself again';
      const listed = await api<{ data: { id: string; reason: string }[] }>(
        'GET',
        '/attention?reason=ENVELOPE_REJECTED',
      );
      expect(listed.body.data).toContainEqual(expect.objectContaining({ id: parked.attention?.id, proposal: null }));
      // From the command line, from the Temporal UI, or from the API.
      if (name === 'xdr_foreign_auth') {
        const stated = ['--reason', 'ENVELOPE_REJECTED', '--note', reason];
        const env = { ...process.env, ...stack.env };
        const { stdout } = await promisify(execFile)(process.execPath, ['cli/main.ts', 'retry', ...stated], { env });
        expect(stdout).toContain(`"resource_id":"${order.id}"`);
      } else if (name === 'xdr_wrong_amount')
        await stack.client.workflow
          .getHandle(`order/${order.id}`)
          .executeUpdate(repairUpdates.retry, { args: [{ request_id: null, actor: null, reason }] });
      else
        expect(
          await api('POST', `/attention/${parked.attention?.id}/repair`, { action: 'retry', reason }, WAIT),
        ).toMatchObject({ status: 200, body: { resource: { type: 'order', id: order.id } } });
      expect(await untilStatus(api, order.id, 'IN_PROGRESS')).toMatchObject({ attention: null });
    },
    180_000,
  );

  test('a deploy for another receiver is not signed either', async () => {
    const { api } = market;
    const order = await createOrder(api, buyer, seller);
    await verb(api, order.id, 'reserve');
    await stack.fault({ name: 'xdr_wrong_destination', match: { path: 'deployer' } });
    await verb(api, order.id, 'escrow');
    const parked = await eventually(async () => {
      const now = await getOrder(api, order.id);
      return now.operation?.status === 'PARKED' ? now : null;
    });
    expect(parked.attention).toMatchObject({ reason: 'ENVELOPE_REJECTED' });

    const repair = (body: object) => api('POST', `/attention/${parked.attention?.id}/repair`, body, WAIT);
    const giveUp = (headers: Record<string, string>) =>
      api('POST', `/attention/${parked.attention?.id}/repair`, { action: 'give_up' }, headers);
    expect(await repair({ action: 'payout_to', address: stack.env['SPONSOR_ADDRESS'] })).toMatchObject({
      status: 409,
      body: { allowed: ['retry', 'adopt', 'give_up'] },
    });
    // Nobody's word is taken for what landed.
    expect(await repair({ action: 'adopt', transaction_hash: 'ab'.repeat(32) })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/transaction_hash' }] },
    });
    const key = { 'idempotency-key': `repair-${parked.attention?.id}` };
    expect((await giveUp(key)).status).toBe(202);
    // The same call again, after its answer: it attaches to what was asked for.
    expect((await giveUp({ ...key, ...WAIT })).status).toBe(200);
    expect((await api('GET', `/attention/${parked.attention?.id}`)).body).toMatchObject({ id: parked.attention?.id });
    expect(await untilStatus(api, order.id, 'FUNDS_RESERVED')).toMatchObject({
      attention: null,
      operation: { verb: 'escrow', status: 'FAILED', error: { detail: expect.stringMatching(/^given up/) } },
    });
    expect(await repair({ action: 'retry' })).toMatchObject({ status: 409 });
    await stack.calm();
    expect((await verb(api, order.id, 'escrow')).body).toMatchObject({ status: 'ESCROW_FUNDING' });
  }, 180_000);
});

describe('an outcome that is not known is found out, and funds once', () => {
  test.each([
    ['the answer of the submission is lost (F2)', { name: 'answer_lost_after_accept', count: 1 }],
    ['a node wants to be asked later', { name: 'try_again_later', count: 2, match: { face: 'core' } }],
    ['a node is a ledger behind', { name: 'bad_seq_lag', count: 1 }],
    ['the gateway is down', { name: 'http_503', count: 3, match: { face: 'trustless-work' } }],
    [
      'the gateway wants to be left alone',
      { name: 'http_429', count: 2, match: { face: 'trustless-work' }, retry_after: 1 },
    ],
    ['the node is down', { name: 'http_502', count: 4, match: { face: 'rpc' } }],
    ['the node answers as of some ledgers ago', { name: 'stale_index', count: 3, match: { face: 'rpc' } }],
  ])(
    '%s',
    async (_words, rule) => {
      const { api } = market;
      const order = await escrowed();
      const before = await balance(api, buyer.id);
      await stack.fault(rule);
      await verb(api, order.id, 'escrow/fund');
      await untilStatus(api, order.id, 'IN_PROGRESS');
      expect(await fired()).toContain(rule.name);
      const after = await balance(api, buyer.id);
      expect(Number(before.total) - Number(after.total)).toBe(25);
      expect((await verb(api, order.id, 'resolution/release')).body).toMatchObject({ status: 'CLOSED' });
    },
    180_000,
  );
});

test('a funding that fails in its ledger is compensated: the reservation stands, and it can be funded again', async () => {
  const { api } = market;
  const order = await escrowed();
  await stack.fault({ name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow' } });
  const { status, body } = await verb<ProblemBody & { operation: OrderBody['operation'] }>(
    api,
    order.id,
    'escrow/fund',
  );
  expect(status).toBe(422);
  expect(body).toMatchObject({
    code: 'OPERATION_FAILED',
    operation: { status: 'FAILED', error: { code: 'TRANSACTION_FAILED' } },
  });
  const failed = await getOrder(api, order.id);
  expect(failed).toMatchObject({
    status: 'ESCROW_FUNDING',
    reservation: 'HELD',
    allowed: ['cancel', 'fund', 'extend'],
  });
  await expectCoherent(stack);
  expect((await verb(api, order.id, 'escrow/fund')).body).toMatchObject({ status: 'IN_PROGRESS' });
}, 180_000);

test('money that a stranger pays into the contract is booked, and the order goes on', async () => {
  const { api } = market;
  const order = await escrowed();
  await verb(api, order.id, 'escrow/fund');
  const outside = await createStranger(stack, '10');
  await outside.payContract(order.escrow?.contract_id ?? '', 30_000_001n);
  // A deposit after it shows that the reader passed the stranger's ledger.
  await deposit(api, buyer.id, '1');
  await expectCoherent(stack);
  expect((await verb(api, order.id, 'resolution/release')).body).toMatchObject({ status: 'CLOSED' });
}, 180_000);
