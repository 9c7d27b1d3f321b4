/** `npm run demo` from the outside. */
import { execFile } from 'node:child_process';
import { writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { temporaryFolder } from '../../cli/stack/folders.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const demo = (args: readonly string[]) =>
  promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'demo', ...args], {
    timeout: 480_000,
  });

test('the demo ends with coherent books, every order as it must be, the worker killed on the way', async () => {
  const { stdout } = await demo(['--json']);
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
  expect(last).toMatchObject({ coherent: true, as_expected: true, worker_killed: true });
  expect(last['orders']).toMatchObject([
    { ref: 'logo', status: 'CLOSED', final_status: 'RELEASED' },
    { ref: 'icon', status: 'CLOSED', final_status: 'RELEASED' },
    { ref: 'poster', status: 'CLOSED', final_status: 'CANCELED' },
    { ref: 'api', status: 'CLOSED', final_status: 'RELEASED' },
    { ref: 'platform', status: 'ORDER_CREATED', final_status: null },
  ]);
  expect(stdout).toMatch(/coherent: yes/);
  expect(stdout).toMatch(/INSUFFICIENT_FUNDS/);
}, 500_000);

test('a bad input file is refused before anything starts, with the JSON path', async () => {
  const folder = await temporaryFolder('orchestrator-test-demo-');
  const file = join(folder, 'bad.json');
  await writeFile(
    file,
    JSON.stringify({ marketplaces: [{ name: 'M', users: [{ ref: 'a' }, { ref: 'b' }], orders: [] }] }),
  );
  await expect(demo(['--input', file])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('$.marketplaces[0].orders: '),
  });
  await rm(folder, { recursive: true, force: true });
});
