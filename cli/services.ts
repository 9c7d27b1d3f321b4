/** `orchestrator api`, `worker`, `migrate`: one process each, configured by the environment. */
import { loadConfig, loadMigrationConfig } from '../config/config.ts';
import { stopOnSignal } from './shutdown.ts';

export interface ServiceOptions {
  /** a file of NAME=value lines; variables that are set already win */
  readonly envFile?: string;
}

// each loads only what it runs: the API has no use for Temporal's native worker

export async function runApi(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const config = loadConfig(process.env, 'api');
  const [{ startApi }, { createNetworkRpc }, { readDestination }, { UNWATCHED }] = await Promise.all([
    import('../api/server.ts'),
    import('../providers/chain/network.ts'),
    import('../providers/chain/destination.ts'),
    import('../providers/limits/watch.ts'),
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

/** Reads the file that was named, if one was. */
export function loadEnvironment({ envFile }: ServiceOptions): void {
  if (envFile !== undefined) process.loadEnvFile(envFile);
}
