/**
 * Tables of cases that live side by side on one stack, each in a marketplace of its own: nothing of theirs meets, and all
 * of them take as long as the longest. What strikes everybody (the chain's clock, the end of a fault) happens in between.
 */
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { type Step, stepsOf } from '../../cli/replay/steps.ts';
import type { EscrowWallets } from '../../domain/order/shapes.ts';
import {
  type EventBody,
  type ProblemBody,
  type UserBody,
  WAIT,
  createOrder,
  fundedUser,
  insist,
  readyUser,
} from './flows.ts';
import { OPENING } from './lives.ts';
import { rows } from './payments.ts';
import type { Body, Call, TestStack } from './stack.ts';
import { eventually } from './wait.ts';

const PATIENCE = { timeoutMs: 120_000 };

/** It stops where something has to happen to all of them. */
export type Case = AsyncGenerator<undefined, void, void>;

/**
 * Runs all cases up to their next stop, changes the scene, and so on until all have ended.
 * @returns the end of each: what it threw is thrown there
 */
export async function sideBySide(
  cases: readonly Case[],
  scenes: readonly (() => Promise<unknown>)[],
): Promise<readonly (() => Promise<void>)[]> {
  const turns: Promise<IteratorResult<undefined, void>>[][] = cases.map(() => []);
  const advance = () => {
    const now = cases.map((one) => one.next());
    now.forEach((turn, index) => turns[index]?.push(turn));
    return Promise.allSettled(now);
  };
  for (const scene of scenes) {
    await advance();
    await scene();
  }
  await advance();
  return turns.map((ofOne) => async () => {
    const ends = await Promise.all(ofOne);
    if (ends.at(-1)?.done !== true) throw new Error('it stopped, and nothing happens any more');
  });
}

/** Orders, disputes and payments alike. */
export interface SubjectBody {
  readonly id: string;
  readonly status: string;
  readonly allowed: readonly string[];
  readonly operation: {
    readonly id: string;
    readonly verb: string;
    readonly status: string;
    readonly transaction_hash: string | null;
    readonly error: { readonly code: string } | null;
  } | null;
  readonly attention: {
    readonly id: string;
    readonly reason: string;
    readonly allowed_repairs: readonly string[];
  } | null;
}

export interface Place {
  readonly api: Call;
  readonly marketplaceId: string;
  readonly buyer: UserBody;
  readonly seller: UserBody;
  readonly orderId: string;
}

/** By it the order's deploy is told from others: it names no contract yet. */
export const titleIn = (marketplaceId: string): string => `Logo for ${marketplaceId}`;

/** An order of 25 in a marketplace of its own, known by its title, taken as far as the verbs lead. */
export async function placeOrder(stack: TestStack, verbs: readonly string[], fields: Body = {}): Promise<Place> {
  const { api, id: marketplaceId } = await stack.createMarketplace();
  const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
  const { id: orderId } = await createOrder(api, buyer, seller, { title: titleIn(marketplaceId), ...fields });
  for (const verb of verbs) await carriedOut(api, `/orders/${orderId}`, verb);
  return { api, marketplaceId, buyer, seller, orderId };
}

export async function subjectOf(api: Call, path: string): Promise<SubjectBody> {
  return (await api<SubjectBody>('GET', path)).body;
}

/** Asks for a verb. @returns the subject as the answer shows it */
export async function ask(api: Call, path: string, verb: string, body: Body = {}): Promise<SubjectBody> {
  const answer = await insist<SubjectBody>(api, `${path}/${verb}`, body);
  if (answer.status >= 300)
    throw new Error(`${path}/${verb} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Waits until the subject is as expected. @throws Error with how it is */
export const until = (api: Call, path: string, check: (subject: SubjectBody) => boolean): Promise<SubjectBody> =>
  eventually(async () => {
    const subject = await subjectOf(api, path);
    if (check(subject)) return subject;
    throw new Error(`${path} is not there yet: ${JSON.stringify(subject)}`);
  }, PATIENCE);

export const untilOperation = (api: Call, path: string, status: string): Promise<SubjectBody> =>
  until(api, path, ({ operation }) => operation?.status === status);

/** Asks for a verb and waits until it is done. */
export async function carriedOut(api: Call, path: string, verb: string, body: Body = {}): Promise<SubjectBody> {
  const { operation } = await ask(api, path, verb, body);
  return until(api, path, (now) => now.operation?.id === operation?.id && now.operation?.status === 'SUCCEEDED');
}

/** Opens a dispute about the order. @returns its path */
export async function dispute({ api, orderId }: Place, assigned = false): Promise<string> {
  const path = `/disputes/${(await ask(api, `/orders/${orderId}`, 'resolution/dispute', OPENING)).id}`;
  if (assigned) await carriedOut(api, path, 'assign', { assigned_to: 'agent:alice' });
  return path;
}

/** Asks for a repair of what is parked; waits until it is done. */
export const repair = (api: Call, { attention }: SubjectBody, action: string) =>
  insist<ProblemBody>(api, `/attention/${attention?.id}/repair`, { action, reason: 'looked at it' }, WAIT);

/** Address of the wallet that plays a role on the order's escrow. */
export async function roleOf(stack: TestStack, orderId: string, role: keyof EscrowWallets): Promise<string> {
  const [row] = await rows<{ address: string }>(
    stack,
    `select wallets->$2->>'address' as address from escrows where order_id = $1`,
    [orderId, role],
  );
  if (row === undefined) throw new Error(`${orderId} has no escrow yet`);
  return row.address;
}

/** What was sent to the chain for an order, as `KIND STATUS` in the order of its making. */
export async function sentFor(stack: TestStack, orderId: string): Promise<string[]> {
  const found = await rows<{ sent: string }>(
    stack,
    `select concat(intent->>'kind', ' ', status) as sent from chain_transactions where order_id = $1
     order by created_at, attempt`,
    [orderId],
  );
  return found.map(({ sent }) => sent);
}

/**
 * Types of a resource's events without its prefix, oldest first, when there are `count`.
 * @throws Error when they are not numbered without a gap
 */
export async function eventsOf(api: Call, id: string, count: number): Promise<string[]> {
  const events = await eventually(async () => {
    const { body } = await api<{ data: EventBody[] }>('GET', `/events?resource_id=${id}&limit=100`);
    return body.data.length >= count ? body.data.sort((a, b) => a.sequence - b.sequence) : null;
  }, PATIENCE);
  const gap = events.find(({ sequence }, index) => sequence !== index + 1);
  if (gap !== undefined) throw new Error(`events of ${id} have a gap before ${gap.sequence}`);
  return events.map(({ type }) => type.slice(type.indexOf('.') + 1));
}

/** What a workflow has done, as `replay` shows it. */
export const stepsIn = async ({ client }: TestStack, workflowId: string): Promise<Step[]> =>
  stepsOf(JSON.parse(historyToJSON(await client.workflow.getHandle(workflowId).fetchHistory())));
