/** The embedded stack's processes: restarted with their data, never left behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { DEFAULT_PORTS, defaultPorts, freePort, isFree } from '../../cli/stack/ports.ts';
import { createDatabase, postgresUrl, preparePostgres, withClient } from '../../cli/stack/postgres.ts';
import { createSupervisor, type ProcessEvent, type ProcessSpec, type Supervisor } from '../../cli/stack/processes.ts';
import { eventually } from '../support/wait.ts';

let folder: string;
const supervisors: Supervisor[] = [];
beforeAll(async () => {
  folder = await temporaryFolder('orchestrator-test-processes-');
});
afterAll(async () => {
  for (const supervisor of supervisors) await supervisor.stopAll();
  await rm(folder, { recursive: true, force: true });
});

function supervise(onEvent?: (event: ProcessEvent) => void): Supervisor {
  const supervisor = createSupervisor({ logDirectory: folder, ...(onEvent === undefined ? {} : { onEvent }) });
  supervisors.push(supervisor);
  return supervisor;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function script(name: string, code: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  const base = {
    command: process.execPath,
    args: ['-e', code],
    ready: () => Promise.resolve(),
    restart: false,
  } as const;
  return { name, ...base, readyTimeoutMs: 5_000, stopSignal: 'SIGTERM', stopTimeoutMs: 500, ...more };
}

test('a Postgres that is killed comes back on its port with its data', async () => {
  const events: ProcessEvent[] = [];
  const supervisor = supervise((event) => void events.push(event));
  const options = {
    dataDirectory: folder,
    port: await freePort(),
    passwords: { superuser: 's', owner: 'o', app: 'a' },
  };
  await supervisor.start(await preparePostgres(options));
  await createDatabase(options, 'orchestrator');
  const url = postgresUrl(options, 'owner', 'orchestrator');
  await withClient(url, (client) => client.query('create table kept as select 42 as answer'));
  const first = supervisor.pid('postgres') ?? 0;

  process.kill(first, 'SIGKILL');

  await eventually(() => events.some(({ kind }) => kind === 'restarted'));
  expect(supervisor.pid('postgres')).not.toBe(first);
  const { rows } = await withClient(url, (client) => client.query('select answer from kept'));
  expect(rows).toEqual([{ answer: 42 }]);
});

test('what a killed supervisor had started is ended', async () => {
  const fixture = fileURLToPath(new URL('./fixtures-supervise.ts', import.meta.url));
  const parent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fixture, folder]);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number.parseInt(line.toString(), 10);
  expect(isAlive(pid)).toBe(true);

  parent.kill('SIGKILL');

  // the idle child ignores the first signal: it takes the second one
  await eventually(() => !isAlive(pid));
});

test('a process that ignores its stop signal is killed', async () => {
  const supervisor = supervise();
  await supervisor.start(script('stubborn', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"));
  const pid = supervisor.pid('stubborn') ?? 0;
  await supervisor.stop('stubborn');
  expect(isAlive(pid)).toBe(false);
});

test('a service that ends is reported, not restarted, and can be started again under its name', async () => {
  const events: ProcessEvent[] = [];
  const supervisor = supervise((event) => void events.push(event));
  const service = script('service', 'setInterval(() => {}, 1000)');
  await supervisor.start(service);
  process.kill(supervisor.pid('service') ?? 0, 'SIGKILL');
  await eventually(() => supervisor.pid('service') === null);
  expect(events).toEqual([{ kind: 'exited', name: 'service', how: 'SIGKILL' }]);
  await supervisor.start(service);
  expect(isAlive(supervisor.pid('service') ?? 0)).toBe(true);
});

test('a process that cannot start says why with the end of its log', async () => {
  const broken = script('broken', "console.error('no configuration'); process.exit(3)", {
    ready: () => Promise.reject(new Error('not yet')),
  });
  await expect(supervise().start(broken)).rejects.toThrow(/broken did not start: it ended[^]*no configuration/);
});

test('busy default ports are named in one message with the way out', async () => {
  const supervisor = supervise();
  const listening = script(
    'listening',
    `require('node:net').createServer().listen(${DEFAULT_PORTS.health}, '127.0.0.1')`,
    {
      ready: async () => {
        if (await isFree(DEFAULT_PORTS.health)) throw new Error('not yet');
      },
    },
  );
  await supervisor.start(listening);
  await expect(defaultPorts(['health'])).rejects.toThrow(
    `in use: port ${DEFAULT_PORTS.health} (health). Stop what listens there, or add --ports auto`,
  );
});
