/** Lives of orders. */
import { randomUUID } from 'node:crypto';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import {
  createOrder,
  deposit,
  driveToProgress,
  getOrder,
  insist,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { createOwnWallet, ownUser } from '../support/own-wallet.ts';
import type { Call } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { agree } from './payments.ts';
import {
  EVIDENCE,
  PATIENCE,
  type Scenario,
  type Scenarios,
  type Scene,
  clockOf,
  delivered,
  deployedOrder,
  milestones,
  parked,
  parties,
  refused,
  repair,
  runningOrder,
} from './scene.ts';

async function release(api: Call, id: string): Promise<string> {
  await delivered(api, id);
  return orderWorkflowId(id);
}

const released: Scenario = async ({ api }) => release(api, (await runningOrder(api)).id);

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
  const id = await deployedOrder(api);
  await control('POST', '/control/faults', { name: 'try_again_later' });
  const dead = refused(verb(api, id, 'escrow/fund'), 'OPERATION_FAILED');
  await eventually(async () => {
    const { operation } = await getOrder(api, id);
    return operation?.verb === 'fund' && operation.transaction_hash !== null;
  });
  const { closed_at: closedAt } = (await control('GET', '/control/clock')) as { closed_at: number };
  await control('POST', '/control/ledgers/close', { close_time: closedAt + 3_600 });
  await dead;
  await control('DELETE', '/control/faults');
  await verb(api, id, 'escrow/fund');
  return release(api, id);
}

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
async function milestoneDeadlines({ createMarketplace }: Scene): Promise<string> {
  const api = await createMarketplace();
  const id = await withMilestones(api, ['15', '10'], { deadlines: { delivery: 'P10D', inspection: 'P3D' } });
  await verb(api, id, 'milestones/m1/complete', EVIDENCE);
  const advance = await clockOf(api);
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
  const id = await deployedOrder(api);
  await control('POST', '/control/faults', { name: 'http_503', match: { path: 'fund-escrow' } });
  await api('POST', `/orders/${id}/escrow/fund`, {});
  await eventually(async () => (await getOrder(api, id)).allowed.includes('cancel'));
  await verb(api, id, 'cancel', { reason: 'too slow' });
  await control('DELETE', '/control/faults');
  return orderWorkflowId(id);
}

/** A funding that fails in its ledger: compensated, then asked for again. */
async function fundingCompensated({ api, control }: Scene): Promise<string> {
  const id = await deployedOrder(api);
  await control('POST', '/control/faults', { name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow' } });
  await refused(verb(api, id, 'escrow/fund'), 'OPERATION_FAILED');
  await control('DELETE', '/control/faults');
  await verb(api, id, 'escrow/fund');
  return release(api, id);
}

/** An envelope that is not what was asked for, until an operator says that the provider is itself again. */
async function parkedAndRetried({ api, control }: Scene): Promise<string> {
  const id = await deployedOrder(api);
  await control('POST', '/control/faults', { name: 'xdr_wrong_amount', match: { path: 'fund-escrow' } });
  await api('POST', `/orders/${id}/escrow/fund`, {});
  const attention = await parked(api, id);
  await control('DELETE', '/control/faults');
  await repair(api, attention, 'retry');
  await untilStatus(api, id, 'IN_PROGRESS');
  return release(api, id);
}

async function parkedAndGivenUp({ api, control }: Scene): Promise<string> {
  const [buyer, seller] = await parties(api, '30');
  const { id } = await createOrder(api, buyer, seller);
  await verb(api, id, 'reserve');
  await control('POST', '/control/faults', { name: 'xdr_wrong_destination', match: { path: 'deployer' } });
  await api('POST', `/orders/${id}/escrow`, {});
  await repair(api, await parked(api, id), 'give_up');
  await untilStatus(api, id, 'FUNDS_RESERVED');
  await control('DELETE', '/control/faults');
  await verb(api, id, 'cancel', { reason: 'we do without' });
  return orderWorkflowId(id);
}

/** Its workflow is lost; the next verb finds it gone and starts it from its row. */
async function resumed({ api, client }: Scene): Promise<string> {
  const { id } = await runningOrder(api);
  await client.workflow.getHandle(orderWorkflowId(id)).terminate('lost');
  await insist(api, `/orders/${id}/resolution/release`, {});
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

/** The buyer holds his own key: he opens the request, signs and hands the signature in. */
async function signedByBuyer({ api, stack }: Scene): Promise<string> {
  const [payer, seller] = await Promise.all([createOwnWallet(stack, '30'), readyUser(api)]);
  const { id } = await createOrder(api, await ownUser(api, payer), seller);
  for (const path of ['reserve', 'escrow']) await verb(api, id, path);
  await api('POST', `/orders/${id}/escrow/fund`, {});
  const request = await eventually(async () => {
    const { body } = await api<{ data: { id: string }[] }>('GET', `/signing-requests?order_id=${id}&status=PENDING`);
    return body.data[0];
  }, PATIENCE);
  const envelope = await eventually(
    async () =>
      (await api<{ unsigned_envelope: string | null }>('GET', `/signing-requests/${request.id}`)).body
        .unsigned_envelope,
    PATIENCE,
  );
  const body = { signed_envelope: payer.sign(envelope) };
  await eventually(() => api('POST', `/signing-requests/${request.id}/signature`, body), PATIENCE);
  await untilStatus(api, id, 'IN_PROGRESS');
  return release(api, id);
}

/** The seller's account is frozen: two persons decide who is paid, and the release becomes a resolution. */
async function paidElsewhere(scene: Scene): Promise<string> {
  const { api, control } = scene;
  const [buyer, seller] = await parties(api, '30');
  const { id } = await createOrder(api, buyer, seller);
  await driveToProgress(api, id);
  await control('POST', '/control/freeze', { address: seller.wallet.address });
  await verb(api, id, 'resolution/release');
  await agree(scene, { id: await parked(api, id) }, (await readyUser(api)).wallet.address ?? '');
  await untilStatus(api, id, 'CLOSED');
  return orderWorkflowId(id);
}

export const ORDERS: Scenarios = {
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
  'order-milestone-deadlines': milestoneDeadlines,
  'order-refunded': refunded,
  'order-canceled-while-funding': canceledWhileFunding,
  'order-funding-compensated': fundingCompensated,
  'order-parked-retried': parkedAndRetried,
  'order-parked-given-up': parkedAndGivenUp,
  'order-payout-to': paidElsewhere,
  'order-resumed': resumed,
  'order-signed-by-buyer': signedByBuyer,
};

/** It leaves the chain's clock ahead of ours. */
export const LATE_ORDERS: Scenarios = { 'order-funded-at-second-attempt': fundedAtSecondAttempt };
