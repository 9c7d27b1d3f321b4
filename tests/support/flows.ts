/** What tests do as a marketplace would: users with money, orders, verbs. Everything goes over HTTP. */
import { randomUUID } from 'node:crypto';
import type { Answer, Call } from './stack.ts';
import { eventually } from './wait.ts';

export interface UserBody {
  readonly id: string;
  readonly wallet: { readonly id: string; readonly status: string; readonly address: string | null };
}

export interface OrderBody {
  readonly id: string;
  readonly status: string;
  readonly final_status: string | null;
  readonly version: number;
  readonly allowed: readonly string[];
  readonly reservation: string | null;
  readonly waiting_for: string | null;
  readonly operation: {
    readonly id: string;
    readonly verb: string;
    readonly status: string;
    readonly transaction_hash: string | null;
    readonly error: { readonly code: string } | null;
  } | null;
  readonly escrow: { readonly contract_id: string | null; readonly status: string } | null;
  readonly settlements: readonly {
    readonly user_id: string;
    readonly gross: string;
    readonly protocol_fee: string;
    readonly platform_fee: string;
    readonly net: string;
    readonly transaction_hash: string;
  }[];
  readonly attention: {
    readonly id: string;
    readonly reason: string;
    readonly allowed_repairs: readonly string[];
  } | null;
}

export interface BalanceBody {
  readonly available: string;
  readonly reserved: string;
  readonly total: string;
  readonly in_escrow: string;
}

export interface ProblemBody {
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly current_status?: string;
  readonly allowed?: readonly string[];
  readonly errors: readonly { readonly pointer: string; readonly code: string }[];
}

/** The longest a step on chain may take in a test: a killed worker's attempt is repeated after ten seconds. */
const PATIENCE = { timeoutMs: 120_000 };

export const WAIT = { prefer: 'wait=60' };

/** A POST as a marketplace makes it: what says `retryable` is sent again with the same key. */
export function insist<T>(
  api: Call,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const key = { 'idempotency-key': randomUUID() };
  return eventually(async () => {
    const answer = await api<T>('POST', path, body, { ...key, ...headers });
    if ((answer.body as { retryable?: boolean }).retryable !== true) return answer;
    throw new Error(`POST ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }, PATIENCE);
}

/** A user whose wallet is ready. */
export async function readyUser(api: Call): Promise<UserBody> {
  const { body } = await insist<UserBody>(api, '/users', { external_user_id: `u-${randomUUID()}` });
  return eventually(
    async () => {
      const user = (await api<UserBody>('GET', `/users/${body.id}`)).body;
      return user.wallet.status === 'READY' ? user : null;
    },
    { ...PATIENCE, what: `wallet of ${body.id} is ready` },
  );
}

/** A user with money that arrived on chain and is booked. */
export async function fundedUser(api: Call, amount: string): Promise<UserBody> {
  const user = await readyUser(api);
  await deposit(api, user.id, amount);
  return user;
}

/** Pays in and waits until the books show it. */
export async function deposit(api: Call, userId: string, amount: string): Promise<void> {
  const before = (await balance(api, userId)).total;
  const { status, body } = await insist(api, '/sandbox/deposits', { user_id: userId, amount });
  if (status !== 201) throw new Error(`deposit answered ${status}: ${JSON.stringify(body)}`);
  await eventually(async () => (await balance(api, userId)).total !== before, {
    ...PATIENCE,
    what: 'deposit is booked',
  });
}

export async function balance(api: Call, userId: string): Promise<BalanceBody> {
  return (await api<BalanceBody>('GET', `/users/${userId}/balance`)).body;
}

export async function createOrder(
  api: Call,
  buyer: { readonly id: string },
  seller: { readonly id: string },
  fields: Record<string, unknown> = {},
): Promise<OrderBody> {
  const { status, body } = await insist<OrderBody>(api, '/orders', {
    buyer_id: buyer.id,
    seller_id: seller.id,
    amount: '25',
    title: 'Logo',
    ...fields,
  });
  if (status !== 201) throw new Error(`POST /orders answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

export async function getOrder(api: Call, id: string): Promise<OrderBody> {
  return (await api<OrderBody>('GET', `/orders/${id}`)).body;
}

export async function untilStatus(api: Call, id: string, ...statuses: string[]): Promise<OrderBody> {
  let last: OrderBody | null = null;
  return eventually(async () => {
    last = await getOrder(api, id);
    if (statuses.includes(last.status)) return last;
    throw new Error(`order ${id} is ${last.status}, not ${statuses.join(' or ')}: ${JSON.stringify(last.operation)}`);
  }, PATIENCE);
}

/** A verb that waits for its outcome; `path` as in `escrow/fund`. */
export async function verb<T = OrderBody>(api: Call, id: string, path: string, body: unknown = {}): Promise<Answer<T>> {
  return api<T>('POST', `/orders/${id}/${path}`, body, WAIT);
}

/** Drives an order verb by verb to IN_PROGRESS. */
export async function driveToProgress(api: Call, id: string): Promise<OrderBody> {
  for (const path of ['reserve', 'escrow', 'escrow/fund']) {
    const { status, body } = await verb(api, id, path);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  }
  return untilStatus(api, id, 'IN_PROGRESS');
}

export interface EventBody {
  readonly id: string;
  readonly type: string;
  readonly sequence: number;
  readonly data: { readonly object: unknown; readonly change: Record<string, unknown> };
}

/** Types of an order's events, newest first, when the relay has numbered one of type `shown`. */
export const eventTypes = (api: Call, orderId: string, shown: string): Promise<string[]> =>
  eventually(
    async () => {
      const { body } = await api<{ data: EventBody[] }>('GET', `/events?resource_id=${orderId}&limit=100`);
      const types = body.data.map(({ type }) => type);
      return types.includes(shown) ? types : null;
    },
    { timeoutMs: 120_000 },
  );
