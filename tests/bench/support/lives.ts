/** Whole lives of orders over HTTP, verb by verb, each on chain from its deploy to its last payout. */
import { createOrder, driveToProgress, untilStatus, verb } from '../../support/flows.ts';
import type { Call } from '../../support/stack.ts';

export interface Parties {
  readonly api: Call;
  readonly buyer: { readonly id: string };
  readonly seller: { readonly id: string };
}

/** Ids of the workflows that such a life took. */
export interface Lived {
  readonly orderId: string;
  readonly disputeId: string | null;
}

const EVIDENCE = { evidence: [{ type: 'URL', value: 'https://example.com/logo.png', note: null }] };
const MILESTONES = 5;

/** Deploy, fund, deliver, approve, release. */
export async function happy({ api, buyer, seller }: Parties): Promise<Lived> {
  const { id } = await createOrder(api, buyer, seller);
  await driveToProgress(api, id);
  await verb(api, id, 'deliver', EVIDENCE);
  return release(api, id);
}

export async function release(api: Call, orderId: string): Promise<Lived> {
  await verb(api, orderId, 'resolution/release');
  await untilStatus(api, orderId, 'CLOSED');
  return { orderId, disputeId: null };
}

/** Deploy and fund, five milestones completed one by one, then all approved and released by one call. */
export async function fiveMilestones({ api, buyer, seller }: Parties): Promise<Lived> {
  const milestones = Array.from({ length: MILESTONES }, (_, index) => ({
    milestone_ref: `m${index + 1}`,
    title: `Part ${index + 1}`,
    amount: '5',
    seller_id: seller.id,
  }));
  const { id } = await createOrder(api, buyer, seller, { milestones });
  await driveToProgress(api, id);
  for (const { milestone_ref } of milestones) await verb(api, id, `milestones/${milestone_ref}/complete`, EVIDENCE);
  return release(api, id);
}

/** Deploy, fund, a dispute by the buyer, and an agent's decision: dispute and resolution on chain. */
export async function splitDispute({ api, buyer, seller }: Parties): Promise<Lived> {
  const { id } = await createOrder(api, buyer, seller);
  await driveToProgress(api, id);
  const opening = { opened_by: 'BUYER', reason: 'QUALITY_ISSUE', description: 'Wrong size' };
  const { body: dispute } = await verb<{ id: string }>(api, id, 'resolution/dispute', opening);
  const decision = { decision: 'SPLIT', release_amount: '15', refund_amount: '10', resolved_by: 'agent:bench' };
  await api('POST', `/disputes/${dispute.id}/resolve`, decision, { prefer: 'wait=60' });
  await untilStatus(api, id, 'CLOSED');
  return { orderId: id, disputeId: dispute.id };
}
