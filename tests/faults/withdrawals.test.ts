/** Withdrawals that meet trouble on their way: paid once or not at all, and never both held and gone. */
import { Operation } from '@stellar/stellar-sdk/base';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import { type ProblemBody, WAIT, balance, fundedUser } from '../support/flows.ts';
import { PATIENCE, type PaymentBody, keyOf, onChain, rows, to, untilPayment, withdraw } from '../support/payments.ts';
import { type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;
/** above its threshold another person approves */
let strict: TestMarketplace;
let api: Call;
let bob: Call;

beforeAll(async () => {
  stack = await startTestStack();
  [market, strict] = await Promise.all([
    stack.createMarketplace(),
    stack.createMarketplace({ approval_threshold: '1' }),
  ]);
  ({ api } = market);
  bob = await keyOf(stack, strict, 'bob', ['read', 'support']);
}, 120_000);
afterAll(async () => {
  await expectCoherent(stack);
  await stack.stop();
}, 60_000);

test('is asked for and approved while no provider answers; while the marketplace is paused nothing is signed', async () => {
  const [user, receiver] = await Promise.all([fundedUser(api, '10'), createStranger(stack, '1')]);
  await stack.fault({ name: 'http_503', match: { face: 'rpc' } });
  const { status, body } = await withdraw(api, { user_id: user.id, amount: '4', destination: to(receiver.address) });
  expect([status, body.status]).toEqual([202, 'APPROVED']);
  await stack.api('POST', `/marketplaces/${market.id}/pause`, {});
  await stack.calm();
  // It waits for the marketplace alone: the source account is free for others.
  await eventually(async () => {
    const [attempts] = await rows<{ leases: number }>(
      stack,
      `select count(*)::int as leases from source_leases where owner = $1`,
      [`withdrawal/${body.id}/pay`],
    );
    return attempts?.leases === 0;
  }, PATIENCE);
  expect((await api<PaymentBody>('GET', `/withdrawals/${body.id}`)).body.status).toBe('APPROVED');
  await stack.api('POST', `/marketplaces/${market.id}/resume`, {});
  await untilPayment(api, body.id, 'COMPLETED');
  expect(await onChain(stack, receiver.address)).toBe('5.0000000');
}, 240_000);

test('a worker that dies between submission and confirmation pays once', async () => {
  const [user, receiver] = await Promise.all([fundedUser(api, '10'), createStranger(stack, '1')]);
  await stack.control('POST', '/clock', { ledger_ms: 0 });
  const { body } = await withdraw(api, { user_id: user.id, amount: '4', destination: to(receiver.address) });
  await eventually(async () => {
    const [sent] = await rows<{ status: string }>(
      stack,
      `select status from chain_transactions where workflow_id = $1`,
      [`withdrawal/${body.id}`],
    );
    return sent?.status === 'SUBMITTED';
  }, PATIENCE);
  expect((await api<PaymentBody>('GET', `/withdrawals/${body.id}`)).body).toMatchObject({
    status: 'SUBMITTED',
    operation: { status: 'RUNNING' },
  });
  const late = await api<ProblemBody>('POST', `/withdrawals/${body.id}/cancel`, {});
  expect(late.body).toMatchObject({ code: 'INVALID_STATE', current_status: 'SUBMITTED', allowed: [] });
  await stack.killWorker();
  await stack.control('POST', '/clock', { ledger_ms: 100 });
  await stack.startWorker();
  await untilPayment(api, body.id, 'COMPLETED');
  expect([await onChain(stack, receiver.address), (await balance(api, user.id)).total]).toEqual(['5.0000000', '6']);
}, 240_000);

test('what only an operator can help is parked: retried when it is mended, or canceled', async () => {
  const user = await fundedUser(strict.api, '20');
  const outside = await createStranger(stack, '1');
  const ask = async () =>
    (await withdraw(strict.api, { user_id: user.id, amount: '5', destination: to(outside.address) })).body.id;
  const [first, second] = [await ask(), await ask()];
  const shown = async (id: string) => (await bob<PaymentBody>('GET', `/withdrawals/${id}`)).body;
  // An asset that this network does not have: the row cannot be trusted.
  await rows(stack, `update payments set asset = 'GOLD' where id in ($1, $2)`, [first, second]);
  for (const id of [first, second]) {
    await bob('POST', `/withdrawals/${id}/approve`, {});
    await eventually(async () => (await shown(id)).operation.status === 'PARKED', PATIENCE);
    expect(await shown(id)).toMatchObject({
      status: 'APPROVED',
      attention: { reason: 'BOOKS_DIFFER', allowed_repairs: ['retry', 'adopt'] },
    });
  }
  await rows(stack, `update payments set asset = 'USDC' where id in ($1, $2)`, [first, second]);
  expect((await bob('POST', `/withdrawals/${second}/cancel`, {})).status).toBe(200);
  const handle = stack.client.workflow.getHandle(`withdrawal/${first}`);
  await handle.executeUpdate('retry', { args: [{ request_id: null, actor: 'operator', reason: null }] });
  await eventually(async () => (await shown(first)).status === 'COMPLETED', PATIENCE);
  expect(await shown(first)).toMatchObject({ attention: null, operation: { status: 'SUCCEEDED' } });
  expect(await shown(second)).toMatchObject({ status: 'CANCELED', attention: null });
  expect(await balance(strict.api, user.id)).toMatchObject({ available: '15', reserved: '0' });
}, 240_000);

test('a destination that can no longer be paid when it is approved fails it, and the money is available again', async () => {
  const [user, receiver] = await Promise.all([fundedUser(strict.api, '20'), createStranger(stack, '1')]);
  const asked = await withdraw(strict.api, { user_id: user.id, amount: '20', destination: to(receiver.address) });
  await receiver.send(Operation.manageData({ name: 'config.memo_required', value: '1' }));
  const failed = await bob<ProblemBody & PaymentBody>('POST', `/withdrawals/${asked.body.id}/approve`, {}, WAIT);
  expect(failed).toMatchObject({ status: 422, body: { code: 'OPERATION_FAILED' } });
  expect(failed.body.operation.error?.code).toBe('DESTINATION_INVALID');
  expect((await strict.api<PaymentBody>('GET', `/withdrawals/${asked.body.id}`)).body.status).toBe('FAILED');
  expect(await balance(strict.api, user.id)).toMatchObject({ available: '20', reserved: '0' });
}, 180_000);

// Last: it leaves the chain's clock ahead of ours.
test('a withdrawal that the network never takes is proved dead, and the money is available again', async () => {
  const [user, receiver] = await Promise.all([fundedUser(api, '10'), createStranger(stack, '1')]);
  await stack.fault({ name: 'try_again_later', match: { face: 'core' } });
  const { body } = await withdraw(api, { user_id: user.id, amount: '4', destination: to(receiver.address) });
  await untilPayment(api, body.id, 'SUBMITTED');
  await stack.control('POST', '/clock', { ledger_ms: 0 });
  await stack.control('POST', '/ledgers/close', { count: 200 });
  const failed = await untilPayment(api, body.id, 'FAILED');
  expect(failed.operation).toMatchObject({ status: 'FAILED', error: { code: 'ENVELOPE_EXPIRED' } });
  await stack.calm();
  await stack.control('POST', '/clock', { ledger_ms: 100 });
  expect(await balance(api, user.id)).toMatchObject({ available: '10', reserved: '0' });
  expect(await onChain(stack, receiver.address)).toBe('1.0000000');
}, 240_000);
