/**
 * A whole system for a test file: a database, a Temporal namespace and a sandbox of its own, API and worker as child
 * processes that can be killed. Files run in parallel without seeing each other.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { autoPorts, freePort } from '../../cli/stack/ports.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { startStack, type StackPids } from '../../cli/stack/stack.ts';
import { registerNamespace } from '../../cli/stack/temporal.ts';
import { type TestDatabase, createTestDatabase } from './database.ts';
import { testEnvironment } from './environment.ts';

export type Body = Readonly<Record<string, unknown>>;

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  /** parsed JSON; null without a body */
  readonly body: T;
}

/** `T` is what the caller expects to find; his assertions prove it. */
export type Call = <T = Body>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Answer<T>>;

export interface TestMarketplace {
  readonly id: string;
  readonly apiKey: string;
  /** a call with this marketplace's key */
  readonly api: Call;
}

export interface TestStack {
  /** ends in /api/v1 */
  readonly apiUrl: string;
  readonly sandboxUrl: string;
  readonly platformKey: string;
  /** the environment of API and worker */
  readonly env: Readonly<Record<string, string>>;
  readonly databaseUrls: { readonly owner: string; readonly app: string };
  readonly temporal: { readonly address: string; readonly namespace: string };
  /** of the server and namespace that it started with; connects when it is used */
  readonly client: Client;
  readonly database: Pick<TestDatabase, 'save' | 'restore'>;
  /** where every process writes its log */
  readonly logDirectory: string;
  /** a call with the platform key, or with the given key; null sends none */
  api<T = Body>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
    key?: string | null,
  ): Promise<Answer<T>>;
  createMarketplace(fields?: Body): Promise<TestMarketplace>;
  /** a call of the sandbox's control API, `path` as in `/journal`. @throws Error when it is refused */
  control<T = Body>(method: string, path: string, body?: unknown): Promise<T>;
  /** switches a fault of the sandbox on */
  fault(rule: Body): Promise<unknown>;
  /** switches all faults of a name off, or all */
  calm(name?: string): Promise<unknown>;
  pids(): StackPids;
  /** default SIGKILL: it dies on the spot */
  killWorker(signal?: NodeJS.Signals): Promise<void>;
  /** @param environment what differs from `env` */
  startWorker(environment?: Readonly<Record<string, string>>): Promise<void>;
  killApi(signal?: NodeJS.Signals): Promise<void>;
  startApi(environment?: Readonly<Record<string, string>>): Promise<void>;
  /** one more worker beside the first; answers how to stop it */
  startAnotherWorker(
    environment?: Readonly<Record<string, string>>,
  ): Promise<{ kill(signal?: NodeJS.Signals): Promise<void> }>;
  stop(): Promise<void>;
}

interface TestStackOptions {
  /** milliseconds between ledgers; default 100 */
  readonly ledgerMs?: number;
  /** further variables of API and worker */
  readonly environment?: Readonly<Record<string, string>>;
  /** another server than the one that all files share */
  readonly temporalAddress?: string;
}

/** Starts it (a few seconds). Call `stop` in afterAll; a killed test run leaves nothing behind either way. */
export async function startTestStack(options: TestStackOptions = {}): Promise<TestStack> {
  const temporalAddress = options.temporalAddress ?? testEnvironment().temporalAddress;
  if (temporalAddress === null) throw new Error('this file belongs into a folder whose jest project starts Temporal');
  const folder = await temporaryFolder('orchestrator-test-stack-');
  const temporal = { address: temporalAddress, namespace: `test-${randomBytes(6).toString('hex')}` };
  const [database, ports] = await Promise.all([
    createTestDatabase(),
    autoPorts(),
    registerNamespace(temporal.address, temporal.namespace),
  ]);
  const stack = await startStack({
    dataDirectory: folder,
    ports,
    temporal,
    database,
    ledgerMs: options.ledgerMs ?? 100,
    environment: { LOG_LEVEL: 'debug', ...options.environment },
  });
  const client = new Client({
    connection: Connection.lazy({ address: temporal.address }),
    namespace: temporal.namespace,
  });
  const [request, sandbox] = [caller(stack.apiUrl), caller(`${stack.sandboxUrl}/control`)];
  const api: TestStack['api'] = (method, path, body, headers, key = stack.platformKey) =>
    request(key, method, path, body, headers);
  const control: TestStack['control'] = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await sandbox<T>(null, method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${String(answer.body)}`);
    return answer.body;
  };
  let others = 1;
  return {
    apiUrl: stack.apiUrl,
    sandboxUrl: stack.sandboxUrl,
    platformKey: stack.platformKey,
    env: stack.env,
    databaseUrls: { owner: database.ownerUrl, app: database.appUrl },
    temporal,
    client,
    database,
    logDirectory: join(folder, 'logs'),
    api,
    async createMarketplace(fields = {}) {
      const name = `Market ${randomBytes(4).toString('hex')}`;
      const { status, body } = await api<{ id: string; api_key: string }>('POST', '/marketplaces', { name, ...fields });
      if (status !== 201) throw new Error(`POST /marketplaces answered ${status}: ${JSON.stringify(body)}`);
      const call: Call = (...args) => request(body.api_key, ...args);
      return { id: body.id, apiKey: body.api_key, api: call };
    },
    control,
    fault: (rule) => control('POST', '/faults', rule),
    calm: (name) => control('DELETE', name === undefined ? '/faults' : `/faults?name=${name}`),
    pids: () => stack.pids(),
    killWorker: (signal = 'SIGKILL') => stack.stopService('worker', signal),
    startWorker: (environment = {}) => stack.start('worker', { name: 'worker', environment }),
    killApi: (signal = 'SIGKILL') => stack.stopService('api', signal),
    startApi: (environment = {}) => stack.start('api', { name: 'api', environment }),
    async startAnotherWorker(environment = {}) {
      const name = `worker-${(others += 1)}`;
      await stack.start('worker', { name, environment: { HEALTH_PORT: String(await freePort()), ...environment } });
      return { kill: (signal = 'SIGKILL') => stack.stopService(name, signal) };
    },
    async stop() {
      await client.connection.close();
      await stack.stop();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function caller(apiUrl: string) {
  return async <T>(
    key: string | null,
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> => {
    const response = await fetch(`${apiUrl}${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? null : isJson ? JSON.parse(text) : text) as T,
    };
  };
}
