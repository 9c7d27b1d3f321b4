/** `npm run demo:failed-escrow` from the outside: why, export, replay and retry as an operator runs them. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

test('a forged funding is explained, replayed from a redacted history, repaired and released', async () => {
  const command = ['--disable-warning=ExperimentalWarning', MAIN, 'demo:failed-escrow', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, command, { timeout: 480_000 });
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    explained: true,
    replayed: true,
    status: 'CLOSED',
    final_status: 'RELEASED',
    coherent: true,
  });
  // What differed, what may be done, and where it failed.
  expect(stdout).toMatch(/asked for\s+250000000\n.*came\s+500000000/);
  expect(stdout).toMatch(/orchestrator -- retry att_/);
  expect(stdout).toMatch(/▶ +\d+ {2}ACTIVITY prepareTransaction .*FAILED/);
}, 500_000);
