/** The whole system for a benchmark: real processes, a ledger as soon as something is pending (latency of the chain: 0). */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { autoPorts, freePort } from '../../../cli/stack/ports.ts';
import { temporaryFolder } from '../../../cli/stack/folders.ts';
import { createDatabase, postgresUrl, preparePostgres, type PostgresOptions } from '../../../cli/stack/postgres.ts';
import { createSupervisor } from '../../../cli/stack/processes.ts';
import { startStack, type Stack } from '../../../cli/stack/stack.ts';
import { temporalSource } from '../../../cli/stack/temporal-source.ts';
import { migrate } from '../../../db/orm.ts';
import type { Body, Call } from '../../support/stack.ts';

export interface BenchStack {
  readonly stack: Stack;
  readonly temporal: { readonly address: string; readonly namespace: string };
  /** process ids by name, the sandbox left out */
  pids(): Readonly<Record<string, number>>;
  /** everything that Postgres logged: with `logStatements` each statement, behind its application's name and a `|` */
  readonly postgresLog: string;
  createMarketplace(fields?: Body): Promise<Call>;
  /** calls with a key; throws for answers that are not 2xx */
  call(key: string): Call;
  /** a call of the sandbox's control API */
  control(method: string, path: string, body?: unknown): Promise<unknown>;
}

const PASSWORDS = { superuser: 'superuser', owner: 'owner', app: 'app' };
const LOG_STATEMENTS = ['log_statement=all', 'log_line_prefix=%a|', 'log_parameter_max_length=0'].flatMap((setting) => [
  '-c',
  setting,
]);

/** Starts everything in a temporary folder, runs `use`, stops and removes everything. */
export async function withBenchStack<T>(
  options: { readonly logStatements: boolean; readonly environment?: Readonly<Record<string, string>> },
  use: (bench: BenchStack) => Promise<T>,
): Promise<T> {
  const folder = await temporaryFolder('orchestrator-bench-');
  const supervisor = createSupervisor({ logDirectory: join(folder, 'logs') });
  const postgres: PostgresOptions = { dataDirectory: folder, port: await freePort(), passwords: PASSWORDS };
  let stack: Stack | null = null;
  try {
    const spec = await preparePostgres(postgres);
    await supervisor.start({ ...spec, args: [...spec.args, ...(options.logStatements ? LOG_STATEMENTS : [])] });
    await createDatabase(postgres, 'bench');
    const [ownerUrl, appUrl] = [postgresUrl(postgres, 'owner', 'bench'), postgresUrl(postgres, 'app', 'bench')];
    await migrate(ownerUrl);
    const say = (line: string): void => console.log(line);
    stack = await startStack({
      dataDirectory: folder,
      ports: await autoPorts(),
      ledgerMs: 1_000,
      temporal: await temporalSource({ env: process.env, fresh: true, ui: false, say }),
      database: { appUrl, ownerUrl },
      environment: { LOG_LEVEL: 'warn', ...options.environment },
    });
    const bench = benchOf(stack, supervisor.pid('postgres') ?? 0, join(folder, 'logs', 'postgres.log'));
    await bench.control('POST', '/control/clock', { mode: 'on_demand' });
    return await use(bench);
  } finally {
    await stack?.stop();
    await supervisor.stopAll();
    await rm(folder, { recursive: true, force: true });
  }
}

function benchOf(stack: Stack, postgresPid: number, postgresLog: string): BenchStack {
  return {
    stack,
    temporal: {
      address: stack.env['TEMPORAL_ADDRESS'] ?? '',
      namespace: stack.env['TEMPORAL_NAMESPACE'] ?? '',
    },
    postgresLog,
    pids: () => {
      const { api, worker, temporal } = stack.pids();
      const all = { api, worker, temporal, postgres: postgresPid };
      return Object.fromEntries(Object.entries(all).flatMap(([name, pid]) => (pid === null ? [] : [[name, pid]])));
    },
    createMarketplace: async (fields = {}) => {
      const { body } = await callWith(stack, stack.platformKey)<{ api_key: string }>('POST', '/marketplaces', {
        name: 'Bench',
        platform_fee_bps: 50,
        ...fields,
      });
      return callWith(stack, body.api_key);
    },
    call: (key) => callWith(stack, key),
    control: async (method, path, body) => (await send(method, `${stack.sandboxUrl}${path}`, body)).body,
  };
}

/** Calls with a key. @throws Error for an answer that is not 2xx: a benchmark measures what works */
function callWith({ apiUrl }: Stack, key: string): Call {
  return <T>(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
    send<T>(method, `${apiUrl}${path}`, body, { authorization: `Bearer ${key}`, ...headers });
}

async function send<T>(method: string, url: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${text}`);
  return { status: response.status, headers: response.headers, body: (text === '' ? null : JSON.parse(text)) as T };
}
