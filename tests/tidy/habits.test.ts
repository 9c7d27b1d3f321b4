/** Habits that a type checker cannot see. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { configurationPage, exampleFile } from '../../config/documentation.ts';
import { matches, ROOT, sourcesOf, type Source } from './sources.ts';

async function sources(...folders: string[]): Promise<Source[]> {
  return (await Promise.all(folders.map(sourcesOf))).flat();
}

/** Where clock and chance come in; the façade runs in the API, outside of workflow code. */
const PORTS = ['domain/ids.ts', 'workflows/clock.ts', 'workflows/client-guard.ts'];
const SERVING = ['domain', 'workflows', 'activities', 'providers', 'db', 'api', 'worker', 'config'];

test('money is never a floating point number', async () => {
  const ours = await sources(...SERVING, 'sandbox', 'cli');
  expect(matches(ours, /\bparseFloat\(/)).toEqual([]);
  expect(matches(ours, /\bNumber\([^)]*(amount|balance|stroops|fee|gross|\bnet\b)/i)).toEqual([]);
  expect(matches(await sources('domain'), /\bNumber\(|\.toFixed\(/)).toEqual([]);
});

test('neither clock nor chance in the domain, in workflow code and in the ledger', async () => {
  const pure = (await sources('domain', 'workflows', 'db')).filter(
    ({ path }) => !PORTS.includes(path) && (!path.startsWith('db/') || path.startsWith('db/ledger/')),
  );
  expect(pure.length).toBeGreaterThan(15);
  expect(matches(pure, /Date\.now\(|new Date\(\)|Math\.random\(|randomUUID|randomBytes/)).toEqual([]);
  // Temporal's own comes out the same whenever a history is replayed.
  const strange = pure.filter(({ text }) => !/import \{[^}]*\buuid4\b[^}]*\} from '@temporalio\/workflow'/.test(text));
  expect(matches(strange, /\buuid4\(/)).toEqual([]);
});

test('chance comes from a cryptographic source', async () => {
  expect(matches(await sources(...SERVING, 'sandbox', 'cli'), /Math\.random\(/)).toEqual([]);
});

test('the environment is read in one place', async () => {
  expect(matches(await sources(...SERVING, 'sandbox'), /process\.env/)).toEqual([]);
});

test('every environment variable is in docs/configuration.md and .env.example', async () => {
  expect(await readFile(join(ROOT, 'docs', 'configuration.md'), 'utf8')).toBe(configurationPage());
  expect(await readFile(join(ROOT, '.env.example'), 'utf8')).toBe(exampleFile());
});

test('no type is forced: no any, no non-null assertion by cast, no silenced check', async () => {
  const ours = await sources(...SERVING, 'sandbox', 'cli', 'tests');
  expect(
    matches(
      ours,
      /:\s*any\b|\bas any\b|<any>|@ts-(ignore|nocheck|expect-error)|oxlint-disable|eslint-disable|biome-ignore/,
    ).filter((hit) => !hit.startsWith('tests/tidy/')),
  ).toEqual([]);
});

test('no test is skipped, none runs alone, none sleeps', async () => {
  const tests = (await sourcesOf('tests')).filter(({ path }) => !path.startsWith('tests/tidy/'));
  expect(matches(tests, /\b(test|it|describe)\.(skip|only|todo)\b|\bx(test|it|describe)\(/)).toEqual([]);
  const waiting = tests.filter(({ path }) => path.endsWith('.test.ts'));
  // `.setTimeout(…)` with a dot is the Stellar SDK's: time bounds of a transaction
  expect(matches(waiting, /(?<!\.)\bsetTimeout\(|timers\/promises/)).toEqual([]);
});
