/** Lives of orders that are worth keeping: each leaves one history. They run one after the other on one stack. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import {
  chainReaderWorkflowId,
  orderWorkflowId,
  paymentWorkflowId,
  provisionerWorkflowId,
  reconcileWorkflowId,
  walletWorkflowId,
} from '../../domain/workflow-ids.ts';
import {
  createOrder,
  deposit,
  driveToProgress,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type PaymentBody, key, paid, to } from '../support/payments.ts';
import type { Call } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

export interface Scene {
  /** of one marketplace; throws for answers that are not 2xx */
  readonly api: Call;
  readonly client: Client;
  readonly namespace: string;
  readonly network: string;
  /** a call of the sandbox's control API */
  control(method: string, path: string, body?: unknown): Promise<unknown>;
}

/** @returns the id of the workflow whose newest run is to be recorded */
export type Scenario = (scene: Scene) => Promise<string>;

const EVIDENCE = { evidence: [{ type: 'URL', value: 'https://example.com/logo.png', note: 'final' }] };

const parties = async (api: Call, amount: string | null) =>
  Promise.all([amount === null ? readyUser(api) : fundedUser(api, amount), readyUser(api)]);

async function release(api: Call, id: string): Promise<string> {
  await verb(api, id, 'deliver', EVIDENCE);
  await verb(api, id, 'resolution/release');
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

async function released({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller);
  await driveToProgress(api, order.id);
  return release(api, order.id);
}

async function automatic({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller, { auto: true });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  return release(api, order.id);
}

async function waitingForDeposit({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, null);
  const order = await createOrder(api, buyer, seller, { auto: true });
  await eventually(async () => (await getOrder(api, order.id)).waiting_for === 'DEPOSIT');
  await deposit(api, buyer.id, '30');
  await untilStatus(api, order.id, 'IN_PROGRESS');
  return release(api, order.id);
}

async function inspected({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller, { auto: true, deadlines: { inspection: 'PT1S' } });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  await verb(api, order.id, 'deliver', EVIDENCE);
  await untilStatus(api, order.id, 'CLOSED');
  return orderWorkflowId(order.id);
}

async function canceled({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller);
  await verb(api, order.id, 'reserve');
  await verb(api, order.id, 'cancel', { reason: 'changed my mind' });
  return orderWorkflowId(order.id);
}

async function refusedFunds({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '24.9999999');
  const order = await createOrder(api, buyer, seller);
  await refused(verb(api, order.id, 'reserve'), 'INSUFFICIENT_FUNDS');
  await verb(api, order.id, 'cancel');
  return orderWorkflowId(order.id);
}

async function expired({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller, { deadlines: { funding: 'PT20S' } });
  await verb(api, order.id, 'reserve');
  const due_at = new Date(Date.now() + 21_000).toISOString();
  await verb(api, order.id, 'extend', { deadline: 'funding', due_at });
  await untilStatus(api, order.id, 'CLOSED');
  return orderWorkflowId(order.id);
}

/** The second run of a released order: every update is delivered again, nothing is done again. */
async function reset(scene: Scene): Promise<string> {
  const { client, namespace } = scene;
  const workflowId = await released(scene);
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const firstTask = events?.find((event) => event.workflowTaskCompletedEventAttributes);
  const { runId } = await client.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId },
    reason: 'golden',
    requestId: randomUUID(),
    workflowTaskFinishEventId: firstTask?.eventId ?? null,
  });
  const second = client.workflow.getHandle(workflowId, runId);
  await eventually(async () => (await second.describe()).status.name === 'COMPLETED');
  return workflowId;
}

/** A funding that no node takes until its time is over: compensated, then funded by a second transaction. */
async function fundedAtSecondAttempt({ api, control }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller);
  for (const path of ['reserve', 'escrow']) await verb(api, order.id, path);
  await control('POST', '/control/faults', { name: 'try_again_later' });
  const dead = refused(verb(api, order.id, 'escrow/fund'), 'OPERATION_FAILED');
  await eventually(async () => {
    const { operation } = await getOrder(api, order.id);
    return operation?.verb === 'fund' && operation.transaction_hash !== null;
  });
  const { closed_at: closedAt } = (await control('GET', '/control/clock')) as { closed_at: number };
  await control('POST', '/control/ledgers/close', { close_time: closedAt + 3_600 });
  await dead;
  await control('DELETE', '/control/faults');
  await verb(api, order.id, 'escrow/fund');
  return release(api, order.id);
}

const milestones = (amounts: readonly string[]) =>
  amounts.map((amount, index) => ({ milestone_ref: `m${index + 1}`, title: `Part ${index + 1}`, amount }));

async function withMilestones(api: Call, amounts: readonly string[], fields: Record<string, unknown> = {}) {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller, {
    auto: true,
    amount: '25',
    milestones: milestones(amounts),
    ...fields,
  });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  return order.id;
}

async function fiveMilestones({ api }: Scene): Promise<string> {
  const id = await withMilestones(api, ['5', '5', '5', '5', '5']);
  await verb(api, id, 'resolution/release');
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

async function mixedMilestones({ api }: Scene): Promise<string> {
  const id = await withMilestones(api, ['10', '10', '5']);
  await verb(api, id, 'milestones/m1/complete', EVIDENCE);
  await verb(api, id, 'milestones/m1/release');
  await verb(api, id, 'resolution/refund', { reason: 'not wanted', milestone_refs: ['m2'] });
  await verb(api, id, 'resolution/release');
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

async function refunded({ api }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller, { auto: true });
  await untilStatus(api, order.id, 'IN_PROGRESS');
  await verb(api, order.id, 'resolution/refund', { reason: 'not delivered' });
  await untilStatus(api, order.id, 'CLOSED');
  return orderWorkflowId(order.id);
}

/** By a test clock: one milestone's inspection period passes, then the delivery deadline of the other. */
async function milestoneDeadlines({ api }: Scene): Promise<string> {
  const id = await withMilestones(api, ['15', '10'], { deadlines: { delivery: 'P10D', inspection: 'P3D' } });
  await verb(api, id, 'milestones/m1/complete', EVIDENCE);
  const { body: clock } = await api<{ id: string }>('POST', '/test-clocks', {});
  const advance = (by: string) => api('POST', `/test-clocks/${clock.id}/advance`, { by });
  await advance('P4D');
  await eventually(async () => {
    const { milestones: parts } = (await api<{ milestones: { status: string }[] }>('GET', `/orders/${id}`)).body;
    return parts[0]?.status === 'RELEASED';
  });
  await advance('P7D');
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

async function canceledWhileFunding({ api, control }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const order = await createOrder(api, buyer, seller);
  for (const path of ['reserve', 'escrow']) await verb(api, order.id, path);
  await control('POST', '/control/faults', { name: 'http_503', match: { path: 'fund-escrow' } });
  await api('POST', `/orders/${order.id}/escrow/fund`, {});
  await eventually(async () => (await getOrder(api, order.id)).allowed.includes('cancel'));
  await verb(api, order.id, 'cancel', { reason: 'too slow' });
  await control('DELETE', '/control/faults');
  return orderWorkflowId(order.id);
}

const wallet: Scenario = async ({ api }) => {
  const user = await fundedUser(api, '12.5');
  return walletWorkflowId(user.wallet.id);
};

/** By name of the file. Those that move a clock come last. */
async function withdrawn({ api }: Scene): Promise<string> {
  const [user, other] = await Promise.all([fundedUser(api, '30'), readyUser(api)]);
  const { id } = await paid(api, user.id, '12.5', to(other.wallet.address ?? ''));
  return paymentWorkflowId({ type: 'withdrawal', id });
}

async function adjustmentCanceled({ api }: Scene): Promise<string> {
  const user = await fundedUser(api, '30');
  const body = { amount: '5', reason: 'booked twice' };
  const { id } = (await api<PaymentBody>('POST', `/users/${user.id}/balance/debit`, body, key())).body;
  await api('POST', `/adjustments/${id}/cancel`, {});
  return paymentWorkflowId({ type: 'adjustment', id });
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'order-released': released,
  'order-automatic': automatic,
  'order-waiting-for-deposit': waitingForDeposit,
  'order-released-by-deadline': inspected,
  'order-canceled': canceled,
  'order-refused-funds': refusedFunds,
  'order-expired': expired,
  'order-reset': reset,
  'order-five-milestones': fiveMilestones,
  'order-milestones-mixed': mixedMilestones,
  'order-refunded': refunded,
  'order-canceled-while-funding': canceledWhileFunding,
  withdrawal: withdrawn,
  'adjustment-canceled': adjustmentCanceled,
  wallet,
  provisioner: ({ network }) => Promise.resolve(provisionerWorkflowId(network)),
  'chain-reader': ({ network }) => Promise.resolve(chainReaderWorkflowId(network)),
  reconcile: ({ network }) => Promise.resolve(reconcileWorkflowId(network)),
  'order-milestone-deadlines': milestoneDeadlines,
  'order-funded-at-second-attempt': fundedAtSecondAttempt,
};

async function refused(call: Promise<unknown>, code: string): Promise<void> {
  const outcome = await call.then(
    () => 'was not refused',
    (error: unknown) => String(error),
  );
  if (!outcome.includes(code)) throw new Error(`expected ${code}: ${outcome}`);
}
