/**
 * Guides that are tests: the steps of a page in docs/guides are carried out, one after the other, on a copy of the tree.
 * A step is a comment in the page; those that edit are followed by a code block:
 *
 *   <!-- create FILE -->                    the block is the new file
 *   <!-- insert in FILE after: LINE -->     the block goes behind the only line that contains LINE
 *   <!-- replace in FILE: TEXT -->          the block takes the place of TEXT, which occurs once
 *   <!-- execute: FILE -->                   Node runs this script of the project
 *   <!-- run: FILES -->                     the types fit, and these test files pass
 *   <!-- run and fail: FILES -->            these test files do not pass
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const LEFT_OUT = new Set(['node_modules', '.git', '.cache', '.orchestrator']);
const STEP =
  /<!-- (?<verb>create|insert in|replace in|execute|run|run and fail)(?: (?<file>\S+))?(?: after)?(?:: (?<argument>.+?))? -->(?:\s*```\w*\n(?<block>[\s\S]*?)```)?/g;

/** Copies the tree into an empty folder; node_modules are the ones that are here. */
export async function copyTree(folder: string): Promise<void> {
  for (const name of await readdir(ROOT))
    if (!LEFT_OUT.has(name)) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

/**
 * Carries out the steps of a guide in `folder`.
 * @returns how many runs of tests came out as the guide says
 * @throws Error for a step that does not fit the tree any more, or a run that came out otherwise
 */
export async function followGuide(folder: string, guide: string): Promise<number> {
  const text = await readFile(join(ROOT, guide), 'utf8');
  let runs = 0;
  for (const { groups = {} } of text.matchAll(STEP)) {
    const { verb = '', file = '', argument = '', block = '' } = groups;
    const path = join(folder, file);
    if (verb === 'create') {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, block);
    } else if (verb === 'insert in') await edit(path, onlyLine(argument), (found) => found + block);
    else if (verb === 'replace in')
      await edit(
        path,
        () => argument,
        () => block.trimEnd(),
      );
    else if (verb === 'execute') await node(folder, argument);
    else {
      await check(folder, argument.split(' '), verb === 'run');
      runs += 1;
    }
  }
  return runs;
}

/** Types of the whole copy where all must be well, then the tests. @throws Error with what they printed */
async function check(folder: string, tests: readonly string[], expected: boolean): Promise<void> {
  const failureOf = (...args: string[]): Promise<string | null> =>
    node(folder, ...args).then(
      () => null,
      ({ stdout = '', stderr = '' }: { stdout?: string; stderr?: string }) => `${args.join(' ')}\n${stdout}${stderr}`,
    );
  const types = expected ? await failureOf('node_modules/typescript/bin/tsc', '--noEmit') : null;
  if (types !== null) throw new Error(types);
  const failure = await failureOf('node_modules/jest/bin/jest.js', ...tests);
  // A test that failed, and not a command that found none.
  const isExpected = expected ? failure === null : /^Tests: .*\d failed/m.test(failure ?? '');
  if (!isExpected) throw new Error(failure ?? `passed, although it must not: ${tests.join(' ')}`);
}

/** In the copy all tests are there, also when this run is of the long ones. */
const node = (folder: string, ...args: string[]) =>
  execute(process.execPath, [...process.execArgv, ...args], { cwd: folder, env: { ...process.env, TESTS: '' } });

async function edit(path: string, locate: (text: string) => string, change: (found: string) => string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const found = locate(text);
  if (text.split(found).length !== 2) throw new Error(`${path} does not contain this once: ${found}`);
  await writeFile(
    path,
    text.replace(found, () => change(found)),
  );
}

const onlyLine =
  (part: string) =>
  (text: string): string => {
    const lines = text.split('\n').filter((line) => line.includes(part));
    if (lines.length !== 1) throw new Error(`${lines.length} lines contain: ${part}`);
    return `${lines[0]}\n`;
  };
