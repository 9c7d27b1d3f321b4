/** What operators do with histories: take a workflow back, read one that Temporal has forgotten. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
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
  WAIT,
  balance,
  createOrder,
  driveToProgress,
  eventTypes,
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
  const events = await eventTypes(api, order.id, 'order.milestone_released');
  const paid = await balance(api, seller.id);

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
  expect((await eventTypes(api, order.id, 'order.closed')).slice(-events.length)).toEqual(events);
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
