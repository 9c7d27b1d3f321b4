/** `orchestrator api`, `worker`, `migrate`: one process each, configured by the environment. */
import { type Config, loadConfig, loadMigrationConfig } from '../config/config.ts';
import type { Orm } from '../db/orm.ts';
import type { WorkflowClient } from '../workflows/client.ts';
import { stopOnSignal } from './shutdown.ts';

export interface ServiceOptions {
  /** a file of NAME=value lines; variables that are set already win */
  readonly envFile?: string;
}

// each loads only what it runs: the API has no use for Temporal's native worker

export async function runApi(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const config = loadConfig(process.env, 'api');
  const [{ startApi }, { createNetworkRpc }, { readDestination }, { UNWATCHED }, payment, books] = await Promise.all([
    import('../api/server.ts'),
    import('../providers/chain/network.ts'),
    import('../providers/chain/destination.ts'),
    import('../providers/limits/watch.ts'),
    import('../providers/payment/index.ts'),
    import('../db/ledger/statement.ts'),
  ]);
  const { passphrase, rpcUrls, requestsPerMinute } = config.stellar;
  const chain = createNetworkRpc({
    urls: rpcUrls,
    networkPassphrase: passphrase,
    perMinute: requestsPerMinute.rpc,
    watch: UNWATCHED,
  });
  const api = await startApi(config, {
    chainBalance: chain.assetBalance,
    chainDestination: (account, asset) => readDestination(chain, account, asset),
    chainLedger: async () => (await chain.latestLedger()).sequence,
    payments: (orm) =>
      payment.createPaymentProviders({
        ...payment.paymentNetwork(config.network, passphrase),
        rpc: chain,
        books: books.readBooks(orm),
        withKey: null,
      }),
  });
  stopOnSignal(() => api.stop());
}

export async function runWorker(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const config = loadConfig(process.env, 'worker');
  const { startWorker } = await import('../worker/worker.ts');
  const worker = await startWorker(config);
  stopOnSignal(() => worker.stop());
}

/** Brings the schema up to date, as its owner; prints the migrations that were run. */
export async function runMigrations(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const { directUrl } = loadMigrationConfig(process.env);
  const { migrate } = await import('../db/orm.ts');
  const done = await migrate(directUrl);
  process.stdout.write(`${JSON.stringify({ event: 'migrated', migrations: done })}\n`);
}

export interface System {
  readonly config: Config;
  readonly orm: Orm;
  readonly workflows: WorkflowClient;
}

/** For a command that works beside the running processes: the database and the workflows, closed afterwards. */
export async function withSystem(options: ServiceOptions, work: (system: System) => Promise<void>): Promise<void> {
  loadEnvironment(options);
  const config = loadConfig(process.env, 'api');
  const [{ openOrm }, { createWorkflowClient }] = await Promise.all([
    import('../db/orm.ts'),
    import('../workflows/client.ts'),
  ]);
  const orm = await openOrm({ url: config.database.url, poolMax: 2, applicationName: 'orchestrator-command' });
  const { taskQueuePrefix, network, paymentSource } = config;
  const workflows = createWorkflowClient({ ...config.temporal, taskQueuePrefix, network, paymentSource });
  try {
    await work({ config, orm, workflows });
  } finally {
    await workflows.close();
    await orm.close();
  }
}

/** Reads the file that was named, if one was. */
export function loadEnvironment({ envFile }: ServiceOptions): void {
  if (envFile !== undefined) process.loadEnvFile(envFile);
}
