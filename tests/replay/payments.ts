/** Lives of withdrawals, adjustments and wallets. */
import { paymentWorkflowId, walletWorkflowId } from '../../domain/workflow-ids.ts';
import { closeWalletUpdate } from '../../workflows/messages.ts';
import { WAIT, fundedUser, readyUser } from '../support/flows.ts';
import { type PaymentBody, key, paid, to, untilPayment, withdraw } from '../support/payments.ts';
import type { Call } from '../support/stack.ts';
import { type Scenario, type Scenarios, type Scene, parties, refused } from './scene.ts';

const withdrawalId = (id: string): string => paymentWorkflowId({ type: 'withdrawal', id });

/** Asks for a withdrawal to another user of the marketplace. @param meanwhile what happens just before */
async function asked(api: Call, meanwhile: () => Promise<unknown> = async () => null): Promise<string> {
  const [user, other] = await parties(api, '30');
  await meanwhile();
  const request = { user_id: user.id, amount: '12.5', destination: to(other.wallet.address ?? '') };
  return (await withdraw(api, request)).body.id;
}

/** A key of the marketplace that names a person. */
async function person(scene: Scene, api: Call, name: string): Promise<Call> {
  const request = { name, person: name, scopes: ['read', 'write', 'support'] };
  return scene.call((await api<{ api_key: string }>('POST', '/auth/api-keys', request)).body.api_key);
}

/** Two persons say who is paid, about one matter. */
export async function agree(scene: Scene, { id }: { readonly id: string }, address: string): Promise<void> {
  for (const name of ['ann', 'bob']) {
    const by = await person(scene, scene.api, name);
    await by('POST', `/attention/${id}/repair`, { action: 'payout_to', address, reason: 'it is his' });
  }
}

async function withdrawn({ api }: Scene): Promise<string> {
  const [user, other] = await parties(api, '30');
  const { id } = await paid(api, user.id, '12.5', to(other.wallet.address ?? ''));
  return withdrawalId(id);
}

const approved: Scenario = async (scene) => {
  const api = await scene.createMarketplace({ approval_threshold: '1' });
  const [ann, bob] = [await person(scene, api, 'ann'), await person(scene, api, 'bob')];
  const id = await asked(ann);
  await untilPayment(api, id, 'APPROVAL_REQUIRED');
  await bob('POST', `/withdrawals/${id}/approve`, { reason: 'ok' }, WAIT);
  await untilPayment(api, id, 'COMPLETED');
  return withdrawalId(id);
};

async function withdrawalCanceled({ createMarketplace }: Scene): Promise<string> {
  const api = await createMarketplace({ approval_threshold: '1' });
  const id = await asked(api);
  await untilPayment(api, id, 'APPROVAL_REQUIRED');
  await api('POST', `/withdrawals/${id}/cancel`, { reason: 'typo' });
  return withdrawalId(id);
}

/** The network never takes it: proved dead, the money is available again. */
async function withdrawalDead({ api, control }: Scene): Promise<string> {
  const id = await asked(api, () =>
    control('POST', '/control/faults', { name: 'try_again_later', match: { face: 'core' } }),
  );
  await untilPayment(api, id, 'SUBMITTED');
  const { closed_at: closedAt } = (await control('GET', '/control/clock')) as { closed_at: number };
  await control('POST', '/control/ledgers/close', { close_time: closedAt + 3_600 });
  await untilPayment(api, id, 'FAILED');
  await control('DELETE', '/control/faults');
  return withdrawalId(id);
}

async function debit(api: Call, by: Call): Promise<string> {
  const user = await fundedUser(api, '30');
  const body = { amount: '5', reason: 'booked twice' };
  return (await by<PaymentBody>('POST', `/users/${user.id}/balance/debit`, body, key())).body.id;
}

const adjusted: Scenario = async (scene) => {
  const { api } = scene;
  const [ann, bob] = [await person(scene, api, 'ann'), await person(scene, api, 'bob')];
  const id = await debit(api, ann);
  await refused(ann('POST', `/adjustments/${id}/approve`, {}), 'INSUFFICIENT_SCOPE');
  await bob('POST', `/adjustments/${id}/approve`, {}, WAIT);
  await untilPayment(api, id, 'COMPLETED', 'adjustments');
  return paymentWorkflowId({ type: 'adjustment', id });
};

async function adjustmentCanceled({ api }: Scene): Promise<string> {
  const id = await debit(api, api);
  await api('POST', `/adjustments/${id}/cancel`, {});
  return paymentWorkflowId({ type: 'adjustment', id });
}

const wallet: Scenario = async ({ api }) => walletWorkflowId((await fundedUser(api, '12.5')).wallet.id);

/** Nothing was ever on it: its reserves go back. */
async function walletClosed({ api, client }: Scene): Promise<string> {
  const workflowId = walletWorkflowId((await readyUser(api)).wallet.id);
  const args = [{ request_id: null, actor: null }] as const;
  await client.workflow.getHandle(workflowId).executeUpdate(closeWalletUpdate, { args: [...args] });
  return workflowId;
}

export const PAYMENTS: Scenarios = {
  withdrawal: withdrawn,
  'withdrawal-approved': approved,
  'withdrawal-canceled': withdrawalCanceled,
  adjustment: adjusted,
  'adjustment-canceled': adjustmentCanceled,
  wallet,
  'wallet-closed': walletClosed,
};

/** It leaves the chain's clock ahead of ours. */
export const LATE_PAYMENTS: Scenarios = { 'withdrawal-dead': withdrawalDead };
