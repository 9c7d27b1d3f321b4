/** How far the chain is read, as the API tells it: from what is stored and what the network has closed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withClient } from '../../cli/stack/postgres.ts';
import { sandboxEnvironment } from '../../cli/stack/sandbox.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { type TestApi, startTestApi } from '../support/api.ts';

let sandbox: Sandbox;
let api: TestApi;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
  api = await startTestApi(await sandboxEnvironment(sandbox.url));
}, 60_000);
afterAll(async () => {
  await api.stop();
  await sandbox.close();
});

const lag = async () => (await api.request('GET', '/health/detailed')).body['monitor_lag_ledgers'];
const latest = (): number => sandbox.core.latest().sequence;
const readTo = (ledger: number) =>
  withClient(api.database.ownerUrl, (owner) =>
    owner.query(
      `insert into network_cursors (network, reader, cursor, ledger, updated_at)
       values ('sandbox', 'payments', '0', $1, now()) on conflict (network, reader) do update set ledger = excluded.ledger`,
      [ledger],
    ),
  );

test('the lag of the chain reader is what the network has closed since; nobody knows it before it has read anything', async () => {
  expect(await lag()).toBeNull();
  await readTo(latest());
  for (let ledgers = 0; ledgers < 7; ledgers += 1) sandbox.core.closeLedger();
  expect(await lag()).toBe(7);
  // Of two nodes the one that was asked may be behind the one that was read.
  await readTo(latest() + 3);
  expect(await lag()).toBe(0);
});
