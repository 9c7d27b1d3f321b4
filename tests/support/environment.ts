/**
 * What one test run shares: a Postgres, a Temporal server, a migrated template database, the workflow bundle. Started in
 * jest's parent process by the set-up of the projects that need it; test files find it through one variable.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { migrate } from '../../db/orm.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { createDatabase, postgresUrl, preparePostgres, type PostgresOptions } from '../../cli/stack/postgres.ts';
import { createSupervisor, type Supervisor } from '../../cli/stack/processes.ts';
import { freePort } from '../../cli/stack/ports.ts';
import { resolveTemporalBinary } from '../../cli/stack/temporal-binary.ts';
import { temporalProcess } from '../../cli/stack/temporal.ts';
import { workflowBundle } from '../../worker/bundle.ts';

interface TestEnvironment {
  readonly directory: string;
  readonly postgres: PostgresOptions;
  readonly temporalAddress: string | null;
}

export const TEMPLATE_DATABASE = 'template_orchestrator';
const VARIABLE = 'ORCHESTRATOR_TEST_ENVIRONMENT';
const PREFIX = 'orchestrator-test-';

interface Started {
  readonly supervisor: Supervisor;
  environment: TestEnvironment;
}

let started: Promise<Started> | undefined;

/** Postgres with a migrated template database. Repeatable within a run. */
export async function startPostgres(): Promise<void> {
  await base();
}

/** Temporal and the workflow bundle, besides Postgres. Repeatable within a run. */
export async function startTemporal(): Promise<void> {
  const run = await base();
  if (run.environment.temporalAddress !== null) return;
  // Workers and APIs start dozens of times: what Node made of the sources is kept for the run.
  process.env['NODE_COMPILE_CACHE'] ??= join(run.environment.directory, 'compile-cache');
  const [binary, port] = await Promise.all([resolveTemporalBinary(process.env), freePort()]);
  const [, bundle] = await Promise.allSettled([
    run.supervisor.start(temporalProcess({ binary, port, uiPort: null, dataDirectory: null })),
    workflowBundle(),
  ]);
  if (bundle.status === 'rejected') throw bundle.reason;
  publish(run, { ...run.environment, temporalAddress: `127.0.0.1:${port}` });
}

/** Stops what was started. Repeatable. */
export async function stopAll(): Promise<void> {
  const run = await started?.catch(() => undefined);
  started = undefined;
  if (run === undefined) return;
  await run.supervisor.stopAll();
  await rm(run.environment.directory, { recursive: true, force: true });
}

/** In a test file: what the set-up started. @throws Error when the file's project has no set-up for it */
export function testEnvironment(): TestEnvironment {
  const text = process.env[VARIABLE];
  if (text === undefined)
    throw new Error('no test environment: this file belongs into a folder whose jest project starts one');
  return JSON.parse(text) as TestEnvironment;
}

function base(): Promise<Started> {
  started ??= begin();
  return started;
}

async function begin(): Promise<Started> {
  const directory = await temporaryFolder(PREFIX);
  const supervisor = createSupervisor({ logDirectory: join(directory, 'logs') });
  const passwords = { superuser: 'superuser', owner: 'owner', app: 'app' };
  const postgres: PostgresOptions = { dataDirectory: directory, port: await freePort(), passwords, unsafe: true };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void stopAll().finally(() => process.exit(1)));
  await supervisor.start(await preparePostgres(postgres));
  await createDatabase(postgres, TEMPLATE_DATABASE);
  await migrate(postgresUrl(postgres, 'owner', TEMPLATE_DATABASE));
  const run: Started = { supervisor, environment: { directory, postgres, temporalAddress: null } };
  publish(run, run.environment);
  return run;
}

function publish(run: Started, environment: TestEnvironment): void {
  run.environment = environment;
  process.env[VARIABLE] = JSON.stringify(environment);
}
