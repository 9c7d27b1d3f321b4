/** What lives that are worth keeping are made of: each scenario leaves one history. They run one after the other on one stack. */
import type { Client } from '@temporalio/client';
import {
  type OrderBody,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import type { Body, Call, TestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

export interface Scene {
  /** of one marketplace; throws for answers that are not 2xx */
  readonly api: Call;
  readonly client: Client;
  readonly namespace: string;
  readonly network: string;
  readonly stack: Pick<TestStack, 'env' | 'sandboxUrl'>;
  /** another marketplace, with its own clock and rules */
  createMarketplace(fields?: Body): Promise<Call>;
  /** calls with a key */
  call(key: string): Call;
  /** a call of the sandbox's control API */
  control(method: string, path: string, body?: unknown): Promise<unknown>;
}

/** @returns the id of the workflow whose newest run is to be recorded */
export type Scenario = (scene: Scene) => Promise<string>;
export type Scenarios = Readonly<Record<string, Scenario>>;

export const PATIENCE = { timeoutMs: 120_000 };
export const EVIDENCE = { evidence: [{ type: 'URL', value: 'https://example.com/logo.png', note: 'final' }] };

export const parties = async (api: Call, amount: string | null) =>
  Promise.all([amount === null ? readyUser(api) : fundedUser(api, amount), readyUser(api)]);

/** An order whose escrow is funded, verb by verb. */
export async function runningOrder(api: Call, fields: Body = {}): Promise<OrderBody> {
  const [buyer, seller] = await parties(api, '30');
  const { id } = await createOrder(api, buyer, seller, fields);
  return driveToProgress(api, id);
}

/** An order whose escrow is deployed. */
export async function deployedOrder(api: Call, fields: Body = {}): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const { id } = await createOrder(api, buyer, seller, fields);
  for (const path of ['reserve', 'escrow']) await verb(api, id, path);
  return id;
}

export const milestones = (amounts: readonly string[]) =>
  amounts.map((amount, index) => ({ milestone_ref: `m${index + 1}`, title: `Part ${index + 1}`, amount }));

export async function delivered(api: Call, id: string): Promise<void> {
  await verb(api, id, 'deliver', EVIDENCE);
  await verb(api, id, 'resolution/release');
  await untilStatus(api, id, 'CLOSED');
}

/** The marketplace's test clock. @returns moves it on */
export async function clockOf(api: Call): Promise<(by: string) => Promise<unknown>> {
  const { body } = await api<{ id: string }>('POST', '/test-clocks', {});
  return (by) => api('POST', `/test-clocks/${body.id}/advance`, { by });
}

/** The attention item of a parked order. */
export const parked = (api: Call, orderId: string): Promise<string> =>
  eventually(async () => {
    const { operation, attention } = await getOrder(api, orderId);
    return operation?.status === 'PARKED' ? attention?.id : null;
  }, PATIENCE);

export const repair = (api: Call, attentionId: string, action: 'retry' | 'give_up') =>
  api('POST', `/attention/${attentionId}/repair`, { action, reason: 'looked at it' });

export async function refused(call: Promise<unknown>, code: string): Promise<void> {
  const outcome = await call.then(
    () => 'was not refused',
    (error: unknown) => String(error),
  );
  if (!outcome.includes(code)) throw new Error(`expected ${code}: ${outcome}`);
}
