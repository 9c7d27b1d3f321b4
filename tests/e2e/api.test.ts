/** What the API promises about its calls: repeats, waiting, shutdown, events. Over HTTP, with everything real. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import {
  type EventBody,
  type OrderBody,
  type ProblemBody,
  type UserBody,
  WAIT,
  createOrder,
  fundedUser,
  getOrder,
  readyUser,
  verb,
} from '../support/flows.ts';
import { type Answer, type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;
let api: Call;
let buyer: UserBody;
let seller: UserBody;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
  ({ api } = market);
  [buyer, seller] = await Promise.all([fundedUser(api, '1000'), readyUser(api)]);
}, 120_000);
afterAll(async () => {
  await expectCoherent(stack);
  await stack.stop();
}, 60_000);

const key = () => ({ 'idempotency-key': randomUUID() });
const orderBody = (fields: object = {}) => ({
  buyer_id: buyer.id,
  seller_id: seller.id,
  amount: '10',
  title: 'Logo',
  ...fields,
});

describe('a call with a key', () => {
  test('that is repeated while the first runs makes one order, and all get the same answer', async () => {
    const headers = key();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => api<OrderBody>('POST', '/orders', orderBody(), headers)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const again = await api<OrderBody>('POST', '/orders', orderBody(), headers);
    expect([again.body.id, again.headers.get('idempotent-replayed')]).toEqual([answers[0]?.body.id, 'true']);
    expect((await api<ProblemBody>('POST', '/orders', orderBody({ title: 'Other' }), headers)).body.code).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    );
  });

  test('whose API dies in the middle is finished by a repeat, once', async () => {
    const order = await createOrder(api, buyer, seller, { amount: '11' });
    await verb(api, order.id, 'reserve');
    const headers = key();
    const cut = api('POST', `/orders/${order.id}/escrow`, {}, { ...headers, ...WAIT }).catch(() => null);
    await eventually(async () => (await getOrder(api, order.id)).operation?.verb === 'escrow');
    await stack.killApi();
    expect(await cut).toBeNull();
    await stack.startApi();
    const repeated = await api<OrderBody>('POST', `/orders/${order.id}/escrow`, {}, { ...headers, ...WAIT });
    expect([repeated.status, repeated.body.status]).toEqual([200, 'ESCROW_FUNDING']);
    const types = await eventTypes(order.id);
    expect(types.filter((type) => type === 'order.escrow_creating')).toHaveLength(1);
  }, 120_000);

  test('that was refused because another operation runs may be repeated with the same key', async () => {
    const order = await createOrder(api, buyer, seller, { amount: '12' });
    await verb(api, order.id, 'reserve');
    await api('POST', `/orders/${order.id}/escrow`);
    const headers = key();
    const fund = () =>
      api<OrderBody & ProblemBody>('POST', `/orders/${order.id}/escrow/fund`, {}, { ...headers, ...WAIT });
    const early = await fund();
    expect(early).toMatchObject({ status: 409, body: { code: 'INVALID_STATE', retryable: true, allowed: [] } });
    await eventually(async () => (await getOrder(api, order.id)).status === 'ESCROW_FUNDING');
    expect(await fund()).toMatchObject({ status: 200, body: { status: 'IN_PROGRESS' } });
    expect((await fund()).headers.get('idempotent-replayed')).toBe('true');
  }, 120_000);
});

test('a client reference names one order: an equal body finds it, another is refused', async () => {
  const body = orderBody({ client_order_ref: `A-${randomUUID()}`, amount: '1.50' });
  const [first, equal] = [
    await api<OrderBody>('POST', '/orders', body),
    await api<OrderBody>('POST', '/orders', { ...body, amount: '1.5' }),
  ];
  expect([first.status, equal.status, equal.body.id]).toEqual([201, 200, first.body.id]);
  const other = await api<ProblemBody>('POST', '/orders', { ...body, title: 'Other' });
  expect(other).toMatchObject({ status: 409, body: { code: 'CLIENT_REF_REUSED', order_id: first.body.id } });
  const raced = orderBody({ client_order_ref: `B-${randomUUID()}` });
  const race = await Promise.all(Array.from({ length: 5 }, () => api<OrderBody>('POST', '/orders', raced)));
  expect(new Set(race.map((answer) => answer.body.id)).size).toBe(1);
  expect(race.filter(({ status }) => status === 201)).toHaveLength(1);
});

describe('waiting', () => {
  test('without Prefer the answer is 202 with the operation on it; with it the settled order', async () => {
    const order = await createOrder(api, buyer, seller, { amount: '13' });
    expect((await api<OrderBody>('POST', `/orders/${order.id}/reserve`)).status).toBe(200);
    const accepted = await api<OrderBody>('POST', `/orders/${order.id}/escrow`);
    expect(accepted).toMatchObject({ status: 202, body: { operation: { verb: 'escrow' } } });
    expect(accepted.headers.get('location')).toBe(`/api/v1/orders/${order.id}`);
    expect(accepted.headers.get('preference-applied')).toBeNull();
    const changed = await untilChanged(order.id, (next) => next.status === 'ESCROW_FUNDING');
    const funded = await verb(api, changed.id, 'escrow/fund');
    expect([funded.status, funded.headers.get('preference-applied')]).toEqual([200, 'wait=60']);
    expect(funded.headers.get('etag')).toBe(`"${funded.body.version}"`);
  }, 120_000);

  test('a reader that knows the version is answered when it changes, else 304', async () => {
    const order = await createOrder(api, buyer, seller);
    const known = { 'if-none-match': `"${order.version}"` };
    expect((await api('GET', `/orders/${order.id}`, undefined, known)).status).toBe(304);
    const waited = await api('GET', `/orders/${order.id}`, undefined, { ...known, prefer: 'wait=1' });
    expect([waited.status, waited.headers.get('preference-applied')]).toEqual([304, 'wait=1']);
    const waiting = api<OrderBody>('GET', `/orders/${order.id}`, undefined, { ...known, ...WAIT });
    await verb(api, order.id, 'cancel');
    expect(await waiting).toMatchObject({ status: 200, body: { status: 'CLOSED', final_status: 'CANCELED' } });
  });

  test('on shutdown who waits is answered 202 at once, and the process ends', async () => {
    const order = await createOrder(api, buyer, seller, { amount: '14' });
    await verb(api, order.id, 'reserve');
    const waiting = api<OrderBody>('POST', `/orders/${order.id}/escrow`, {}, WAIT);
    await eventually(async () => (await getOrder(api, order.id)).operation?.verb === 'escrow');
    await stack.killApi('SIGTERM');
    expect((await waiting).status).toBe(202);
    await stack.startApi();
    await untilChanged(order.id, (next) => next.status === 'ESCROW_FUNDING');
  }, 120_000);
});

describe('events', () => {
  test('tell the whole life of an order, numbered without gaps, each with the order as it was', async () => {
    const order = await createOrder(api, buyer, seller, { amount: '15' });
    for (const path of ['reserve', 'escrow', 'escrow/fund', 'deliver', 'resolution/release'])
      expect((await verb(api, order.id, path)).status).toBe(200);
    const events = await eventually(async () => {
      const list = await eventsOf(order.id);
      return list.at(-1)?.type === 'order.closed' ? list : null;
    });
    expect(events.map(({ type }) => type)).toEqual([
      'order.created',
      'order.funds_reserved',
      'order.escrow_creating',
      'order.escrow_created',
      'order.escrow_funding',
      'order.escrow_funded',
      'order.in_progress',
      'order.delivered',
      'order.release_requested',
      'order.released',
      'order.closed',
    ]);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(events.at(-1)?.data.object).toEqual(await getOrder(api, order.id));
  }, 120_000);

  test('carry who asked and under which request id', async () => {
    const headers = { 'x-actor': 'agent:alice', 'x-request-id': `r-${randomUUID()}` };
    const { body } = await api<OrderBody>('POST', '/orders', orderBody(), headers);
    const [created] = await eventually(async () => {
      const list = await eventsOf(body.id);
      return list.length > 0 ? list : null;
    });
    expect(created).toMatchObject({
      actor: 'agent:alice',
      request_id: headers['x-request-id'],
      correlation: { workflow_id: `order/${body.id}` },
    });
  });

  test('come to a reader that follows, in order and once, also while he waits', async () => {
    const newest = await api<{ data: EventBody[] }>('GET', '/events?limit=1');
    let after = newest.body.data[0]?.id ?? '';
    const seen: string[] = [];
    const orders: string[] = [];
    const follow = async (): Promise<void> => {
      while (seen.filter((id) => orders.includes(id)).length < 5) {
        const page = await api<{ data: (EventBody & { resource: { id: string } })[] }>(
          'GET',
          `/events?after=${after}&type=order.created,user.*&limit=2`,
          undefined,
          { prefer: 'wait=20' },
        );
        expect(page.headers.get('preference-applied')).toBe('wait=20');
        seen.push(...page.body.data.map(({ resource }) => resource.id));
        after = page.body.data.at(-1)?.id ?? after;
      }
    };
    const following = follow();
    for (let index = 0; index < 5; index += 1) orders.push((await createOrder(api, buyer, seller)).id);
    await following;
    expect(seen.filter((id) => orders.includes(id))).toEqual(orders);
  });

  test('of another marketplace do not exist, neither do its orders', async () => {
    const stranger = await stack.createMarketplace();
    const [event] = (await api<{ data: EventBody[] }>('GET', '/events?limit=1')).body.data;
    const order = await createOrder(api, buyer, seller);
    const gone = await Promise.all([
      stranger.api('GET', `/events/${event?.id}`),
      stranger.api('GET', `/orders/${order.id}`),
      stranger.api('POST', `/orders/${order.id}/cancel`),
    ]);
    expect(gone.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect((await stranger.api<{ data: unknown[] }>('GET', `/events?after=${event?.id}`)).body.data).toEqual([]);
    expect((await stranger.api<{ data: unknown[] }>('GET', `/orders?buyer_id=${buyer.id}`)).body.data).toEqual([]);
  });
});

test('an order whose workflow was lost goes on from its row', async () => {
  const order = await createOrder(api, buyer, seller, { amount: '16' });
  await stack.client.workflow.getHandle(`order/${order.id}`).terminate();
  expect(await verb(api, order.id, 'reserve')).toMatchObject({ status: 200, body: { status: 'FUNDS_RESERVED' } });
  expect(await verb(api, order.id, 'cancel')).toMatchObject({ status: 200, body: { status: 'CLOSED' } });
  expect(await verb<ProblemBody>(api, order.id, 'cancel')).toMatchObject({
    status: 409,
    body: {
      code: 'INVALID_STATE',
      retryable: false,
      current_status: 'CLOSED',
      allowed: [],
      operation: { verb: 'cancel' },
    },
  });
});

test('a suspended user takes part in nothing new until activated', async () => {
  const user = await readyUser(api);
  expect((await api('GET', `/users/${user.id}/wallet`)).body).toMatchObject({
    balances: [{ asset: 'USDC', amount: '0' }],
  });
  const post = () => api<ProblemBody>('POST', '/orders', orderBody({ buyer_id: user.id }));
  expect((await api('POST', `/users/${user.id}/suspend`, { reason: 'checks' })).body).toMatchObject({
    status: 'SUSPENDED',
  });
  expect((await post()).body.code).toBe('USER_SUSPENDED');
  expect((await api('POST', `/users/${user.id}/activate`)).body).toMatchObject({ status: 'ACTIVE' });
  expect((await post()).status).toBe(201);
});

test('books and chain are compared per user', async () => {
  const { status, body } = await api('GET', `/users/${buyer.id}/balance/verify`);
  expect(status).toBe(200);
  expect(body).toMatchObject({ user_id: buyer.id, asset: 'USDC' });
  // From the transfers until then: nothing at first, in the end what it is now.
  const past = await api('GET', `/users/${buyer.id}/balance?at=2001-01-01T00:00:00Z`);
  expect(past.body).toMatchObject({ available: '0', reserved: '0', in_escrow: '0', at: '2001-01-01T00:00:00.000Z' });
  const [then, now] = [
    await api<Record<string, string>>('GET', `/users/${buyer.id}/balance?at=2999-01-01T00:00:00Z`),
    await api<Record<string, string>>('GET', `/users/${buyer.id}/balance`),
  ];
  expect({ ...then.body, at: null }).toEqual({ ...now.body, at: null });
  const user = await fundedUser(api, '2.5');
  expect((await api('GET', `/users/${user.id}/balance/verify`)).body).toMatchObject({
    books: '2.5',
    chain: '2.5',
    in_flight: '0',
    difference: '0',
  });
});

test('who serves is seen: pollers of every queue, how far the chain is read, which code runs', async () => {
  const health = await eventually(async () => {
    const { body } = await api<Details>('GET', '/health/detailed');
    return Object.values(body.pollers).every((count) => count !== null && count > 0) ? body : null;
  });
  expect(Object.keys(health.pollers).sort()).toEqual(['chain', 'escrow-api', 'orders', 'payments', 'signing']);
  expect(health.monitor_lag_ledgers).not.toBeNull();
  const worker = await fetch(`http://127.0.0.1:${stack.env['HEALTH_PORT']}/health`);
  const { build_id } = (await worker.json()) as { build_id: string };
  expect((await api('GET', '/config')).body).toMatchObject({
    features: { milestones: true, own_wallets: true },
    versions: { api: 'v1', workflows: build_id },
  });
});

interface Details {
  readonly pollers: Readonly<Record<string, number | null>>;
  readonly monitor_lag_ledgers: number | null;
}

async function eventsOf(orderId: string): Promise<EventBody[]> {
  const { body } = await api<{ data: EventBody[] }>('GET', `/events?resource_id=${orderId}&limit=100`);
  return body.data.toReversed();
}

const eventTypes = async (orderId: string): Promise<string[]> => (await eventsOf(orderId)).map(({ type }) => type);

/** Follows an order as a client would: by its version. */
async function untilChanged(id: string, done: (order: OrderBody) => boolean): Promise<OrderBody> {
  let order = await getOrder(api, id);
  while (!done(order)) {
    const next: Answer<OrderBody> = await api('GET', `/orders/${id}`, undefined, {
      'if-none-match': `"${order.version}"`,
      ...WAIT,
    });
    if (next.status === 200) order = next.body;
  }
  return order;
}
