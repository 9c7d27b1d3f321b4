/** Child processes of the embedded stack: started, watched, started again, stopped in order, never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** runs as this user; Postgres refuses to run as root */
  readonly identity?: { readonly uid: number; readonly gid: number };
  /** resolves when the process serves; rejections are tried again until `readyTimeoutMs` */
  ready(): Promise<unknown>;
  readonly readyTimeoutMs: number;
  readonly stopSignal: NodeJS.Signals;
  /** after this it is killed */
  readonly stopTimeoutMs: number;
  /** infrastructure is started again after a crash; ours is reported instead, so that it can be restarted under a debugger */
  readonly restart: boolean;
}

export type ProcessEvent =
  | { readonly kind: 'exited'; readonly name: string; readonly how: string }
  | { readonly kind: 'restarted'; readonly name: string; readonly pid: number };

export interface Supervisor {
  /** Starts a process and waits until it serves. @throws Error with the end of its log */
  start(spec: ProcessSpec): Promise<void>;
  /** Stops one process; a killed one that is not restarted automatically can be started again with `start`. */
  stop(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** Stops everything, last started first. */
  stopAll(): Promise<void>;
  pid(name: string): number | null;
}

interface Running {
  readonly spec: ProcessSpec;
  child: ChildProcess;
  stopping: boolean;
}

const RESTART_DELAY_MS = 300;
const RESTART_DELAY_MAX_MS = 5_000;
const POLL_MS = 50;

/**
 * @param options.logDirectory each process writes `NAME.log` there
 * @param options.onEvent told about exits that nobody asked for, and about restarts
 */
export function createSupervisor(options: {
  logDirectory: string;
  onEvent?: (event: ProcessEvent) => void;
}): Supervisor {
  mkdirSync(options.logDirectory, { recursive: true });
  const running = new Map<string, Running>();
  const reaper = createReaper();
  const notify = options.onEvent ?? ((): void => undefined);

  function launch(spec: ProcessSpec): ChildProcess {
    const child = spawnLogged(spec, options.logDirectory);
    if (child.pid !== undefined) reaper.add(child.pid);
    return child;
  }

  async function revive(entry: Running): Promise<void> {
    for (let wait = RESTART_DELAY_MS; !entry.stopping; wait = Math.min(wait * 2, RESTART_DELAY_MAX_MS)) {
      await delay(wait);
      if (entry.stopping) return;
      entry.child = launch(entry.spec);
      try {
        await untilReady(entry.spec, entry.child, options.logDirectory);
      } catch {
        await end(entry.child, 'SIGKILL', 0);
        continue;
      }
      watch(entry);
      notify({ kind: 'restarted', name: entry.spec.name, pid: entry.child.pid ?? 0 });
      return;
    }
  }

  function watch(entry: Running): void {
    const { child } = entry;
    const onExit = (): void => {
      if (child.pid !== undefined) reaper.remove(child.pid);
      if (entry.stopping) return;
      notify({ kind: 'exited', name: entry.spec.name, how: child.signalCode ?? `code ${child.exitCode}` });
      if (entry.spec.restart) void revive(entry);
      else running.delete(entry.spec.name);
    };
    if (hasEnded(child)) onExit();
    else child.once('exit', onExit);
  }

  async function stop(name: string, signal?: NodeJS.Signals): Promise<void> {
    const entry = running.get(name);
    if (entry === undefined) return;
    entry.stopping = true;
    await end(entry.child, signal ?? entry.spec.stopSignal, entry.spec.stopTimeoutMs);
    running.delete(name);
  }

  return {
    async start(spec) {
      if (running.has(spec.name)) throw new Error(`${spec.name} runs already`);
      const entry: Running = { spec, child: launch(spec), stopping: false };
      running.set(spec.name, entry);
      try {
        await untilReady(spec, entry.child, options.logDirectory);
      } catch (error) {
        await stop(spec.name, 'SIGKILL');
        throw error;
      }
      watch(entry);
    },
    stop,
    async stopAll() {
      for (const entry of running.values()) entry.stopping = true;
      for (const name of [...running.keys()].reverse()) await stop(name);
      reaper.close();
    },
    pid: (name) => running.get(name)?.child.pid ?? null,
  };
}

function spawnLogged(spec: ProcessSpec, logDirectory: string): ChildProcess {
  const log = openSync(join(logDirectory, `${spec.name}.log`), 'a');
  try {
    return spawn(spec.command, [...spec.args], {
      cwd: spec.cwd,
      env: spec.env ?? process.env,
      stdio: ['ignore', log, log],
      // a session of its own: Ctrl-C reaches the supervisor alone, which then stops things in order
      detached: true,
      ...spec.identity,
    });
  } finally {
    closeSync(log);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function untilReady(spec: ProcessSpec, child: ChildProcess, logDirectory: string): Promise<void> {
  let failure: unknown;
  child.once('error', (error) => {
    failure = error;
  });
  const deadline = Date.now() + spec.readyTimeoutMs;
  while (Date.now() < deadline && failure === undefined && !hasEnded(child)) {
    try {
      await spec.ready();
      return;
    } catch {
      await delay(POLL_MS);
    }
  }
  const how =
    failure instanceof Error ? failure.message : hasEnded(child) ? 'it ended' : `not within ${spec.readyTimeoutMs} ms`;
  const log = join(logDirectory, `${spec.name}.log`);
  throw new Error(`${spec.name} did not start: ${how}. ${log} ends with:\n${tail(log)}`);
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
}

async function end(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  if (hasEnded(child)) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await exited;
  clearTimeout(timer);
}

/** See reaper.ts. Replaced when it dies, so that there is always one. */
function createReaper(): { add(pid: number): void; remove(pid: number): void; close(): void } {
  const pids = new Set<number>();
  let closed = false;
  let child = open();

  function open(): ChildProcess {
    const path = fileURLToPath(new URL('./reaper.ts', import.meta.url));
    const next = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    next.stdin?.on('error', () => undefined);
    for (const pid of pids) next.stdin?.write(`add ${pid}\n`);
    next.once('exit', () => {
      if (!closed) child = open();
    });
    return next;
  }
  return {
    add(pid) {
      pids.add(pid);
      child.stdin?.write(`add ${pid}\n`);
    },
    remove(pid) {
      pids.delete(pid);
      child.stdin?.write(`del ${pid}\n`);
    },
    close() {
      closed = true;
      child.stdin?.end();
    },
  };
}
