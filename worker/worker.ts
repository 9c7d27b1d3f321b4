/** A worker process: Temporal workers for the task queues it serves, the outbox relay, and what has to run once. */
import { Client } from '@temporalio/client';
import { type ActivityInterceptorsFactory, NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Deps } from '../activities/context.ts';
import { checkVault } from '../activities/signing/keys.ts';
import type { Config } from '../config/config.ts';
import { createLog } from '../config/log.ts';
import { openOrm } from '../db/orm.ts';
import type { TaskQueue } from '../domain/workflow-ids.ts';
import { attemptInterceptor } from './attempts.ts';
import { ensureDeploymentWallets, ensurePools, ensureSingletons } from './boot.ts';
import { buildIdOf, workflowBundle } from './bundle.ts';
import { claimCluster, clusterFence } from './cluster.ts';
import { createDeps } from './deps.ts';
import { startHealth } from './health.ts';
import { type QueueSettings, queueSettings } from './queues.ts';
import { checkNetwork } from './network.ts';
import { startRelay } from './relay.ts';
import { installRuntime } from './runtime.ts';
import { stuckInterceptor } from './stuck.ts';

export interface RunningWorker {
  /** of the health server */
  readonly url: string;
  /** Lets running work end (bounded), then closes everything. @throws Error when something had to be cut off */
  stop(): Promise<void>;
}

const POOL_MAX = 20;
/** Well above the orders that are active at once: a cache that is too small fails badly with local activities in updates. */
const CACHED_WORKFLOWS = 1_000;
/** Work of a worker that was killed is handed on after this long. */
const STICKY_TIMEOUT = '5s';
/** Whoever sent SIGTERM kills after 30 s. */
const SHUTDOWN_FORCE = '25s';
const ACTIVITY_POLLS = 5;

/**
 * Starts serving the configured task queues; resolves when all of them are polled.
 * @throws Error when a configured key is wrong, or the database or Temporal cannot be reached
 */
export async function startWorker(config: Config): Promise<RunningWorker> {
  const log = createLog({ level: config.logLevel, process: 'worker' });
  installRuntime(log);
  await checkNetwork(config, log);
  const orm = await openOrm({ ...config.database, poolMax: POOL_MAX, applicationName: 'orchestrator-worker' });
  const connection = await NativeConnection.connect({ address: config.temporal.address }).catch(
    async (error: unknown) => {
      await orm.close();
      throw error;
    },
  );
  try {
    const client = new Client({ connection, namespace: config.temporal.namespace });
    const cluster = await claimCluster(orm, { client, namespace: config.temporal.namespace });
    const deps = createDeps(config, { orm, client, log });
    if (deps.vault !== null) await checkVault(orm, deps.vault);
    await ensureDeploymentWallets(orm, config.sponsorAddress);
    await ensurePools(orm, config.pools);
    if (config.monitorDisabled) log.info({}, 'monitor.disabled');
    const watched = [clusterFence(deps, cluster), stuckInterceptor(deps), attemptInterceptor];
    const pollers = await createPollers(config, deps, connection, watched);
    return await serve(config, deps, pollers, connection, log);
  } catch (error) {
    await connection.close().catch(() => undefined);
    await orm.close();
    throw error;
  }
}

interface Poller {
  readonly queue: TaskQueue;
  readonly worker: Worker;
}

async function createPollers(
  config: Config,
  deps: Deps,
  connection: NativeConnection,
  watched: ActivityInterceptorsFactory[],
): Promise<Poller[]> {
  const pollers: Poller[] = [];
  for (const queue of config.taskQueues) {
    const settings = queueSettings(queue, deps);
    if (settings === null) continue;
    const workflows = queue === 'orders' ? await workflowOptions(config) : {};
    const worker = await Worker.create({ ...options(config, queue, settings, watched), ...workflows, connection });
    pollers.push({ queue, worker });
  }
  return pollers;
}

const options = (
  config: Config,
  queue: TaskQueue,
  { activities, concurrency, graceMs }: QueueSettings,
  watched: ActivityInterceptorsFactory[],
): Omit<WorkerOptions, 'connection'> => ({
  namespace: config.temporal.namespace,
  taskQueue: `${config.taskQueuePrefix}${queue}`,
  activities,
  interceptors: { activity: watched },
  maxConcurrentActivityTaskExecutions: concurrency,
  maxConcurrentActivityTaskPolls: ACTIVITY_POLLS,
  shutdownGraceTime: graceMs,
  shutdownForceTime: SHUTDOWN_FORCE,
});

/** Only `orders` runs workflow code: one cache and one workflow thread per process. */
async function workflowOptions(config: Config) {
  const codePath = config.workflowBundlePath ?? (await workflowBundle());
  return {
    workflowBundle: { codePath },
    buildId: await buildIdOf(codePath),
    maxCachedWorkflows: CACHED_WORKFLOWS,
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
  };
}

async function serve(
  config: Config,
  deps: Deps,
  pollers: readonly Poller[],
  connection: NativeConnection,
  log: Logger,
): Promise<RunningWorker> {
  let stopping = false;
  const runs = pollers.map(({ queue, worker }) =>
    worker.run().catch((error: unknown) => {
      if (stopping) throw error;
      // A worker that can no longer poll helps nobody: a new process can.
      log.fatal({ error, task_queue: queue }, 'worker.failed');
      process.exit(1);
    }),
  );
  const ended = Promise.allSettled(runs);
  const relay = startRelay({ orm: deps.orm, log });
  if (config.taskQueues.includes('orders')) await ensureSingletons(deps);
  const states = () => Object.fromEntries(pollers.map(({ queue, worker }) => [queue, worker.getState()]));
  const buildId = pollers.map(({ worker }) => worker.options.buildId).find((id) => id !== undefined) ?? null;
  const health = await startHealth({ host: config.http.host, port: config.http.healthPort }, states, buildId);
  log.info(
    { task_queues: pollers.map(({ queue }) => queue), build_id: buildId, health_url: health.url },
    'worker.started',
  );

  const shutdown = async (): Promise<void> => {
    stopping = true;
    for (const { worker } of pollers) if (worker.getState() === 'RUNNING') worker.shutdown();
    const results = await ended;
    await relay.stop();
    await health.stop();
    await connection.close();
    await deps.orm.close();
    const cut = results.find((result) => result.status === 'rejected');
    if (cut !== undefined) throw cut.reason;
    log.info({}, 'worker.stopped');
  };
  let stopped: Promise<void> | null = null;
  return {
    url: health.url,
    stop: () => {
      stopped ??= shutdown();
      return stopped;
    },
  };
}
