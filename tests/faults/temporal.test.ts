/** What Temporal itself can do to an order: deliver verbs together, reset it, lose it. The row decides, once. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { escrowUpdate, repairUpdates, reserveUpdate } from '../../workflows/messages.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  balance,
  createOrder,
  driveToProgress,
  eventTypes,
  fundedUser,
  getOrder,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const PATIENCE = { timeoutMs: 120_000 };

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
}, 120_000);
afterEach(() => expectCoherent(stack), 60_000);
afterAll(() => stack.stop());

/** Runs the workflow again from its first task, with every update that came later delivered at once. */
async function resetToTheBeginning(workflowId: string): Promise<string> {
  const { events = [] } = await stack.client.workflow.getHandle(workflowId).fetchHistory();
  const firstTask = events?.find((event) => event.workflowTaskCompletedEventAttributes);
  const { runId } = await stack.client.workflowService.resetWorkflowExecution({
    namespace: stack.temporal.namespace,
    workflowExecution: { workflowId },
    reason: 'test',
    requestId: randomUUID(),
    workflowTaskFinishEventId: firstTask?.eventId ?? null,
  });
  return runId;
}

test('a released order that is reset stays released, and nothing is booked twice (F66)', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await driveToProgress(api, order.id);
  await verb(api, order.id, 'resolution/release');
  const before = await untilStatus(api, order.id, 'CLOSED');
  const events = await eventTypes(api, order.id, 'order.closed');
  const paid = await balance(api, seller.id);

  const runId = await resetToTheBeginning(`order/${order.id}`);
  await eventually(
    async () =>
      (await stack.client.workflow.getHandle(`order/${order.id}`, runId).describe()).status.name === 'COMPLETED',
    PATIENCE,
  );

  expect(await getOrder(api, order.id)).toEqual(before);
  expect(await eventTypes(api, order.id, 'order.closed')).toEqual(events);
  expect(await balance(api, seller.id)).toMatchObject({ total: paid.total });
}, 180_000);

const REQUEST = { request_id: null, actor: null, reason: null, transaction_hash: '0'.repeat(64) };

/** Sends updates while no worker runs: they gather at the server and are delivered together. */
async function together(
  orderId: string,
  updates: readonly { readonly name: string }[],
): Promise<PromiseSettledResult<unknown>[]> {
  await stack.killWorker();
  const handle = stack.client.workflow.getHandle(`order/${orderId}`);
  const sent = updates.map(({ name }) =>
    handle.executeUpdate(name, { args: [{ ...REQUEST, operation_id: `op_${randomUUID()}` }] }),
  );
  const settled = Promise.allSettled(sent);
  await stack.startWorker();
  return settled;
}

const refusals = (settled: PromiseSettledResult<unknown>[]): unknown[] =>
  settled.flatMap((one) =>
    one.status === 'rejected' ? [(one.reason as Error & { cause: { type: string } }).cause.type] : [],
  );

test('of two verbs that arrive in one activation one is done and one is refused', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  expect(refusals(await together(order.id, [reserveUpdate, reserveUpdate]))).toEqual(['INVALID_STATE']);
  expect(await balance(api, buyer.id)).toMatchObject({ available: '75', reserved: '25' });
  // The second one must not take the gate while the first is on chain.
  expect(refusals(await together(order.id, [escrowUpdate, escrowUpdate]))).toEqual(['INVALID_STATE']);
  expect((await verb(api, order.id, 'escrow/fund')).body).toMatchObject({ status: 'IN_PROGRESS' });
  expect(await balance(api, buyer.id)).toMatchObject({ total: '75', in_escrow: '25' });
}, 180_000);

test('of two repairs that arrive together the one that was not carried out is refused', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await driveToProgress(api, order.id);
  await stack.control('POST', '/freeze', { address: seller.wallet.address });
  await api('POST', `/orders/${order.id}/resolution/release`, {});
  await eventually(async () => (await getOrder(api, order.id)).operation?.status === 'PARKED', PATIENCE);
  const settled = await together(order.id, [repairUpdates.give_up, repairUpdates.adopt]);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  await eventually(async () => (await getOrder(api, order.id)).operation?.status === 'FAILED', PATIENCE);
}, 180_000);

test('an order whose workflow is gone goes on from its row', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await verb(api, order.id, 'reserve');
  await stack.client.workflow.getHandle(`order/${order.id}`).terminate('lost');
  expect(await verb(api, order.id, 'escrow')).toMatchObject({ status: 200, body: { status: 'ESCROW_FUNDING' } });
  expect(await verb(api, order.id, 'escrow/fund')).toMatchObject({ status: 200, body: { status: 'IN_PROGRESS' } });
}, 180_000);

test('an order that loses its workflow in the middle of a funding is funded once', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  for (const path of ['reserve', 'escrow']) await verb(api, order.id, path);
  await api('POST', `/orders/${order.id}/escrow/fund`, {});
  await eventually(async () => (await getOrder(api, order.id)).operation?.verb === 'fund');
  await stack.client.workflow.getHandle(`order/${order.id}`).terminate('lost');
  // Any verb finds the workflow gone and starts it from its row; the funding that runs there is taken up.
  await eventually(
    async () => {
      await verb(api, order.id, 'resolution/release');
      return (await getOrder(api, order.id)).status === 'CLOSED';
    },
    { timeoutMs: 120_000 },
  );
  expect(await balance(api, buyer.id)).toMatchObject({ total: '75', in_escrow: '0' });
}, 180_000);
