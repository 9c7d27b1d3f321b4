/** Lives of what strangers leave in contracts of orders that are over. */
import type { AttentionResource } from '../../domain/resources/attention.ts';
import { orderWorkflowId, surplusWorkflowId } from '../../domain/workflow-ids.ts';
import { getOrder, verb } from '../support/flows.ts';
import type { Call } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';
import { agree } from './payments.ts';
import { PATIENCE, type Scenarios, type Scene, delivered, deployedOrder, repair, runningOrder } from './scene.ts';

type Stranger = Awaited<ReturnType<typeof createStranger>>;

/** A stranger pays into the contract of an order. */
async function paidInto(
  { api, stack }: Scene,
  orderId: string,
  stroops: bigint,
): Promise<Stranger & { escrowId: string }> {
  const stranger = await createStranger(stack, '10');
  const { escrow } = (await api<{ escrow: { id: string; contract_id: string } }>('GET', `/orders/${orderId}`)).body;
  await stranger.payContract(escrow.contract_id, stroops);
  return { ...stranger, escrowId: escrow.id };
}

const matterOf = (api: Call, orderId: string, reason: string, before: string | null = null) =>
  eventually(async () => {
    const { data } = (await api<{ data: AttentionResource[] }>('GET', `/attention?reason=${reason}`)).body;
    return data.find(({ id, resource }) => resource.id === orderId && id !== before);
  }, PATIENCE);

const untilOver = ({ client }: Scene, escrowId: string) =>
  eventually(
    async () => (await client.workflow.getHandle(surplusWorkflowId(escrowId)).describe()).status.name === 'COMPLETED',
    PATIENCE,
  );

async function released(scene: Scene): Promise<{ id: string; paid: Stranger & { escrowId: string } }> {
  const { id } = await runningOrder(scene.api);
  const paid = await paidInto(scene, id, 20_000_000n);
  await delivered(scene.api, id);
  return { id, paid };
}

async function paidBack(scene: Scene): Promise<string> {
  const { id, paid } = await released(scene);
  await agree(scene, await matterOf(scene.api, id, 'SURPLUS'), paid.address);
  await untilOver(scene, paid.escrowId);
  return surplusWorkflowId(paid.escrowId);
}

/** The stranger's account is frozen when it is to be paid: given up, and agreed on anew. */
async function neverFunded(scene: Scene): Promise<string> {
  const { api, control } = scene;
  const id = await deployedOrder(api);
  const { escrowId, address } = await paidInto(scene, id, 20_000_000n);
  const other = await createStranger(scene.stack, '1');
  await verb(api, id, 'cancel', { reason: 'too slow' });
  const first = await matterOf(api, id, 'SURPLUS');
  await control('POST', '/control/faults', { name: 'http_503', match: { path: 'dispute-escrow' } });
  await agree(scene, first, address);
  await control('POST', '/control/freeze', { address });
  await control('DELETE', '/control/faults');
  await repair(api, (await matterOf(api, id, 'TRUSTLINE_UNUSABLE')).id, 'give_up');
  await agree(scene, await matterOf(api, id, 'SURPLUS', first.id), other.address);
  await untilOver(scene, escrowId);
  return surplusWorkflowId(escrowId);
}

async function leftBehind(scene: Scene): Promise<string> {
  const { id } = await released(scene);
  await eventually(async () => (await getOrder(scene.api, id)).attention !== null, PATIENCE);
  return orderWorkflowId(id);
}

export const SURPLUSES: Scenarios = {
  'surplus-paid-back': paidBack,
  'surplus-never-funded': neverFunded,
  'order-released-surplus': leftBehind,
};
