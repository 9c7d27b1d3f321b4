/** docs/sandbox.md says what is so: its lines run, its list of faults is the whole one. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Asset, Keypair, Operation } from '@stellar/stellar-sdk';
import { FAULTS } from '../../sandbox/faults/registry.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { build } from './core-support.ts';

const page = await readFile(new URL('../../docs/sandbox.md', import.meta.url), 'utf8');
const lines = page.split('\n').filter((line) => line.startsWith('curl '));

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
});
afterAll(() => sandbox.close());

/** Method, URL and body of a curl line. */
function requestOf(line: string, names: Readonly<Record<string, string>>): { url: string; init: RequestInit } {
  const filled = Object.entries(names).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), line);
  const parts = /^curl (?:-X (\w+) )?"?([^" ]+)"?(?: -d '(.*)')?$/.exec(filled);
  if (parts === null) throw new Error(`not a line this test can run: ${line}`);
  const [, method = 'GET', url = '', body] = parts;
  return { url, init: { method, ...(body === undefined ? {} : { body }) } };
}

test('every curl line does what the page shows', async () => {
  const [account, holder] = [Keypair.random(), Keypair.random()];
  await fetch(`${sandbox.url}/horizon/friendbot?addr=${holder.publicKey()}`);
  const line = Operation.changeTrust({ asset: new Asset('USDC', sandbox.accounts.issuer.publicKey()) });
  sandbox.core.submit(build(sandbox.core, holder, [line]).toXdr());
  sandbox.core.closeLedger();
  expect(lines.length).toBeGreaterThan(15);
  const names = { SANDBOX: sandbox.url, ACCOUNT: account.publicKey(), HOLDER: holder.publicKey() };
  for (const shown of lines) {
    const { url, init } = requestOf(shown, names);
    expect([shown, (await fetch(url, init)).status]).toEqual([shown, 200]);
  }
  expect(sandbox.faults.list()).toEqual([]);
});

test('every fault is on the page, in the words the sandbox uses', () => {
  for (const [name, text] of Object.entries(FAULTS)) expect(page).toContain(`| \`${name}\` | ${text} |`);
});
