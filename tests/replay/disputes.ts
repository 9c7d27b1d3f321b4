/** Lives of disputes, and of the order that had some. */
import type { DisputeResource } from '../../domain/resources/dispute.ts';
import { disputeWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import { WAIT, untilStatus } from '../support/flows.ts';
import type { Body, Call } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import {
  PATIENCE,
  type Scenario,
  type Scenarios,
  type Scene,
  clockOf,
  milestones,
  repair,
  runningOrder,
} from './scene.ts';

const AGENT = { resolved_by: 'agent:alice' };
const SPLIT = { decision: 'SPLIT', release_amount: '10', refund_amount: '15', note: 'Two of five', ...AGENT };

async function open(api: Call, orderId: string, fields: Body = {}): Promise<string> {
  const opening = { opened_by: 'BUYER', reason: 'QUALITY_ISSUE', description: 'Wrong size', ...fields };
  return (await api<DisputeResource>('POST', `/orders/${orderId}/resolution/dispute`, opening)).body.id;
}
const act = (api: Call, id: string, path: string, body: Body) => api('POST', `/disputes/${id}/${path}`, body, WAIT);

async function disputed(api: Call, fields: Body = {}): Promise<{ orderId: string; id: string }> {
  const { id: orderId } = await runningOrder(api, fields);
  return { orderId, id: await open(api, orderId) };
}

const decided =
  (decision: Body): Scenario =>
  async ({ api }) => {
    const { id, orderId } = await disputed(api);
    await act(api, id, 'assign', { assigned_to: 'agent:alice' });
    await act(api, id, 'resolve', { ...decision, ...AGENT });
    await untilStatus(api, orderId, 'CLOSED');
    return disputeWorkflowId(id);
  };

async function withdrawn({ api }: Scene): Promise<string> {
  const { id, orderId } = await disputed(api);
  await act(api, id, 'withdraw', { by: 'BUYER' });
  await untilStatus(api, orderId, 'IN_PROGRESS');
  return disputeWorkflowId(id);
}

/** The order of two disputes: the first is withdrawn, the second splits. */
async function orderDisputedTwice({ api }: Scene): Promise<string> {
  const { id, orderId } = await disputed(api);
  await act(api, id, 'withdraw', { by: 'BUYER' });
  await untilStatus(api, orderId, 'IN_PROGRESS');
  await act(api, await open(api, orderId, { opened_by: 'SELLER' }), 'resolve', SPLIT);
  await untilStatus(api, orderId, 'CLOSED');
  return orderWorkflowId(orderId);
}

/** Two of three milestones, each shared out differently. */
async function aboutMilestones({ api }: Scene): Promise<string> {
  const { id: orderId } = await runningOrder(api, { milestones: milestones(['5', '10', '10']) });
  const id = await open(api, orderId, { milestone_refs: ['m2', 'm3'] });
  const shares = [
    { milestone_ref: 'm2', release_amount: '0', refund_amount: '10' },
    { milestone_ref: 'm3', release_amount: '9.9999999', refund_amount: '0.0000001' },
  ];
  await act(api, id, 'resolve', { decision: 'SPLIT', milestones: shares, ...AGENT });
  await eventually(
    async () => (await api<DisputeResource>('GET', `/disputes/${id}`)).body.status === 'RESOLVED',
    PATIENCE,
  );
  return disputeWorkflowId(id);
}

/** Nobody decides: the order's default, by a test clock. */
async function byDeadline({ createMarketplace }: Scene): Promise<string> {
  const api = await createMarketplace();
  const { id, orderId } = await disputed(api, { deadlines: { dispute: 'P30D', dispute_default: 'FULL_RELEASE' } });
  const advance = await clockOf(api);
  await advance('P30D');
  await untilStatus(api, orderId, 'CLOSED');
  return disputeWorkflowId(id);
}

/** Open on chain, and its resolution fails until somebody has looked. */
async function stuck({ api, control }: Scene): Promise<string> {
  const { id, orderId } = await disputed(api);
  await control('POST', '/control/faults', { name: 'success_then_fails', match: { fn: 'resolve_dispute' } });
  await api('POST', `/disputes/${id}/resolve`, { ...SPLIT });
  const attention = await eventually(async () => {
    const { body } = await api<DisputeResource>('GET', `/disputes/${id}`);
    return body.operation?.status === 'PARKED' ? body.attention?.id : null;
  }, PATIENCE);
  await control('DELETE', '/control/faults');
  await repair(api, attention, 'retry');
  await untilStatus(api, orderId, 'CLOSED');
  return disputeWorkflowId(id);
}

export const DISPUTES: Scenarios = {
  'dispute-released': decided({ decision: 'FULL_RELEASE' }),
  'dispute-refunded': decided({ decision: 'FULL_REFUND' }),
  'dispute-split': decided(SPLIT),
  'dispute-withdrawn': withdrawn,
  'dispute-milestones': aboutMilestones,
  'dispute-by-deadline': byDeadline,
  'dispute-stuck': stuck,
  'order-disputed-twice': orderDisputedTwice,
};
