/**
 * `orchestrator reset`: a workflow once more from an earlier point of its history, when its history no longer fits the code
 * or it holds something wrong in its memory. Only from a point at which none of its operations was under way; then it
 * looks at its row, which knows better than any history.
 */
import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { sql } from 'kysely';
import type { Deps } from '../activities/context.ts';
import { recordAudit } from '../db/audit.ts';
import { inTransaction, pool } from '../db/sql.ts';
import { RESOURCE_TYPES } from '../domain/statuses.ts';
import { RESUMABLE } from '../worker/resumable.ts';
import { type QuietPoint, quietPoints } from './replay/quiet.ts';
import type { ServiceOptions } from './services.ts';
import { readResource } from './why/rows.ts';
import { type Subject, findSubject } from './why/subject.ts';
import { withDeps } from './why/system.ts';

/**
 * RESET_REAPPLY_EXCLUDE_TYPE_UPDATE: what came after the point is on the row, or came to nothing; asked again of a workflow
 * that stands elsewhere now, a verb might take. Signals say only where to look.
 */
const NO_UPDATES = 2;

export interface ResetOptions extends ServiceOptions {
  /** why the operator does it, for the audit log and for Temporal */
  readonly note: string;
  /** an earlier point than the latest: number of its event */
  readonly event?: string;
  /** shows the points and changes nothing */
  readonly dryRun?: boolean;
}

interface Reset {
  readonly workflow_id: string;
  readonly run_id: string;
  readonly point: QuietPoint;
  /** null with `dryRun` */
  readonly new_run_id: string | null;
  /** how many points there are before it */
  readonly earlier: readonly QuietPoint[];
}

/** @throws Error when no row knows it, something of it is under way, or there is no such point */
export async function reset(deps: Deps, needle: string, options: Omit<ResetOptions, 'envFile'>): Promise<Reset> {
  const subject = await findSubject(pool(deps.orm), needle);
  const kind = RESUMABLE.find(({ type }) => type === subject?.type);
  if (subject === null || kind?.wake === undefined || subject.type === 'wallet')
    throw new Error(`${needle} is no order, dispute, withdrawal or adjustment`);
  await demandQuiet(deps, subject);
  const { workflowId } = subject;
  const handle = deps.client.workflow.getHandle(workflowId);
  const { runId } = await handle.describe();
  const history = await deps.client.workflow.getHandle(workflowId, runId).fetchHistory();
  const points = quietPoints(JSON.parse(historyToJSON(history)));
  const point =
    options.event === undefined ? points.at(-1) : points.find(({ event }) => String(event) === options.event);
  if (point === undefined) throw new Error('there is no such point at which nothing was under way');
  const earlier = points.filter(({ event }) => event < point.event);
  const found = { workflow_id: workflowId, run_id: runId, point, earlier };
  if (options.dryRun === true) return { ...found, new_run_id: null };
  await audit(deps, subject, found, options.note);
  const { runId: newRunId } = await deps.client.workflowService.resetWorkflowExecution({
    namespace: deps.client.options.namespace,
    workflowExecution: { workflowId, runId },
    reason: options.note,
    requestId: randomUUID(),
    resetReapplyExcludeTypes: [NO_UPDATES],
    workflowTaskFinishEventId:
      history.events?.find(({ eventId }) => String(eventId) === String(point.event))?.eventId ?? null,
  });
  // What it remembers is older than its row.
  const [signal, ...args] = kind.wake;
  try {
    await handle.signal(signal, ...args);
  } catch (error) {
    // Its row is over, and so is it.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
  return { ...found, new_run_id: newRunId };
}

/** @throws Error while an operation runs, or an envelope of it may land: whoever waits for that must not be taken away */
async function demandQuiet({ orm }: Deps, subject: Subject): Promise<void> {
  const row = await readResource(pool(orm), subject);
  if (row === null) throw new Error(`no row knows ${subject.id}`);
  if (row.operation?.status === 'RUNNING') throw new Error(`${row.operation.verb} runs: wait for its end`);
  const { rows } = await sql<{ hash: string }>`
    select inner_hash as hash from chain_transactions where workflow_id = ${subject.workflowId}
      and (status in ('SIGNED', 'SUBMITTED') or (status = 'CONFIRMED' and booked_at is null))`.execute(pool(orm));
  if (rows[0] !== undefined) throw new Error(`transaction ${rows[0].hash} may land or is not booked: see why`);
}

async function audit(deps: Deps, subject: Subject, found: Omit<Reset, 'new_run_id'>, note: string): Promise<void> {
  const type = RESOURCE_TYPES.find((known) => known === subject.type);
  const row = await readResource(pool(deps.orm), subject);
  if (type === undefined || row === null) throw new Error(`no row knows ${subject.id}`);
  await inTransaction(deps.orm, (trx) =>
    recordAudit(trx, {
      marketplaceId: row.marketplace_id,
      actor: 'command',
      requestId: null,
      action: 'workflow.reset',
      resource: { type, id: subject.id },
      before: { run_id: found.run_id },
      after: { event: found.point.event, reason: note },
    }),
  );
}

export async function runReset(needle: string, { envFile, ...options }: ResetOptions): Promise<void> {
  await withDeps(envFile === undefined ? {} : { envFile }, async (deps) => {
    const { earlier, ...result } = await reset(deps, needle, options);
    const shown = earlier.map(({ event }) => event);
    process.stdout.write(`${JSON.stringify({ event: 'reset', ...result, earlier: shown })}\n`);
  });
}
