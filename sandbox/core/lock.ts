/** One process per data file: two that append to the same journal would leave one that does not replay. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/** When a process began, so that a number given to another process since is not mistaken for it; '' where unknown. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Its 22nd field; the second, the name in brackets, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The process that holds the lock, unless it is this one or gone. */
function holder(path: string): number | undefined {
  const [text = '', start = ''] = readFileSync(path, 'utf8').split(' ');
  const pid = Number(text);
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return undefined;
  return alive(pid) && startOf(pid) === start ? pid : undefined;
}

/**
 * Takes the lock; a process that was killed leaves it behind, and the next one takes it over.
 * @returns gives it back
 * @throws Error naming the process that holds it
 */
export function lock(path: string): () => void {
  const own = `${process.pid} ${startOf(process.pid)}`;
  try {
    writeFileSync(path, own, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const pid = holder(path);
    if (pid !== undefined) throw new Error(`process ${pid} is using this data file (${path})`, { cause: error });
    writeFileSync(path, own);
  }
  return () => rmSync(path, { force: true });
}
