/** Users who hold their own keys: nothing moves without their signature, and nothing of it is lost or paid twice. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Keypair } from '@stellar/stellar-sdk/base';
import { withClient } from '../../cli/stack/postgres.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type EventBody,
  type OrderBody,
  type ProblemBody,
  WAIT,
  balance,
  createOrder,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type OwnWallet, createOwnWallet, ownUser, payInto } from '../support/own-wallet.ts';
import { type Answer, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

interface RequestBody {
  readonly id: string;
  readonly user_id: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly verb: string;
  readonly summary: string;
  readonly unsigned_envelope: string | null;
  readonly hash: string | null;
  readonly sep7_uri: string | null;
  readonly status: string;
}

const PATIENCE = { timeoutMs: 120_000 };

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
}, 120_000);
afterEach(() => expectCoherent(stack), 60_000);
afterAll(() => stack.stop());

/** The request that waits for the buyer's signature of this order. */
const requestOf = (orderId: string): Promise<RequestBody> =>
  eventually(async () => {
    const { body } = await market.api<{ data: RequestBody[] }>(
      'GET',
      `/signing-requests?order_id=${orderId}&status=PENDING`,
    );
    return body.data[0] ?? null;
  }, PATIENCE);

/** What the signer gets when he opens it. */
async function opened(id: string): Promise<RequestBody & { unsigned_envelope: string }> {
  return eventually(async () => {
    const { status, body } = await market.api<RequestBody>('GET', `/signing-requests/${id}`);
    if (status === 503) return null;
    if (status !== 200 || body.unsigned_envelope === null)
      throw new Error(`GET answered ${status}: ${JSON.stringify(body)}`);
    return { ...body, unsigned_envelope: body.unsigned_envelope };
  }, PATIENCE);
}

const submit = (id: string, signed: string): Promise<Answer<RequestBody & ProblemBody>> =>
  market.api('POST', `/signing-requests/${id}/signature`, { signed_envelope: signed }, WAIT);

/** Drives an order of an own-wallet buyer to where only his signature is missing. */
async function untilSignature(order: OrderBody): Promise<RequestBody> {
  for (const path of ['reserve', 'escrow']) {
    const { status, body } = await verb(market.api, order.id, path);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  }
  const { status } = await market.api('POST', `/orders/${order.id}/escrow/fund`, {});
  if (status !== 202) throw new Error(`fund answered ${status}`);
  return requestOf(order.id);
}

/** Events are there when the relay has placed them. */
const expectEvents = (resourceId: string, ...types: string[]): Promise<true> =>
  eventually(async () => {
    const { body } = await market.api<{ data: EventBody[] }>('GET', `/events?resource_id=${resourceId}`);
    expect(body.data.map(({ type }) => type).toReversed()).toEqual(types);
    return true as const;
  }, PATIENCE);

async function signInFull(wallet: OwnWallet, request: RequestBody): Promise<void> {
  const { unsigned_envelope } = await opened(request.id);
  const { status, body } = await submit(request.id, wallet.sign(unsigned_envelope));
  if (status !== 200) throw new Error(`signature answered ${status}: ${JSON.stringify(body)}`);
}

test('a wallet is only taken as it is: an account on this network that can hold the asset and is nobody else’s', async () => {
  const { api } = market;
  const [bare, mine, ours] = await Promise.all([
    createOwnWallet(stack, null),
    createOwnWallet(stack, '1'),
    readyUser(api),
  ]);
  const user = await ownUser(api, mine);
  expect(user.wallet).toMatchObject({ provider: 'external-wallet', status: 'READY', address: mine.address });
  const refusals: [string, string][] = [
    ['GABC', 'ADDRESS_FORMAT'],
    [Keypair.random().publicKey(), 'NO_ACCOUNT'],
    [bare.address, 'NO_TRUSTLINE'],
    [mine.address, 'ADDRESS_TAKEN'],
    [ours.wallet.address ?? '', 'ADDRESS_TAKEN'],
  ];
  for (const [address, code] of refusals) {
    const wallet = { provider: 'external-wallet', address };
    const { status, body } = await insist<ProblemBody>(api, '/users', { external_user_id: randomUUID(), wallet });
    expect({ status, errors: body.errors }).toMatchObject({
      status: 422,
      errors: [{ pointer: '/wallet/address', code }],
    });
  }
  expect(await balance(api, user.id)).toMatchObject({ available: '1', reserved: '0', total: '1' });
  const deposit = await api<{ address: string }>('GET', `/users/${user.id}/wallet/deposit`);
  expect(deposit.body.address).toBe(mine.address);
  // What is in it is not ours to send, however much it is.
  const taken = [
    ['/withdrawals', { user_id: user.id, amount: '1', destination: { address: mine.address, memo: null } }],
    [`/users/${user.id}/balance/debit`, { amount: '1', reason: 'too much' }],
  ] as const;
  for (const [path, body] of taken) {
    const { status, body: problem } = await insist<ProblemBody & { detail: string }>(api, path, body);
    expect({ ...problem, path, status }).toMatchObject({
      path,
      status: 422,
      code: 'VALIDATION_ERROR',
      detail: expect.stringContaining('holds the key'),
      errors: [{ pointer: '/user_id', code: 'OWN_WALLET' }],
    });
  }
}, 120_000);

test('buyer and seller with own wallets: the whole life of an order, booked as external', async () => {
  const { api } = market;
  const [payer, payee] = await Promise.all([createOwnWallet(stack, '100'), createOwnWallet(stack, '0')]);
  const [buyer, seller] = await Promise.all([ownUser(api, payer), ownUser(api, payee)]);
  const order = await createOrder(api, buyer, seller, { amount: '40' });
  const request = await untilSignature(order);
  // Lists and events never hand out.
  expect(request).toMatchObject({
    user_id: buyer.id,
    verb: 'fund',
    resource: { type: 'order', id: order.id },
    unsigned_envelope: null,
    hash: null,
    sep7_uri: null,
  });
  expect(await getOrder(api, order.id)).toMatchObject({
    waiting_for: 'SIGNATURE',
    reservation: 'UNGUARANTEED',
    operation: { verb: 'fund', status: 'RUNNING' },
  });
  // Opened twice it is the same envelope.
  const [once, twice] = [await opened(request.id), await opened(request.id)];
  expect(twice).toEqual(once);
  expect(once.sep7_uri).toMatch(/^web\+stellar:tx\?xdr=/);
  const signed = payer.sign(once.unsigned_envelope);
  const { status, body } = await submit(request.id, signed);
  expect({ status, body }).toMatchObject({ status: 200, body: { status: 'COMPLETED', hash: once.hash } });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  expect(await submit(request.id, signed)).toMatchObject({ status: 409, body: { current_status: 'COMPLETED' } });
  expect(await api<ProblemBody>('GET', `/users/${buyer.id}/balance?at=2026-01-01T00:00:00Z`)).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/at' }] },
  });
  const before = await balance(api, seller.id);
  await verb(api, order.id, 'deliver');
  await verb(api, order.id, 'resolution/release');
  const closed = await untilStatus(api, order.id, 'CLOSED');
  expect(closed.settlements).toMatchObject([{ user_id: seller.id, gross: '40' }]);
  expect(before.total).toBe('0');
  expect((await balance(api, seller.id)).total).toBe(closed.settlements[0]?.net);
  expect(await balance(api, buyer.id)).toMatchObject({ total: '60', in_escrow: '0' });
  await expectEvents(request.id, 'signing.requested', 'signing.completed');
}, 240_000);

test('an auto order waits for the deposit into the own wallet, and then for its signature', async () => {
  const { api } = market;
  const [payer, seller] = await Promise.all([createOwnWallet(stack, '5'), readyUser(api)]);
  const buyer = await ownUser(api, payer);
  const order = await createOrder(api, buyer, seller, { amount: '25', auto: true });
  await eventually(async () => (await getOrder(api, order.id)).waiting_for === 'DEPOSIT', PATIENCE);
  await payInto(stack, payer.address, '20');
  await signInFull(payer, await requestOf(order.id));
  await untilStatus(api, order.id, 'IN_PROGRESS');
  expect(await balance(api, buyer.id)).toMatchObject({ available: '0', in_escrow: '25' });
}, 240_000);

test('a custodial buyer pays a seller with an own wallet', async () => {
  const { api } = market;
  const [buyer, payee] = await Promise.all([fundedUser(api, '25'), createOwnWallet(stack, '0')]);
  const seller = await ownUser(api, payee);
  const order = await createOrder(api, buyer, seller, { auto: true });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  await verb(api, order.id, 'resolution/release');
  const { settlements } = await untilStatus(api, order.id, 'CLOSED');
  expect((await balance(api, seller.id)).total).toBe(settlements[0]?.net);
}, 240_000);

test('only the user’s signature of what was handed out is taken', async () => {
  const { api } = market;
  const [payer, other, seller] = await Promise.all([
    createOwnWallet(stack, '60'),
    createOwnWallet(stack, '1'),
    readyUser(api),
  ]);
  const buyer = await ownUser(api, payer);
  const orders = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  const [one, another] = await Promise.all(orders.map(untilSignature));
  const [mine, foreign] = [await opened(one?.id ?? ''), await opened(another?.id ?? '')];
  const wrong: [string, string][] = [
    ['AAAA', 'ENVELOPE_FORMAT'],
    [mine.unsigned_envelope, 'SIGNATURES'],
    [other.sign(mine.unsigned_envelope), 'WRONG_SIGNATURE'],
    [other.sign(payer.sign(mine.unsigned_envelope)), 'SIGNATURES'],
    [payer.sign(foreign.unsigned_envelope), 'OTHER_TRANSACTION'],
  ];
  for (const [envelope, code] of wrong) {
    const { status, body } = await submit(mine.id, envelope);
    expect({ status, errors: body.errors }).toMatchObject({
      status: 422,
      errors: [{ pointer: '/signed_envelope', code }],
    });
  }
  expect((await getOrder(api, orders[0]?.id ?? '')).waiting_for).toBe('SIGNATURE');
  // Both were built on the same sequence number: the second is dead when the first has landed, and is handed out anew.
  await signInFull(payer, mine);
  const again = await opened(foreign.id);
  expect(again.hash).not.toBe(foreign.hash);
  const { status } = await submit(again.id, payer.sign(again.unsigned_envelope));
  expect(status).toBe(200);
  await Promise.all(orders.map(({ id }) => untilStatus(api, id, 'IN_PROGRESS')));
}, 240_000);

test('a worker that is killed while the user thinks it over loses nothing; what he sends himself is found', async () => {
  const { api } = market;
  const [payer, seller] = await Promise.all([createOwnWallet(stack, '60'), readyUser(api)]);
  const buyer = await ownUser(api, payer);
  const [order, byHimself] = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  const request = await untilSignature(order);
  const { unsigned_envelope, hash } = await opened(request.id);
  await stack.killWorker();
  await stack.startWorker();
  expect(await opened(request.id)).toMatchObject({ hash });
  expect((await submit(request.id, payer.sign(unsigned_envelope))).status).toBe(200);
  await untilStatus(api, order.id, 'IN_PROGRESS');

  const his = await opened((await untilSignature(byHimself)).id);
  await payer.submit(payer.sign(his.unsigned_envelope));
  await untilStatus(api, byHimself.id, 'IN_PROGRESS');
  await expectEvents(his.id, 'signing.requested', 'signing.completed');
}, 240_000);

test('a request expires, and what was handed out only when it is proved dead', async () => {
  const { api } = market;
  const [payer, seller] = await Promise.all([createOwnWallet(stack, '60'), readyUser(api)]);
  const buyer = await ownUser(api, payer);
  const [unopened, out] = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  const [first, second] = await Promise.all([untilSignature(unopened), untilSignature(out)]);
  const handedOut = await opened(second.id);
  await withClient(stack.databaseUrls.owner, (client) =>
    client.query('update signing_requests set expires_at = now() where id = any($1)', [[first.id, second.id]]),
  );
  // Opened too late, it is not handed out any more.
  const late = await eventually(async () => {
    const { body } = await api<RequestBody>('GET', `/signing-requests/${first.id}`);
    return body.status === 'EXPIRED' ? body : null;
  }, PATIENCE);
  expect(late.unsigned_envelope).toBeNull();
  const failed = await eventually(async () => {
    const { operation, status, waiting_for } = await getOrder(api, unopened.id);
    return operation?.status === 'FAILED' ? { status, waiting_for, error: operation.error?.code } : null;
  }, PATIENCE);
  expect(failed).toEqual({ status: 'ESCROW_FUNDING', waiting_for: null, error: 'ENVELOPE_EXPIRED' });
  await expectEvents(first.id, 'signing.requested', 'signing.expired');

  // He has it in hand: out of time or not, it may still land.
  expect(await opened(second.id)).toMatchObject({ hash: handedOut.hash, status: 'PENDING' });
  await payer.stir();
  await submit(second.id, payer.sign(handedOut.unsigned_envelope));
  await eventually(async () => (await getOrder(api, out.id)).operation?.status === 'FAILED', PATIENCE);
  await expectEvents(second.id, 'signing.requested', 'signing.expired');
  for (const { id } of [unopened, out]) expect((await verb(api, id, 'cancel')).body.status).toBe('CLOSED');
  expect(await balance(api, buyer.id)).toMatchObject({ total: '60' });
}, 240_000);

test('an order is canceled while nobody has opened its request, and not while an envelope may land', async () => {
  const { api } = market;
  const [payer, seller] = await Promise.all([createOwnWallet(stack, '60'), readyUser(api)]);
  const buyer = await ownUser(api, payer);
  const [unopened, out] = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  const [first, second] = await Promise.all([untilSignature(unopened), untilSignature(out)]);
  expect((await getOrder(api, unopened.id)).allowed).toEqual(['cancel']);
  expect((await verb(api, unopened.id, 'cancel')).body).toMatchObject({ status: 'CLOSED', final_status: 'CANCELED' });
  await expectEvents(first.id, 'signing.requested', 'signing.expired');

  const { unsigned_envelope } = await opened(second.id);
  expect((await getOrder(api, out.id)).allowed).toEqual([]);
  const refused = await verb<ProblemBody>(api, out.id, 'cancel');
  expect(refused).toMatchObject({ status: 409, body: { code: 'INVALID_STATE', retryable: true } });
  expect((await submit(second.id, payer.sign(unsigned_envelope))).status).toBe(200);
  await untilStatus(api, out.id, 'IN_PROGRESS');
}, 240_000);
