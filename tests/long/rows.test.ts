/** Rows that are ahead of their workflows, and news that never arrived: whoever sleeps is found by his row, and goes on from it. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createEscrowApiActivities, createOrderActivities, createSigningActivities } from '../../activities/index.ts';
import type { DisputeResource } from '../../domain/resources/dispute.ts';
import { escrowUpdate } from '../../workflows/messages.ts';
import { asActivity } from '../support/activity.ts';
import { expectCoherent } from '../support/coherent.ts';
import { reconcileNow, withDeps } from '../support/deps.ts';
import {
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { PATIENCE, onChain, rows, to, untilPayment, withdraw } from '../support/payments.ts';
import { type Call, type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
/** every withdrawal is approved by another person */
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace({ approval_threshold: '1' });
}, 180_000);
afterEach(() => expectCoherent(stack), 90_000);
afterAll(() => stack.stop());

const origin = () => ({ operation_id: `op_${randomUUID()}`, request_id: null, actor: null });

async function running(api: Call, fields: Record<string, unknown> = {}): Promise<string> {
  const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
  const { id } = await createOrder(api, buyer, seller, fields);
  await driveToProgress(api, id);
  return id;
}

const disputed = async (api: Call, orderId: string): Promise<DisputeResource> =>
  (
    await api<DisputeResource>('POST', `/orders/${orderId}/resolution/dispute`, {
      opened_by: 'BUYER',
      reason: 'NOT_DELIVERED',
      description: 'nothing came',
    })
  ).body;

/** Nothing but news from outside will make it go on. */
async function sleeps(workflowId: string): Promise<boolean> {
  const { events } = await stack.client.workflow.getHandle(workflowId).fetchHistory();
  const count = (
    key: 'timerStarted' | 'timerFired' | 'timerCanceled' | 'workflowTaskScheduled' | 'workflowTaskCompleted',
  ) => (events ?? []).filter((event) => event[`${key}EventAttributes`] != null).length;
  return (
    count('timerStarted') === count('timerFired') + count('timerCanceled') &&
    count('workflowTaskScheduled') === count('workflowTaskCompleted')
  );
}

test('while a marketplace is paused its deadlines sleep; whoever was not told that it goes on is found', async () => {
  const { id, api } = await stack.createMarketplace();
  const deadlines = { inspection: 'P1D', dispute: 'P1D' };
  const [delivered, argued] = await Promise.all([running(api, { deadlines }), running(api, { deadlines })]);
  await verb(api, delivered, 'deliver');
  const dispute = await disputed(api, argued);
  const clock = (await api<{ id: string }>('POST', '/test-clocks', {})).body;
  await stack.api('POST', `/marketplaces/${id}/pause`, {});
  await api('POST', `/test-clocks/${clock.id}/advance`, { by: 'P2D' });
  await eventually(async () => (await getOrder(api, delivered)).waiting_for === 'RESUME', PATIENCE);
  for (const workflowId of [`order/${delivered}`, `dispute/${dispute.id}`])
    await eventually(() => sleeps(workflowId), { ...PATIENCE, what: `${workflowId} sleeps` });
  // As by an API that dies before it tells anybody.
  await rows(stack, "update marketplaces set status = 'ACTIVE' where id = $1", [id]);
  await reconcileNow(stack, stack.client);
  expect(await untilStatus(api, delivered, 'CLOSED')).toMatchObject({ final_status: 'RELEASED' });
  expect(await untilStatus(api, argued, 'CLOSED')).toMatchObject({ final_status: 'REFUNDED' });
}, 300_000);

test('what another run decided is carried out by those who never heard of it', async () => {
  const { api } = market;
  const [orderId, outside] = await Promise.all([running(api), createStranger(stack, '1')]);
  const dispute = await disputed(api, orderId);
  const user = await fundedUser(api, '5');
  const asked = await withdraw(api, { user_id: user.id, amount: '5', destination: to(outside.address) });
  expect(asked.body).toMatchObject({ status: 'APPROVAL_REQUIRED' });
  await stack.client.workflow.getHandle(`order/${orderId}`).terminate('lost');
  await withDeps(stack, stack.client, async (deps) => {
    const { beginResolution, approvePayment } = createOrderActivities(deps);
    await asActivity(`dispute/${dispute.id}`, 1, () =>
      beginResolution({
        ...origin(),
        dispute_id: dispute.id,
        decision: 'FULL_RELEASE',
        shares: [{ index: null, seller: '250000000', buyer: '0' }],
        note: null,
        resolved_by: 'agent:alice',
      }),
    );
    await asActivity(`withdrawal/${asked.body.id}`, 1, () =>
      approvePayment({ ...origin(), payment_id: asked.body.id, reason: null, key_id: 'key_bob', person: 'bob' }),
    );
  });
  await reconcileNow(stack, stack.client);
  await untilPayment(api, asked.body.id, 'COMPLETED');
  expect(await onChain(stack, outside.address)).toBe('6.0000000');
  const now = async () => (await api<DisputeResource>('GET', `/disputes/${dispute.id}`)).body;
  await eventually(async () => (await now()).status === 'RESOLVED', PATIENCE);
  // Its order's workflow was gone when it wanted to tell.
  await reconcileNow(stack, stack.client);
  expect(await untilStatus(api, orderId, 'CLOSED')).toMatchObject({
    final_status: 'RELEASED',
    dispute_ids: [dispute.id],
  });
}, 300_000);

test('what another run has signed is not given up: it is found out, and driven on until it lands', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '25'), readyUser(api)]);
  const { id } = await createOrder(api, buyer, seller);
  await verb(api, id, 'reserve');
  await stack.fault({ name: 'xdr_wrong_destination', match: { path: 'deployer' } });
  const handle = stack.client.workflow.getHandle(`order/${id}`);
  const asked = handle.executeUpdate(escrowUpdate, { args: [{ ...origin(), reason: null }] });
  const parked = await eventually(async () => {
    const order = await getOrder(api, id);
    return order.operation?.status === 'PARKED' ? order : null;
  }, PATIENCE);
  expect(parked.attention?.allowed_repairs).toEqual(['retry', 'adopt', 'give_up']);
  // As from the Temporal UI, without what it needs: refused, and the workflow's task does not fail over it.
  await expect(handle.executeUpdate('adopt')).rejects.toMatchObject({ cause: { type: 'VALIDATION_ERROR' } });
  await stack.calm();
  await withDeps(stack, stack.client, (deps) => {
    const intent = { kind: 'DEPLOY_ESCROW', orderId: id } as const;
    const step = { intent, step: 'deploy', operation_id: parked.operation?.id ?? null, priority: 5 };
    // The source account may be another's for a moment.
    return eventually(
      () =>
        asActivity(`order/${id}`, 1, async () => {
          const prepared = await createEscrowApiActivities(deps).prepareTransaction(step);
          if (!('transaction_id' in prepared)) throw new Error('nobody else signs a deploy');
          return (await createSigningActivities(deps).signTransaction(prepared)).status === 'SIGNED';
        }),
      PATIENCE,
    );
  });
  const item = parked.attention?.id ?? '';
  await api('POST', `/attention/${item}/repair`, { action: 'give_up', reason: 'we do without' });
  // Who asked for the escrow is answered that it is there.
  expect(await asked).toMatchObject({ status: 'ESCROW_FUNDING' });
  expect(await getOrder(api, id)).toMatchObject({
    operation: { id: parked.operation?.id, verb: 'escrow', status: 'SUCCEEDED' },
    attention: null,
  });
  const query = 'select attempt, status from chain_transactions where order_id = $1';
  expect(await rows(stack, query, [id])).toEqual([{ attempt: 1, status: 'CONFIRMED' }]);
  expect(await balance(api, buyer.id)).toMatchObject({ available: '0', reserved: '25' });
}, 300_000);
