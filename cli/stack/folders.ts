/** Data folders of the embedded stack: a lasting one per project, or a temporary one that goes with its owner. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isOpenToAll } from './postgres.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const OWNER_FILE = 'owner.pid';

/** `.data/dev` of the project; elsewhere when Postgres, which never runs as root, could not reach it there. */
export async function lastingFolder(): Promise<string> {
  const reachable = userInfo().uid !== 0 || (await isOpenToAll(PROJECT));
  const hash = createHash('sha256').update(PROJECT).digest('hex').slice(0, 12);
  const folder = reachable ? join(PROJECT, '.data', 'dev') : join('/var/tmp', `orchestrator-${hash}`);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  return folder;
}

/** A new folder under the system's temporary one. Those whose owner was killed are removed on the way. */
export async function temporaryFolder(prefix: string): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name);
    if (name.startsWith(prefix) && (await isAbandoned(folder))) await rm(folder, { recursive: true, force: true });
  }
  const folder = await mkdtemp(join(tmpdir(), prefix));
  await writeFile(join(folder, OWNER_FILE), String(process.pid));
  // Postgres runs as another user when we are root
  await chmod(folder, 0o755);
  return folder;
}

async function isAbandoned(folder: string): Promise<boolean> {
  const owner = await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => null);
  if (owner === null) return false;
  try {
    process.kill(Number.parseInt(owner, 10), 0);
    return false;
  } catch {
    return true;
  }
}
