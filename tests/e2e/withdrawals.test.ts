/** Money that leaves: to whom it may, once, with another person where that is asked for. */
import { randomBytes } from 'node:crypto';
import { Account, Keypair, MuxedAccount, Operation, StrKey } from '@stellar/stellar-sdk/base';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import {
  type ProblemBody,
  WAIT,
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  insist,
  readyUser,
  verb,
} from '../support/flows.ts';
import {
  PATIENCE,
  type PaymentBody,
  eventTypes,
  key,
  keyOf,
  onChain,
  paid,
  rows,
  systemAddress,
  to,
  untilPayment,
  withdraw,
} from '../support/payments.ts';
import { type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

const LIMITS = { WITHDRAWAL_MIN: '0.5', WITHDRAWAL_MAX: '500', WITHDRAWAL_DAY_MAX: '600' };

let stack: TestStack;
let market: TestMarketplace;
let api: Call;
let outside: Awaited<ReturnType<typeof createStranger>>;

beforeAll(async () => {
  stack = await startTestStack({ environment: LIMITS });
  market = await stack.createMarketplace();
  ({ api } = market);
  outside = await createStranger(stack, '1000');
}, 120_000);
afterAll(async () => {
  await expectCoherent(stack);
  await stack.stop();
}, 60_000);

test('a withdrawal is held, paid and booked, once, however often it is asked for', async () => {
  const [user, receiver] = await Promise.all([fundedUser(api, '100'), createStranger(stack, '1')]);
  const headers = key();
  const request = {
    user_id: user.id,
    amount: '40.50',
    asset: 'USDC',
    destination: to(receiver.address, { type: 'TEXT', value: '1234' }),
    client_ref: `w-${user.id}`,
    metadata: { plan: 'pro' },
  };
  const [first, ...others] = await Promise.all(
    Array.from({ length: 4 }, () => api<PaymentBody>('POST', '/withdrawals', request, headers)),
  );
  const { id } = first?.body ?? { id: '' };
  expect([first?.status, first?.headers.get('location')]).toEqual([202, `/api/v1/withdrawals/${id}`]);
  expect(new Set(others.map(({ body }) => body.id))).toEqual(new Set([id]));

  const done = await untilPayment(api, id, 'COMPLETED');
  expect(done).toEqual({
    id,
    user_id: user.id,
    amount: '40.5',
    asset: 'USDC',
    destination: { address: receiver.address, memo: { type: 'TEXT', value: '1234' } },
    client_ref: `w-${user.id}`,
    status: 'COMPLETED',
    requested_by: expect.stringMatching(/^key_/),
    approved_by: null,
    transaction_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    ledger: expect.any(Number),
    operation: expect.objectContaining({
      verb: 'create',
      status: 'SUCCEEDED',
      transaction_hash: done.transaction_hash,
    }),
    attention: null,
    metadata: { plan: 'pro' },
    version: 4,
    created_at: expect.any(String),
    updated_at: expect.any(String),
    completed_at: expect.any(String),
  });
  expect(await onChain(stack, receiver.address)).toBe('41.5000000');
  expect(await balance(api, user.id)).toMatchObject({ available: '59.5', reserved: '0', total: '59.5' });
  expect(await eventTypes(api, id, 4)).toEqual([
    'withdrawal.created',
    'withdrawal.approved',
    'withdrawal.submitted',
    'withdrawal.completed',
  ]);
  const moved = await eventually(async () => {
    const { body } = await api<{ data: { kind: string; resource: unknown }[] }>(
      'GET',
      `/users/${user.id}/wallet/transactions`,
    );
    return body.data.find(({ kind }) => kind === 'WITHDRAWAL');
  }, PATIENCE);
  expect(moved).toMatchObject({ direction: 'OUT', amount: '40.5', resource: { type: 'withdrawal', id } });
  const statement = await api<{ data: { type: string; direction: string }[] }>(
    'GET',
    `/users/${user.id}/balance/transactions`,
  );
  expect(statement.body.data.map(({ type, direction }) => `${type} ${direction}`).slice(0, 2)).toEqual([
    'WITHDRAWAL DEBIT',
    'WITHDRAWAL HOLD',
  ]);

  // The same key attaches, an equal body under the same reference finds it, another one is refused.
  const waited = await api<PaymentBody>('POST', '/withdrawals', request, { ...headers, ...WAIT });
  expect([waited.status, waited.body.id]).toEqual([200, id]);
  expect((await withdraw(api, { ...request, amount: '40.5' })).body.id).toBe(id);
  expect((await withdraw(api, { ...request, amount: '1' })).body).toMatchObject({
    code: 'CLIENT_REF_REUSED',
    withdrawal_id: id,
  });
  expect((await api<ProblemBody>('POST', '/withdrawals', request)).body).toMatchObject({
    code: 'IDEMPOTENCY_KEY_REQUIRED',
    status: 400,
  });
  const list = (query: string) => api<{ data: PaymentBody[] }>('GET', `/withdrawals?${query}`);
  expect(
    (await list(`client_ref=w-${user.id}&status=COMPLETED,FAILED&user_id=${user.id}&metadata[plan]=pro`)).body.data,
  ).toEqual([done]);
  expect((await list('status=CANCELED&user_id=usr_none')).body.data).toEqual([]);
  const unchanged = await api('GET', `/withdrawals/${id}`, undefined, { 'if-none-match': '"4"', prefer: 'wait=1' });
  expect([unchanged.status, unchanged.headers.get('etag')]).toEqual([304, '"4"']);
}, 180_000);

describe('the destination', () => {
  test('must be an account that can take the payment and tell whom it is for', async () => {
    const user = await fundedUser(api, '50');
    const [shared, bare, elsewhere] = await Promise.all([
      createStranger(stack, '1'),
      createStranger(stack, '1'),
      stack.createMarketplace(),
    ]);
    await shared.send(Operation.manageData({ name: 'config.memo_required', value: '1' }));
    const [, issuer = ''] = (stack.env['ASSETS'] ?? '').split(':');
    const foreign = await readyUser(elsewhere.api);
    const fee = await systemAddress(stack, 'FEE', market.id);
    const refused = {
      contract: StrKey.encodeContract(randomBytes(32)),
      'no address': 'GARBAGE',
      'no account': Keypair.random().publicKey(),
      'no trustline': stack.env['SPONSOR_ADDRESS'] ?? '',
      issuer,
      'fee wallet': fee,
      operator: await systemAddress(stack, 'OPERATOR', market.id),
      resolver: await systemAddress(stack, 'RESOLVER', market.id),
      channel: await systemAddress(stack, 'CHANNEL', null),
      'user of another marketplace': foreign.wallet.address ?? '',
      'own wallet': user.wallet.address ?? '',
      'memo required': shared.address,
    };
    const answers = await Promise.all(
      Object.entries(refused).map(async ([what, address]) => {
        const { status, body } = await withdraw(api, { user_id: user.id, amount: '1', destination: to(address) });
        return `${what}: ${status} ${body.code}`;
      }),
    );
    expect(answers).toEqual(Object.keys(refused).map((what) => `${what}: 422 DESTINATION_INVALID`));
    const muxed = new MuxedAccount(new Account(shared.address, '0'), '18446744073709551615').accountId();
    const wrong = [
      to(muxed, { type: 'ID', value: '1' }),
      to(shared.address, { type: 'TEXT', value: 'ä'.repeat(15) }),
      to(shared.address, { type: 'ID', value: '18446744073709551616' }),
      to(shared.address, { type: 'HASH', value: 'ab' }),
    ];
    for (const destination of wrong)
      expect((await withdraw(api, { user_id: user.id, amount: '1', destination })).body.code).toBe('VALIDATION_ERROR');
    expect(await balance(api, user.id)).toMatchObject({ available: '50', reserved: '0' });

    const hash = 'ab'.repeat(32);
    await Promise.all([
      paid(api, user.id, '1', to(muxed)),
      paid(api, user.id, '2', to(shared.address, { type: 'ID', value: '77' })),
      paid(api, user.id, '3', to(shared.address, { type: 'HASH', value: hash })),
      paid(api, user.id, '4', to(bare.address, { type: 'RETURN', value: hash })),
    ]);
    expect([await onChain(stack, shared.address), await onChain(stack, bare.address)]).toEqual([
      '7.0000000',
      '5.0000000',
    ]);
    expect(await balance(api, user.id)).toMatchObject({ available: '40' });
  }, 180_000);

  test('may be another user of the marketplace, whose money it then is', async () => {
    const [user, other] = await Promise.all([fundedUser(api, '30'), readyUser(api)]);
    await paid(api, user.id, '12', to(other.wallet.address ?? ''));
    expect(await balance(api, user.id)).toMatchObject({ total: '18' });
    expect(await balance(api, other.id)).toMatchObject({ available: '12', total: '12' });
  }, 180_000);
});

test('nothing is asked for that is not there, not allowed or not the caller’s', async () => {
  const [user, poor] = await Promise.all([fundedUser(api, '1000'), readyUser(api)]);
  const destination = to(outside.address);
  const codeOf = async (body: object, by: Call = api) => {
    const { status, body: problem } = await withdraw(by, { amount: '1', destination, ...body });
    return `${status} ${problem.code}`;
  };
  expect(await codeOf({ user_id: poor.id })).toBe('422 INSUFFICIENT_FUNDS');
  expect(await codeOf({ user_id: 'usr_none' })).toBe('404 NOT_FOUND');
  expect(await codeOf({})).toBe('422 VALIDATION_ERROR');
  expect(await codeOf({ user_id: user.id, amount: '0.4' })).toBe('422 LIMIT_EXCEEDED');
  expect(await codeOf({ user_id: user.id, amount: '501' })).toBe('422 LIMIT_EXCEEDED');
  expect(await codeOf({ from: 'FEES' })).toBe('422 INSUFFICIENT_FUNDS');
  expect(await codeOf({ from: 'FEES' }, await keyOf(stack, market, 'clerk', ['write']))).toBe('403 INSUFFICIENT_SCOPE');
  expect(await codeOf({ user_id: user.id }, await keyOf(stack, market, 'reader', ['read']))).toBe(
    '403 INSUFFICIENT_SCOPE',
  );
  // Six hundred within a day, also when they are asked for at once.
  const asked = await Promise.all(
    Array.from({ length: 5 }, () => withdraw(api, { user_id: user.id, amount: '150', destination })),
  );
  expect(asked.map(({ status }) => status).sort()).toEqual([202, 202, 202, 202, 422]);
  expect(await codeOf({ user_id: user.id, amount: '0.5' })).toBe('422 LIMIT_EXCEEDED');
  for (const { status, body } of asked) if (status === 202) await untilPayment(api, body.id, 'COMPLETED');

  const saver = await fundedUser(api, '10');
  await api('POST', `/users/${saver.id}/suspend`, {});
  expect(await codeOf({ user_id: saver.id })).toBe('409 USER_SUSPENDED');
  const adjusted = { amount: '1', reason: 'a mistake' };
  const support = await keyOf(stack, market, 'sam', ['support']);
  expect((await support('POST', `/users/${saver.id}/balance/debit`, adjusted, key())).status).toBe(202);
  await api('POST', `/users/${saver.id}/activate`, {});
  await stack.api('POST', `/marketplaces/${market.id}/pause`, {});
  const headers = key();
  const paused = await api<ProblemBody>(
    'POST',
    '/withdrawals',
    { user_id: saver.id, amount: '1', destination },
    headers,
  );
  expect(paused).toMatchObject({ status: 409, body: { code: 'MARKETPLACE_PAUSED', retryable: true } });
  const order = { buyer_id: saver.id, seller_id: user.id, amount: '1', title: 'Logo' };
  expect((await api('POST', '/orders', order)).status).toBe(201);
  await stack.api('POST', `/marketplaces/${market.id}/resume`, {});
  const again = await api<PaymentBody>(
    'POST',
    '/withdrawals',
    { user_id: saver.id, amount: '1', destination },
    headers,
  );
  expect(again.status).toBe(202);
  await untilPayment(api, again.body.id, 'COMPLETED');
}, 240_000);

describe('from the threshold on', () => {
  test('another person approves; what is not approved may be canceled', async () => {
    const strict = await stack.createMarketplace({ approval_threshold: '50' });
    const call = strict.api;
    const [ann, bob] = await Promise.all([
      keyOf(stack, strict, 'ann', ['read', 'write', 'support']),
      keyOf(stack, strict, 'bob', ['read', 'write', 'support']),
    ]);
    const user = await fundedUser(call, '500');
    const destination = to(outside.address);
    const ask = (amount: string) => withdraw(ann, { user_id: user.id, amount, destination }, WAIT);
    expect((await ask('49.9999999')).body).toMatchObject({ status: 'COMPLETED', approved_by: null });

    const { status, body } = await ask('50');
    expect([status, body.status, body.operation.status]).toEqual([200, 'APPROVAL_REQUIRED', 'SUCCEEDED']);
    expect(await balance(call, user.id)).toMatchObject({ available: '400.0000001', reserved: '50' });
    const approve = (by: Call) =>
      by<PaymentBody & ProblemBody>('POST', `/withdrawals/${body.id}/approve`, { reason: 'ok' }, WAIT);
    expect((await approve(ann)).body).toMatchObject({ code: 'INSUFFICIENT_SCOPE', status: 403 });
    expect((await approve(call)).body).toMatchObject({ code: 'INSUFFICIENT_SCOPE', status: 403 });
    const done = await approve(bob);
    expect([done.status, done.body.status, done.body.operation.verb]).toEqual([200, 'COMPLETED', 'approve']);
    expect(done.body.approved_by).toMatch(/^key_/);
    expect((await approve(bob)).body).toMatchObject({
      code: 'INVALID_STATE',
      current_status: 'COMPLETED',
      allowed: [],
      operation: { verb: 'approve' },
    });

    const second = (await ask('60')).body;
    const canceled = await ann<PaymentBody>('POST', `/withdrawals/${second.id}/cancel`, { reason: 'typo' });
    expect([canceled.status, canceled.body.status, canceled.body.operation.verb]).toEqual([200, 'CANCELED', 'cancel']);
    expect(await balance(call, user.id)).toMatchObject({ available: '400.0000001', reserved: '0' });
    const late = await bob<ProblemBody>('POST', `/withdrawals/${second.id}/approve`, {});
    expect(late.body).toMatchObject({ code: 'INVALID_STATE', current_status: 'CANCELED' });
    const audit = await rows<{ action: string }>(
      stack,
      `select action from audit_log where resource_id in ($1, $2) order by at`,
      [body.id, second.id],
    );
    expect(audit.map(({ action }) => action)).toEqual(['withdrawal.approve', 'withdrawal.cancel']);
  }, 240_000);
});

test('the marketplace pays out what it earned', async () => {
  const [buyer, seller, receiver] = await Promise.all([
    fundedUser(api, '100'),
    readyUser(api),
    createStranger(stack, '1'),
  ]);
  const order = await createOrder(api, buyer, seller, { amount: '100', platform_fee_bps: 1_000 });
  await driveToProgress(api, order.id);
  const { settlements } = (await verb(api, order.id, 'resolution/release')).body;
  expect(settlements).toMatchObject([{ platform_fee: '10' }]);
  const pay = (amount: string) => withdraw(api, { from: 'FEES', amount, destination: to(receiver.address) });
  expect((await pay('10.0000001')).body.code).toBe('INSUFFICIENT_FUNDS');
  const { body } = await pay('10');
  expect(await untilPayment(api, body.id, 'COMPLETED')).toMatchObject({ user_id: null });
  expect(await onChain(stack, receiver.address)).toBe('11.0000000');
}, 240_000);

test('a correction moves the marketplace’s own money, and another person approves it', async () => {
  const [user, ann, bob] = await Promise.all([
    readyUser(api),
    keyOf(stack, market, 'ann', ['read', 'support']),
    keyOf(stack, market, 'bob', ['read', 'support']),
  ]);
  const adjust = (direction: 'credit' | 'debit', amount: string, headers: Record<string, string> = key()) =>
    ann<PaymentBody & ProblemBody>(
      'POST',
      `/users/${user.id}/balance/${direction}`,
      { amount, reason: 'goodwill', reference: 'T-1' },
      headers,
    );
  expect((await adjust('credit', '5', {})).body).toMatchObject({ code: 'IDEMPOTENCY_KEY_REQUIRED', status: 400 });
  expect((await adjust('credit', '5')).body).toMatchObject({ code: 'INSUFFICIENT_FUNDS', status: 422 });
  expect((await adjust('debit', '5')).body).toMatchObject({ code: 'INSUFFICIENT_FUNDS', status: 422 });

  await outside.send(outside.pay(await systemAddress(stack, 'FEE', market.id), '20'));
  const asked = await eventually(async () => {
    const answer = await adjust('credit', '5');
    return answer.status === 202 ? answer.body : null;
  }, PATIENCE);
  expect(asked).toEqual({
    id: expect.stringMatching(/^adj_/),
    user_id: user.id,
    direction: 'CREDIT',
    amount: '5',
    asset: 'USDC',
    status: 'APPROVAL_REQUIRED',
    reason: 'goodwill',
    reference: 'T-1',
    operation: expect.objectContaining({ verb: 'create', status: 'SUCCEEDED' }),
    version: 2,
    created_at: expect.any(String),
  });
  const approve = (by: Call, id: string) => insist<PaymentBody>(by, `/adjustments/${id}/approve`, {});
  expect((await approve(ann, asked.id)).status).toBe(403);
  expect((await approve(bob, asked.id)).status).toBe(202);
  await untilPayment(api, asked.id, 'COMPLETED', 'adjustments');
  expect(await balance(api, user.id)).toMatchObject({ available: '5' });

  const back = (await adjust('debit', '2')).body;
  expect(await balance(api, user.id)).toMatchObject({ available: '3', reserved: '2' });
  expect((await approve(bob, back.id)).status).toBe(202);
  await untilPayment(api, back.id, 'COMPLETED', 'adjustments');
  expect(await balance(api, user.id)).toMatchObject({ total: '3' });
  expect(await eventTypes(api, back.id, 5)).toEqual([
    'adjustment.created',
    'adjustment.approval_required',
    'adjustment.approved',
    'adjustment.submitted',
    'adjustment.completed',
  ]);
  const kinds = await eventually(async () => {
    const { body } = await api<{ data: { kind: string }[] }>('GET', `/users/${user.id}/wallet/transactions`);
    return body.data.length === 2 ? body.data.map(({ kind }) => kind) : null;
  }, PATIENCE);
  expect(kinds).toEqual(['ADJUSTMENT', 'ADJUSTMENT']);
  const listed = await ann<{ data: PaymentBody[] }>('GET', '/adjustments?limit=2');
  expect(listed.body.data.map(({ id }) => id)).toEqual([back.id, asked.id]);
}, 240_000);
