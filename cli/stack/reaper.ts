/**
 * Ends what its parent started when the parent itself was killed and could not. It lives in a session of its own, reads
 * `add PID` and `del PID` lines, and acts when the pipe closes: the kernel closes it however the parent ends.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const GRACE_MS = 5_000;
const pids = new Set<number>();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, pid = ''] = line.split(' ');
  if (verb === 'add') pids.add(Number.parseInt(pid, 10));
  else pids.delete(Number.parseInt(pid, 10));
}

// SIGINT is Postgres' fast shutdown; everything else treats it like SIGTERM
for (const pid of pids) signalIfAlive(pid, 'SIGINT');
for (let waited = 0; waited < GRACE_MS && [...pids].some((pid) => signalIfAlive(pid, 0)); waited += 100)
  await delay(100);
for (const pid of pids) signalIfAlive(pid, 'SIGKILL');

function signalIfAlive(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
