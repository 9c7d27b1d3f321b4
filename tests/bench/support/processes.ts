/** Processor time of processes, from the kernel's books (Linux): what a loaded machine cannot falsify. */
import { readFile, readdir } from 'node:fs/promises';

/** A tick of `/proc/PID/stat` is a hundredth of a second on every Linux that we run on. */
const MS_PER_TICK = 10;

interface Times {
  readonly parent: number;
  /** own and, in `ended`, of children that ended; milliseconds */
  readonly own: number;
  readonly ended: number;
}

async function timesOf(pid: number): Promise<Times | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The second field, a name in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number.parseInt(fields[index] ?? '0', 10) * MS_PER_TICK;
  return { parent: Number.parseInt(fields[1] ?? '0', 10), own: ticks(11) + ticks(12), ended: ticks(13) + ticks(14) };
}

/** CPU milliseconds by name, children included (Postgres has one per connection), as used since each started. */
export async function cpuMs(pids: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  const all = new Map<number, Times>();
  for (const entry of await readdir('/proc')) {
    const times = /^\d+$/.test(entry) ? await timesOf(Number.parseInt(entry, 10)) : null;
    if (times !== null) all.set(Number.parseInt(entry, 10), times);
  }
  const total = (pid: number): number => {
    const times = all.get(pid);
    const children = [...all].filter(([, { parent }]) => parent === pid);
    return (times?.own ?? 0) + (times?.ended ?? 0) + children.reduce((sum, [child]) => sum + total(child), 0);
  };
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, total(pid)]));
}
