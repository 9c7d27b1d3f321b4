/**
 * The whole system on one machine: Postgres, Temporal, the sandbox, a worker and an API, each a process of its own. The
 * same for `dev`, `demo` and the tests, which bring their own database and Temporal namespace.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Keypair } from '@stellar/stellar-sdk/base';
import { migrate } from '../../db/orm.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import type { Ports } from './ports.ts';
import { createDatabase, postgresUrl, preparePostgres, type PostgresOptions } from './postgres.ts';
import { createSupervisor, type ProcessEvent, type ProcessSpec, type Supervisor } from './processes.ts';
import { fundSponsor, sandboxEnvironment, sandboxProcess, sandboxUrl } from './sandbox.ts';
import { loadSecrets, type StackSecrets } from './secrets.ts';
import { registerSearchAttributes, temporalProcess } from './temporal.ts';

/** Where Temporal comes from: a binary that we run, or a server that runs already. */
export type TemporalSource =
  | { readonly binary: string; readonly ui: boolean }
  | { readonly address: string; readonly namespace: string };

interface StackOptions {
  readonly dataDirectory: string;
  readonly ports: Ports;
  readonly ledgerMs: number;
  readonly temporal: TemporalSource;
  /** a database that exists and is migrated; without it Postgres is started */
  readonly database?: { readonly appUrl: string; readonly ownerUrl: string };
  /** further variables of API and worker */
  readonly environment?: Readonly<Record<string, string>>;
  readonly onEvent?: (event: ProcessEvent) => void;
  /** told what is being started, for a progress line */
  readonly onStep?: (step: string) => void;
}

type ServiceName = 'api' | 'worker';
export type StackPids = Readonly<Record<ServiceName | 'temporal' | 'postgres' | 'sandbox', number | null>>;

export interface Stack {
  /** the environment with which another API or worker joins */
  readonly env: Readonly<Record<string, string>>;
  readonly apiUrl: string;
  readonly sandboxUrl: string;
  readonly temporalUiUrl: string | null;
  /** owner's database URL, which no serving process gets */
  readonly directUrl: string;
  readonly platformKey: string;
  pids(): StackPids;
  /** Starts a service that was stopped; `another` starts one more beside it, under its own name. */
  start(
    service: ServiceName,
    another?: { readonly name: string; readonly environment: Readonly<Record<string, string>> },
  ): Promise<void>;
  /** By name; with SIGKILL it dies on the spot. */
  stopService(name: string, signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

const DATABASE = 'orchestrator';
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Starts everything and waits until API and worker serve; when one fails, stops what was started. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const secrets = await loadSecrets(options.dataDirectory);
  const supervisor = createSupervisor({
    logDirectory: join(options.dataDirectory, 'logs'),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  try {
    return await assemble(options, secrets, supervisor);
  } catch (error) {
    await supervisor.stopAll();
    throw error;
  }
}

async function assemble(options: StackOptions, secrets: StackSecrets, supervisor: Supervisor): Promise<Stack> {
  const { ports } = options;
  const step = options.onStep ?? ((): void => undefined);
  const sandbox = sandboxUrl(ports.sandbox);
  const sponsor = Keypair.fromSecret(secrets.sponsorSecret).publicKey();

  step('infrastructure');
  const [database, temporal] = await all([
    startDatabase(options, secrets, supervisor),
    startTemporal(options, supervisor),
    supervisor
      .start(sandboxProcess({ port: ports.sandbox, dataDirectory: options.dataDirectory, ledgerMs: options.ledgerMs }))
      .then(() => fundSponsor(sandbox, sponsor)),
    // built while the others start; the worker finds it in the cache
    workflowBundle(),
  ]);
  const env = {
    DATABASE_URL: database.appUrl,
    DATABASE_LISTEN_URL: database.appUrl,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    ...(await sandboxEnvironment(sandbox)),
    SPONSOR_ADDRESS: sponsor,
    SPONSOR_SECRET: secrets.sponsorSecret,
    VAULT_KEYS: `k1:${secrets.vaultKey}`,
    PLATFORM_API_KEY: secrets.platformKey,
    HOST: '127.0.0.1',
    PORT: String(ports.api),
    HEALTH_PORT: String(ports.health),
    ...options.environment,
  };
  const start: Stack['start'] = (service, another) =>
    supervisor.start({
      ...serviceProcess(service, { ...env, ...another?.environment }),
      name: another?.name ?? service,
    });
  step('services');
  await all([start('worker'), start('api')]);
  return {
    env,
    apiUrl: apiUrl(env),
    sandboxUrl: sandbox,
    temporalUiUrl: temporal.uiUrl,
    directUrl: database.ownerUrl,
    platformKey: secrets.platformKey,
    pids: () => ({
      api: supervisor.pid('api'),
      worker: supervisor.pid('worker'),
      temporal: supervisor.pid('temporal'),
      postgres: supervisor.pid('postgres'),
      sandbox: supervisor.pid('sandbox'),
    }),
    start,
    stopService: (name, signal) => supervisor.stop(name, signal),
    stop: () => supervisor.stopAll(),
  };
}

async function startDatabase(
  options: StackOptions,
  secrets: StackSecrets,
  supervisor: Supervisor,
): Promise<{ appUrl: string; ownerUrl: string }> {
  if (options.database !== undefined) return options.database;
  const postgres: PostgresOptions = {
    dataDirectory: options.dataDirectory,
    port: options.ports.postgres,
    passwords: secrets.passwords,
  };
  await supervisor.start(await preparePostgres(postgres));
  await createDatabase(postgres, DATABASE);
  const ownerUrl = postgresUrl(postgres, 'owner', DATABASE);
  await migrate(ownerUrl);
  return { ownerUrl, appUrl: postgresUrl(postgres, 'app', DATABASE) };
}

async function startTemporal(
  { temporal, ports, dataDirectory }: StackOptions,
  supervisor: Supervisor,
): Promise<{ address: string; namespace: string; uiUrl: string | null }> {
  if ('address' in temporal) {
    await registerSearchAttributes(temporal.address, temporal.namespace);
    return { ...temporal, uiUrl: null };
  }
  const uiPort = temporal.ui ? ports.temporalUi : null;
  await supervisor.start(temporalProcess({ binary: temporal.binary, port: ports.temporal, uiPort, dataDirectory }));
  const uiUrl = uiPort === null ? null : `http://127.0.0.1:${uiPort}`;
  return { address: `127.0.0.1:${ports.temporal}`, namespace: 'default', uiUrl };
}

/** `orchestrator api` or `orchestrator worker` as a child process with the given environment. */
function serviceProcess(service: ServiceName, env: Readonly<Record<string, string>>): ProcessSpec {
  const health = service === 'api' ? `${apiUrl(env)}/health/ready` : `http://127.0.0.1:${env['HEALTH_PORT']}/health`;
  return {
    name: service,
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', MAIN, service],
    env: { ...process.env, ...env },
    ready: async () => {
      const response = await fetch(health, { signal: AbortSignal.timeout(2_000) });
      if (!response.ok) throw new Error(`${health} answered ${response.status}`);
    },
    readyTimeoutMs: 60_000,
    stopSignal: 'SIGTERM',
    // both within the thirty seconds that the whole stack has
    stopTimeoutMs: 10_000,
    restart: false,
  };
}

function apiUrl(env: Readonly<Record<string, string>>): string {
  return `http://127.0.0.1:${env['PORT']}/api/v1`;
}

/** Like Promise.all, but waits for all before it fails: what is still starting must not escape the clean-up. */
async function all<T extends readonly Promise<unknown>[]>(
  promises: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
