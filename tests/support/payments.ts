/** Withdrawals and adjustments as a marketplace asks for them, and what became of them on chain. */
import { randomUUID } from 'node:crypto';
import { withClient } from '../../cli/stack/postgres.ts';
import type { EventBody, ProblemBody } from './flows.ts';
import type { Call, TestMarketplace, TestStack } from './stack.ts';
import { eventually } from './wait.ts';

export interface PaymentBody {
  readonly id: string;
  readonly status: string;
  readonly version: number;
  readonly user_id: string | null;
  readonly approved_by: string | null;
  readonly transaction_hash: string | null;
  readonly operation: {
    readonly id: string;
    readonly verb: string;
    readonly status: string;
    readonly error: ProblemBody | null;
  };
}

/** The longest a step on chain may take in a test. */
export const PATIENCE = { timeoutMs: 120_000 };

export const key = () => ({ 'idempotency-key': randomUUID() });
export const to = (address: string, memo: object | null = null) => ({ address, memo });

export const withdraw = (by: Call, body: object, headers: Record<string, string> = {}) =>
  by<PaymentBody & ProblemBody>('POST', '/withdrawals', body, { ...key(), ...headers });

export const untilPayment = (by: Call, id: string, status: string, type = 'withdrawals') =>
  eventually(async () => {
    const { body } = await by<PaymentBody>('GET', `/${type}/${id}`);
    if (body.status === status) return body;
    throw new Error(`${id} is ${body.status}, not ${status}: ${JSON.stringify(body.operation)}`);
  }, PATIENCE);

/** Pays out and waits for the end, whatever a slow machine makes of it. */
export async function paid(by: Call, userId: string, amount: string, destination: object): Promise<PaymentBody> {
  const { status, body } = await withdraw(by, { user_id: userId, amount, destination });
  if (status !== 202) throw new Error(`POST /withdrawals answered ${status}: ${JSON.stringify(body)}`);
  return untilPayment(by, body.id, 'COMPLETED');
}

/** A key of the marketplace that names a person. */
export async function keyOf(
  stack: TestStack,
  { api }: TestMarketplace,
  person: string,
  scopes: readonly string[],
): Promise<Call> {
  const { body } = await api<{ api_key: string }>('POST', '/auth/api-keys', { name: person, person, scopes });
  return (method, path, payload, headers) => stack.api(method, path, payload, headers, body.api_key);
}

/** Types of a resource's events, oldest first, when there are that many. */
export const eventTypes = (by: Call, id: string, count: number) =>
  eventually(async () => {
    const { body } = await by<{ data: EventBody[] }>('GET', `/events?resource_id=${id}&limit=100`);
    return body.data.length >= count ? body.data.map(({ type }) => type).reverse() : null;
  }, PATIENCE);

/** USDC that an account holds, with seven decimals. */
export async function onChain(stack: TestStack, address: string): Promise<string> {
  const response = await fetch(`${stack.sandboxUrl}/horizon/accounts/${address}`);
  const { balances } = (await response.json()) as { balances: { asset_code?: string; balance: string }[] };
  return balances.find(({ asset_code }) => asset_code === 'USDC')?.balance ?? 'none';
}

export const rows = <T>(stack: TestStack, query: string, parameters: readonly unknown[] = []): Promise<T[]> =>
  withClient(
    stack.databaseUrls.owner,
    async (client) => (await client.query(query, [...parameters])).rows as unknown as T[],
  );

/** Address of a wallet that belongs to no user; `marketplaceId` null: to the deployment. */
export async function systemAddress(stack: TestStack, kind: string, marketplaceId: string | null): Promise<string> {
  const [row] = await rows<{ address: string }>(
    stack,
    `select address from wallets where kind = $1 and marketplace_id is not distinct from $2 and status = 'READY' limit 1`,
    [kind, marketplaceId],
  );
  if (row === undefined) throw new Error(`no ${kind} wallet`);
  return row.address;
}
