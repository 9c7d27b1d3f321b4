/**
 * The workflow bundle, built once per content: its file name is the hash of everything that goes into it, so a stale one
 * cannot be used and a restarted worker does not spend three seconds on building it again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { access, glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Everything that workflow code may import, and the lock, which names the versions of the libraries. */
const SOURCES = ['workflows/**/*.ts', 'domain/**/*.ts', 'package-lock.json'];

/** Path of the bundle of `workflows/index.ts`, for `Worker.create({ workflowBundle: { codePath } })`. */
export async function workflowBundle(): Promise<string> {
  const folder = join(ROOT, '.cache');
  const path = join(folder, `workflows-${await contentHash()}.cjs`);
  const built = await access(path).then(
    () => true,
    () => false,
  );
  if (built) return path;
  const code = await build();
  await mkdir(folder, { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, code);
  await rename(draft, path);
  return path;
}

/** What a bundle is called in Temporal's histories, in health and in logs: the hash of its code. */
export async function buildIdOf(codePath: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(codePath))
    .digest('hex')
    .slice(0, 16);
}

async function contentHash(): Promise<string> {
  const hash = createHash('sha256');
  const files: string[] = [];
  for await (const file of glob(SOURCES, { cwd: ROOT })) files.push(file);
  for (const file of files.sort())
    hash
      .update(`${file}\0`)
      .update(await readFile(join(ROOT, file)))
      .update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** @throws Error with what the bundler found: its own says only that there was something */
async function build(): Promise<string> {
  const found: string[] = [];
  const quiet = (): void => undefined;
  const error = (message: string): void => void found.push(message);
  const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error };
  try {
    return (await bundleWorkflowCode({ workflowsPath: join(ROOT, 'workflows', 'index.ts'), logger })).code;
  } catch (cause) {
    throw new Error(`the workflows cannot be bundled\n${found.join('\n')}`, { cause });
  }
}
