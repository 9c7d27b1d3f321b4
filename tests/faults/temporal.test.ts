/** What Temporal itself can do to an order: deliver verbs together, reset it, lose it. The row decides, once. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { escrowUpdate, repairUpdates, reserveUpdate } from '../../workflows/messages.ts';
import { keepHistories } from '../../activities/histories/keep.ts';
import { fetchLife } from '../../cli/replay/source.ts';
import { reset as resetWorkflow } from '../../cli/reset.ts';
import { explain } from '../../cli/why/report.ts';
import { findSubject } from '../../cli/why/subject.ts';
import { pool } from '../../db/sql.ts';
import { parseAmount } from '../../domain/money.ts';
import { expectCoherent } from '../support/coherent.ts';
import { withDeps } from '../support/deps.ts';
import {
  type EventBody,
  WAIT,
  balance,
  createOrder,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
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

const eventsOf = async (orderId: string): Promise<string[]> =>
  (await market.api<{ data: EventBody[] }>('GET', `/events?resource_id=${orderId}&limit=100`)).body.data.map(
    (event) => event.type,
  );

test('a released order that is reset stays released, and nothing is booked twice (F66)', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await driveToProgress(api, order.id);
  await verb(api, order.id, 'resolution/release');
  const before = await untilStatus(api, order.id, 'CLOSED');
  const [events, paid] = [await eventsOf(order.id), await balance(api, seller.id)];

  const runId = await resetToTheBeginning(`order/${order.id}`);
  await eventually(
    async () =>
      (await stack.client.workflow.getHandle(`order/${order.id}`, runId).describe()).status.name === 'COMPLETED',
  );

  expect(await getOrder(api, order.id)).toEqual(before);
  expect(await eventsOf(order.id)).toEqual(events);
  expect(await balance(api, seller.id)).toMatchObject({ total: paid.total });
}, 180_000);

const reset = (id: string, options: { readonly dryRun?: boolean; readonly event?: string } = {}) =>
  withDeps(stack, stack.client, (deps) => resetWorkflow(deps, id, { note: 'out of step', ...options }));
const runOf = (workflowId: string, runId?: string | null) =>
  stack.client.workflow.getHandle(workflowId, runId ?? undefined);
const untilEnded = (workflowId: string, runId: string | null) =>
  eventually(async () => (await runOf(workflowId, runId).describe()).status.name === 'COMPLETED', PATIENCE);

test('an order is taken back to where nothing of it was under way, and goes on from its row', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const milestones = ['10', '15'].map((amount, n) => ({ milestone_ref: `m${n}`, title: `Part ${n}`, amount }));
  const order = await createOrder(api, buyer, seller, { milestones });
  const workflowId = `order/${order.id}`;
  await driveToProgress(api, order.id);
  await verb(api, order.id, 'milestones/m0/release');
  const [events, paid] = [await eventsOf(order.id), await balance(api, seller.id)];

  const shown = await reset(order.id, { dryRun: true });
  expect(shown).toMatchObject({ workflow_id: workflowId, new_run_id: null, point: { status: 'IN_PROGRESS' } });
  expect((await runOf(workflowId).describe()).runId).toBe(shown.run_id);
  const { new_run_id: runId, point } = await reset(order.id);
  expect(point).toEqual(shown.point);
  expect((await runOf(workflowId).describe()).runId).toBe(runId);

  // A dispute's own workflow, which it started, outlives that.
  const opening = { milestone_refs: ['m1'], opened_by: 'BUYER', reason: 'QUALITY_ISSUE', description: 'Too small' };
  const { body: dispute } = await insist<{ id: string }>(api, `/orders/${order.id}/resolution/dispute`, opening);
  const { new_run_id: second } = await reset(order.id);
  await insist(api, `/disputes/${dispute.id}/withdraw`, { by: 'BUYER' }, WAIT);
  await untilStatus(api, order.id, 'IN_PROGRESS');

  // What was asked since is asked again, and done already.
  await insist(api, `/orders/${order.id}/milestones/m1/release`, {});
  expect(await untilStatus(api, order.id, 'CLOSED')).toMatchObject({ final_status: 'RELEASED' });
  expect((await eventsOf(order.id)).slice(-events.length)).toEqual(events);
  const now = await balance(api, seller.id);
  expect(parseAmount(now.total) - parseAmount(paid.total)).toBe(parseAmount('14.955'));
  await untilEnded(workflowId, second);

  // One that is over reads that it is; what was asked after that point is not asked of it again.
  const [first] = (await reset(order.id, { dryRun: true })).earlier;
  const { new_run_id: last } = await reset(order.id, { event: String(first?.event) });
  await untilEnded(workflowId, last);
  const { events: history } = await runOf(workflowId, last).fetchHistory();
  expect(history?.filter((event) => event.workflowExecutionUpdateAdmittedEventAttributes)).toEqual([]);
  expect(await getOrder(api, order.id)).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED' });
}, 180_000);

test('nothing is reset while an operation runs', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await driveToProgress(api, order.id);
  await stack.fault({ name: 'http_503', match: { body: 'getTransaction"' } });
  await api('POST', `/orders/${order.id}/resolution/release`, {});
  await expect(reset(order.id)).rejects.toThrow('release runs');
  await stack.calm();
  await untilStatus(api, order.id, 'CLOSED');
}, 180_000);

test('what Temporal has forgotten is read from the copy that was kept of it', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '100'), readyUser(api)]);
  const order = await createOrder(api, buyer, seller);
  await verb(api, order.id, 'cancel');
  const workflowId = `order/${order.id}`;
  await untilEnded(workflowId, null);
  await withDeps(stack, stack.client, async (deps) => {
    const { history } = await fetchLife(deps, order.id);
    // Any worker's reconcile may have been faster.
    await keepHistories(deps, 0);
    await keepHistories(deps, 0);
    await stack.client.workflowService.deleteWorkflowExecution({
      namespace: stack.temporal.namespace,
      workflowExecution: { workflowId },
    });
    await eventually(
      () =>
        runOf(workflowId)
          .describe()
          .then(
            () => null,
            (error: unknown) => error,
          ),
      PATIENCE,
    );
    expect(await fetchLife(deps, order.id)).toEqual({ workflowId, history, keptAt: expect.any(String) });
    const subject = await findSubject(pool(deps.orm), order.id);
    if (subject === null) throw new Error('the order is a row');
    const { workflow, next } = await explain(deps, subject);
    expect(workflow).toEqual({ unavailable: expect.stringMatching(/Temporal no longer knows it.*replay reads it/) });
    expect(next).toMatch(/^nothing/);
  });
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
