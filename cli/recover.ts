/**
 * `orchestrator recover`: after Temporal or the database was lost or restored. Rows are the truth: it finds what the chain
 * knows beyond them, then starts every missing workflow from its row and tells the others to look at theirs. Repeatable.
 */
import { Client, Connection, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { sql } from 'kysely';
import { type Unaccounted, findUnaccounted, settleUnaccounted } from '../activities/chain/unaccounted.ts';
import type { Deps } from '../activities/context.ts';
import { loadConfig } from '../config/config.ts';
import { createLog } from '../config/log.ts';
import { openOrm } from '../db/orm.ts';
import { pool } from '../db/sql.ts';
import { ensureSingletons } from '../worker/boot.ts';
import { type Cluster, claimCluster } from '../worker/cluster.ts';
import { createDeps } from '../worker/deps.ts';
import { RESUMABLE, type Resumable } from '../worker/resumable.ts';
import { type ServiceOptions, loadEnvironment } from './services.ts';

/** Rows per look, and workflows started at once. */
const PAGE = 200;
const AT_ONCE = 20;
const WORKFLOW_ID = 'recover';

type RecoverDeps = Deps & { readonly namespace: string };

interface Resumed {
  /** started from their rows */
  readonly started: number;
  /** ran, and were told to look at their rows */
  readonly running: number;
  /** run although the rows know nothing of them: begun after the database's backup */
  readonly without_row: readonly string[];
}

export interface Recovery {
  readonly epoch: number;
  readonly taken_over: boolean;
  /** transactions of our accounts that the rows do not know, found now; each has an attention item */
  readonly unaccounted: readonly Unaccounted[];
  readonly workflows: Readonly<Record<string, Resumed>>;
}

/** @throws Error when the rows belong to another Temporal namespace and `takeOver` is not set; ProviderError */
export async function recover(deps: RecoverDeps, options: { readonly takeOver: boolean }): Promise<Recovery> {
  const { takenOver, epoch }: Cluster & { takenOver: boolean } = await claimCluster(deps.orm, deps, options);
  // Before anything may go on: what is found here keeps it from being done twice.
  const unaccounted = await findUnaccounted(deps, WORKFLOW_ID);
  const workflows: Record<string, Resumed> = {};
  for (const kind of RESUMABLE) {
    const resumed = await resumeAll(deps, kind);
    workflows[kind.type] = { ...resumed, without_row: await withoutRow(deps, kind) };
  }
  await ensureSingletons(deps);
  return { epoch, taken_over: takenOver, unaccounted, workflows };
}

async function resumeAll(deps: RecoverDeps, kind: Resumable): Promise<{ started: number; running: number }> {
  const result = { started: 0, running: 0 };
  for (let after = ''; ; ) {
    const { rows } = await sql<{ id: string }>`
      select id from ${sql.table(kind.table)} where ${kind.open} and id > ${after} order by id limit ${PAGE}`.execute(
      pool(deps.orm),
    );
    for (let from = 0; from < rows.length; from += AT_ONCE)
      await Promise.all(
        rows.slice(from, from + AT_ONCE).map(async ({ id }) => {
          result[await resume(deps, kind, id)] += 1;
        }),
      );
    const last = rows.at(-1);
    if (last === undefined) return result;
    after = last.id;
  }
}

async function resume(deps: RecoverDeps, kind: Resumable, id: string): Promise<'started' | 'running'> {
  const workflowId = kind.workflowId(id);
  try {
    await deps.client.workflow.start(kind.type, {
      workflowId,
      taskQueue: `${deps.taskQueuePrefix}orders`,
      args: [kind.input(id, deps)],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      typedSearchAttributes: kind.searchAttributes?.(id) ?? [],
      staticSummary: `${kind.type} ${id}`,
    });
    return 'started';
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await wake(deps, kind, id);
    return 'running';
  }
}

async function wake({ client }: RecoverDeps, kind: Resumable, id: string): Promise<void> {
  if (kind.wake === undefined) return;
  const [signal, ...args] = kind.wake;
  await client.workflow.getHandle(kind.workflowId(id)).signal(signal, ...args);
}

/**
 * Those that run, as far as Temporal's index has heard of them: one whose row is over, because Temporal was restored, is
 * told to look at it. @returns ids that the rows do not know
 */
async function withoutRow(deps: RecoverDeps, kind: Resumable): Promise<string[]> {
  const query = `WorkflowType = '${kind.type}' and ExecutionStatus = 'Running'`;
  const missing: string[] = [];
  let page: string[] = [];
  const look = async (): Promise<void> => {
    const { rows } = await sql<{ id: string; open: boolean }>`
      select id, ${kind.open} as open from ${sql.table(kind.table)} where id = any(${page}::text[])`.execute(
      pool(deps.orm),
    );
    const known = new Set(rows.map(({ id }) => id));
    missing.push(...page.filter((id) => !known.has(id)));
    for (const { id, open } of rows) if (!open) await wake(deps, kind, id);
    page = [];
  };
  for await (const { workflowId } of deps.client.workflow.list({ query })) {
    page.push(workflowId.slice(workflowId.indexOf('/') + 1));
    if (page.length === PAGE) await look();
  }
  await look();
  return missing;
}

export interface RecoverOptions extends ServiceOptions {
  readonly takeOver?: boolean;
}

export async function runRecover(options: RecoverOptions): Promise<void> {
  await withDeps(options, async (deps) => {
    const result = await recover(deps, { takeOver: options.takeOver === true });
    process.stdout.write(`${JSON.stringify({ event: 'recovered', ...result })}\n`);
  });
}

/** The operator has put right in the books what a transaction did that the rows did not know. */
export async function runSettle(hash: string, options: ServiceOptions & { readonly note: string }): Promise<void> {
  await withDeps(options, async ({ orm }) => {
    await settleUnaccounted(orm, hash, options.note);
    process.stdout.write(`${JSON.stringify({ event: 'settled', hash })}\n`);
  });
}

async function withDeps(options: ServiceOptions, work: (deps: RecoverDeps) => Promise<void>): Promise<void> {
  loadEnvironment(options);
  // Nothing is signed here: no keys.
  const config = loadConfig({ ...process.env, TASK_QUEUES: 'orders' }, 'worker');
  const orm = await openOrm({ url: config.database.url, poolMax: 5, applicationName: 'orchestrator-recover' });
  try {
    const connection = await Connection.connect({ address: config.temporal.address });
    try {
      const { namespace } = config.temporal;
      const log = createLog({ level: config.logLevel, process: 'recover' });
      await work({ ...createDeps(config, { orm, client: new Client({ connection, namespace }), log }), namespace });
    } finally {
      await connection.close();
    }
  } finally {
    await orm.close();
  }
}
