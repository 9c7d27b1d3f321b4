/** `npm run dev` as a developer meets it: ready file, curl lines, processes that die, Ctrl-C. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiClient } from '../../cli/client.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { walkthrough } from '../../cli/walkthrough.ts';
import { expectCoherent } from '../support/coherent.ts';
import { eventually } from '../support/wait.ts';

type Service = 'api' | 'worker' | 'temporal' | 'postgres' | 'sandbox';

interface Ready {
  readonly api_url: string;
  readonly api_key: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pids: Readonly<Record<Service, number | null>>;
}

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const PATIENCE = { timeoutMs: 90_000 };

let folder: string;
let readyFile: string;
let dev: ChildProcess;
let printed = '';

const ready = async (): Promise<Ready> => JSON.parse(await readFile(readyFile, 'utf8')) as Ready;

function orchestrator(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function userIsProvisioned(name: string): Promise<void> {
  const { api_url: apiUrl, api_key: apiKey } = await ready();
  const api = createApiClient({ apiUrl, apiKey });
  const user = await eventually(() => api.post<{ id: string }>('/users', { external_user_id: name }), PATIENCE);
  await eventually(async () => {
    const { wallet } = await api.get<{ wallet: { status: string } }>(`/users/${user.id}`);
    return wallet.status === 'READY';
  }, PATIENCE);
}

beforeAll(async () => {
  folder = await temporaryFolder('orchestrator-test-dev-');
  readyFile = join(folder, 'ready.json');
  dev = orchestrator(['dev', '--fresh', '--ports', 'auto', '--ready-file', readyFile]);
  dev.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await eventually(() => access(readyFile).then(() => true), { timeoutMs: 120_000 });
}, 130_000);

afterAll(async () => {
  if (dev.exitCode === null && dev.signalCode === null) dev.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

test('the ready file has everything a program needs', async () => {
  expect(Object.keys(await ready()).sort()).toEqual([
    'api_key',
    'api_url',
    'database_url',
    'direct_url',
    'env',
    'pids',
    'platform_key',
    'sandbox_url',
    'temporal_address',
    'temporal_namespace',
    'temporal_ui_url',
  ]);
  const { api_url: apiUrl, env, pids } = await ready();
  expect(apiUrl).toMatch(/\/api\/v1$/);
  expect(env).not.toHaveProperty('DIRECT_URL');
  for (const pid of Object.values(pids)) expect(isAlive(pid ?? 0)).toBe(true);
});

test('the eight printed lines of curl, pasted one after the other, release an order', async () => {
  const { api_url: apiUrl, api_key: apiKey } = await ready();
  const commands = walkthrough({ apiUrl, apiKey }).map(({ command }) => command);
  expect(commands).toHaveLength(8);
  for (const command of commands) expect(printed.split('\n')).toContain(command);

  // an echo between them: answers are JSON without a newline at the end
  const { stdout } = await promisify(execFile)('bash', ['-c', commands.join('\necho\n')], { timeout: 120_000 });
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(answers.at(-1)).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED', amount: '25' });
  expect(answers.at(-2)).toMatchObject({ available: '24.925', reserved: '0' });
  const { env } = await ready();
  await expectCoherent({ env });
  const verify = ['--disable-warning=ExperimentalWarning', MAIN, 'ledger', 'verify'];
  const verified = await promisify(execFile)(process.execPath, verify, { env: { ...process.env, ...env } });
  expect(JSON.parse(verified.stdout)).toMatchObject({ coherent: true, violations: [] });
}, 150_000);

test('a killed worker is reported, and one that is started by hand joins the stack', async () => {
  const { pids, env } = await ready();
  process.kill(pids.worker ?? 0, 'SIGKILL');
  await eventually(() => /worker ended \(SIGKILL\); start it again with: npm run worker/.test(printed));
  const worker = orchestrator(['worker'], { ...process.env, ...env });
  try {
    await userIsProvisioned('after-the-worker');
  } finally {
    const ended = once(worker, 'exit');
    worker.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  }
}, 120_000);

test('killed infrastructure comes back by itself and nothing is lost', async () => {
  const before = await ready();
  for (const name of ['temporal', 'postgres', 'sandbox'] as const) process.kill(before.pids[name] ?? 0, 'SIGKILL');
  await eventually(async () => {
    const { pids } = await ready();
    return (['temporal', 'postgres', 'sandbox'] as const).every(
      (name) => pids[name] !== null && pids[name] !== before.pids[name],
    );
  }, PATIENCE);
  const worker = orchestrator(['worker'], { ...process.env, ...before.env });
  try {
    await userIsProvisioned('after-the-crash');
    await expectCoherent(before);
  } finally {
    worker.kill('SIGTERM');
    await once(worker, 'exit');
  }
}, 150_000);

test('SIGTERM stops everything: exit 0, no orphan, no data left', async () => {
  const { pids } = await ready();
  const ended = once(dev, 'exit');
  dev.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(Object.values(pids).filter((pid) => pid !== null && isAlive(pid))).toEqual([]);
  await expect(access(readyFile)).rejects.toThrow(/ENOENT/);
}, 60_000);
