/**
 * Guides that are tests: the steps of a page in docs/guides are carried out on a copy of the tree. A step is a comment in
 * the page, followed by a code block:
 *
 *   <!-- create FILE -->                    the block is the new file
 *   <!-- insert in FILE after: LINE -->     the block goes behind the only line that contains LINE
 *   <!-- replace in FILE: TEXT -->          the block takes the place of TEXT, which occurs once
 *   <!-- run: FILES -->                     (no block) these test files pass in the copy
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const LEFT_OUT = new Set(['node_modules', '.git']);
const STEP =
  /<!-- (?:create (?<created>\S+)|insert in (?<inserted>\S+) after: (?<line>.+?)|replace in (?<replaced>\S+): (?<old>.+?)|run: (?<tests>.+?)) -->(?:\s*```\w*\n(?<block>[\s\S]*?)```)?/g;

/** Copies the tree into an empty folder; node_modules are the ones that are here. */
export async function copyTree(folder: string): Promise<void> {
  for (const name of await readdir(ROOT))
    if (!LEFT_OUT.has(name)) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

/**
 * Carries out the edits of a guide in `folder`.
 * @returns the test files that the guide runs in the end
 * @throws Error for a step that does not fit the tree any more
 */
export async function followGuide(folder: string, guide: string): Promise<string[]> {
  const text = await readFile(join(ROOT, guide), 'utf8');
  const tests: string[] = [];
  for (const { groups = {} } of text.matchAll(STEP)) {
    const { created, inserted, line, replaced, old, tests: files, block = '' } = groups;
    if (files !== undefined) tests.push(...files.split(' '));
    if (created !== undefined) {
      await mkdir(dirname(join(folder, created)), { recursive: true });
      await writeFile(join(folder, created), block);
    }
    if (inserted !== undefined && line !== undefined)
      await edit(folder, inserted, onlyLine(line), (found) => found + block);
    if (replaced !== undefined && old !== undefined)
      await edit(
        folder,
        replaced,
        () => old,
        () => block.trimEnd(),
      );
  }
  return tests;
}

/** Types of the whole copy, then the tests. @throws Error with what they printed */
export async function check(folder: string, tests: readonly string[]): Promise<void> {
  const node = (script: string, args: readonly string[]) =>
    run(process.execPath, [...process.execArgv, script, ...args], { cwd: folder }).catch((error: unknown) => {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      throw new Error(`${script} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error });
    });
  await node('node_modules/typescript/bin/tsc', ['--noEmit']);
  await node('node_modules/jest/bin/jest.js', [...tests]);
}

async function edit(
  folder: string,
  file: string,
  locate: (text: string) => string,
  change: (found: string) => string,
): Promise<void> {
  const path = join(folder, file);
  const text = await readFile(path, 'utf8');
  const found = locate(text);
  if (text.split(found).length !== 2) throw new Error(`${file} does not contain this once: ${found}`);
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
