/** What the code calls by a short name, and what the pages point at, is there. */
import { access, readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT, sourcesOf } from './sources.ts';

const FOLDERS = ['activities', 'api', 'cli', 'config', 'db', 'domain', 'providers', 'sandbox', 'tests', 'worker'];
const pages = (await readdir(join(ROOT, 'docs'), { recursive: true })).filter((path) => path.endsWith('.md'));
const texts = await Promise.all(
  ['README.md', ...pages.map((path) => join('docs', path))].map(
    async (path) => [path, await readFile(join(ROOT, path), 'utf8')] as const,
  ),
);

type Names = Readonly<Record<string, string>>;
const manifest = async () =>
  JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    readonly scripts: Names;
    readonly dependencies: Names;
    readonly devDependencies: Names;
    readonly optionalDependencies: Names;
  };

test('every failure and invariant that a comment or a test names is in docs/failures.md', async () => {
  const page = await readFile(join(ROOT, 'docs', 'failures.md'), 'utf8');
  const listed = [...page.matchAll(/^\| ([LF\d, ]+) \|/gm)].flatMap(([, names]) => names?.split(', ') ?? []);
  const sources = (await Promise.all([...FOLDERS, 'workflows'].map(sourcesOf))).flat();
  const named = sources.flatMap(({ text }) => text.match(/\b[LF][1-9]\d?\b/g) ?? []);
  expect(listed.length).toBeGreaterThan(40);
  expect([...new Set(named)].filter((name) => !listed.includes(name)).toSorted()).toEqual([]);
});

test('every link between the pages leads to a file', async () => {
  const links = texts.flatMap(([path, text]) =>
    [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, to]) => join(dirname(path), to ?? '')),
  );
  expect(links.length).toBeGreaterThan(25);
  const broken = await Promise.all(
    links.map((path) =>
      access(join(ROOT, path)).then(
        () => [],
        () => [path],
      ),
    ),
  );
  expect(broken.flat()).toEqual([]);
});

test('every page is reached from the README, by links alone', () => {
  const reached = new Set(['README.md']);
  for (const path of reached)
    for (const [from, text] of texts)
      if (from === path)
        for (const [, to] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
          const target = join(dirname(from), to ?? '');
          reached.add(target.endsWith('/') ? `${target}README.md` : target);
        }
  expect(texts.map(([path]) => path).filter((path) => !reached.has(path))).toEqual([]);
});

test('every npm command is in the README', async () => {
  const { scripts } = await manifest();
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const described = (name: string): boolean => new RegExp(`\`npm (run )?${name}( -- [^\`]+)?\``).test(readme);
  expect(Object.keys(scripts).filter((name) => !described(name))).toEqual([]);
});

test('every package has its line in docs/dependencies.md', async () => {
  const { dependencies, devDependencies, optionalDependencies } = await manifest();
  const page = await readFile(join(ROOT, 'docs', 'dependencies.md'), 'utf8');
  const cells = page.split('\n').flatMap((line) => line.match(/`[^`]+`/g) ?? []);
  const listed = cells.map((cell) => cell.slice(1, -1));
  const isListed = (name: string): boolean =>
    listed.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : one === name));
  const all = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter((name) => !name.startsWith('@types/') && !isListed(name))).toEqual([]);
});
