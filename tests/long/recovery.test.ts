/**
 * What was lost or restored goes on from the rows: Temporal empty, Temporal older than the rows, rows older than the
 * chain. Nothing is lost, nothing is done twice; what cannot be known is parked. And wherever it all went: no key of a
 * wallet is found in any of it.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { pino } from 'pino';
import { checkCoherence, coherenceOptions } from '../../cli/coherence.ts';
import type { Recovery } from '../../cli/recover.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { withClient } from '../../cli/stack/postgres.ts';
import { registerNamespace } from '../../cli/stack/temporal.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { parseAmount } from '../../domain/money.ts';
import { claimCluster, clusterFence } from '../../worker/cluster.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type OrderBody,
  WAIT,
  balance,
  createOrder,
  deposit,
  driveToProgress,
  fundedUser,
  getOrder,
  insist,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { startOwnTemporal } from '../support/own-temporal.ts';
import { rows } from '../support/payments.ts';
import { unfolded, walletSecrets } from '../support/secrets.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const PATIENCE = { timeoutMs: 120_000 };
const NEW_NAMESPACE = `test-${randomBytes(6).toString('hex')}`;

let folder: string;
let temporal: Awaited<ReturnType<typeof startOwnTemporal>>;
let stack: TestStack;
let market: TestMarketplace;
/** what API and worker are told besides the stack's own environment */
let environment: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  folder = await temporaryFolder('orchestrator-test-recovery-');
  temporal = await startOwnTemporal(folder);
  stack = await startTestStack({ temporalAddress: temporal.address });
  market = await stack.createMarketplace();
}, 180_000);
afterAll(async () => {
  await stack.stop();
  await temporal.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

async function stopServices(): Promise<void> {
  await Promise.all([stack.killApi('SIGTERM'), stack.killWorker('SIGTERM')]);
}
async function startServices(): Promise<void> {
  await Promise.all([stack.startWorker(environment), stack.startApi(environment)]);
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `orchestrator …` with the stack's environment. */
function orchestrator(...args: string[]): Promise<Ended> {
  const main = new URL('../../cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
    env: { ...process.env, ...stack.env, ...environment, LOG_LEVEL: 'error' },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

async function recover(...args: string[]): Promise<Recovery> {
  const { code, stdout, stderr } = await orchestrator('recover', ...args);
  if (code !== 0) throw new Error(`recover ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Recovery;
}

async function withOrm<T>(work: (orm: Orm) => Promise<T>): Promise<T> {
  const orm = await openOrm({ url: stack.databaseUrls.app, poolMax: 2 });
  try {
    return await work(orm);
  } finally {
    await orm.close();
  }
}

async function withTemporal<T>(work: (client: Client) => Promise<T>, namespace: string): Promise<T> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await work(new Client({ connection, namespace }));
  } finally {
    await connection.close();
  }
}

/** As a marketplace would: asked again until it is done. */
async function release(order: { readonly id: string }): Promise<OrderBody> {
  await untilStatus(market.api, order.id, 'IN_PROGRESS', 'CLOSED');
  return eventually(async () => {
    const now = await getOrder(market.api, order.id);
    if (now.status === 'CLOSED') return now;
    if (now.operation?.status !== 'RUNNING') await market.api('POST', `/orders/${order.id}/resolution/release`, {});
    return null;
  }, PATIENCE);
}

test('Temporal is empty: every order, wallet and singleton goes on from its row, and the lost cluster changes nothing', async () => {
  const { api } = market;
  const [buyer, poor, seller] = await Promise.all([fundedUser(api, '1000'), readyUser(api), readyUser(api)]);
  const [reserved, running, progress] = await Promise.all([
    createOrder(api, buyer, seller, { amount: '10' }),
    createOrder(api, buyer, seller, { amount: '20' }),
    createOrder(api, buyer, seller, { amount: '30' }),
  ]);
  const waiting = await createOrder(api, poor, seller, { amount: '40', auto: true });
  await verb(api, reserved.id, 'reserve');
  await driveToProgress(api, progress.id);
  for (const path of ['reserve', 'escrow']) await verb(api, running.id, path);
  await api('POST', `/orders/${running.id}/escrow/fund`, {});
  await eventually(async () => (await getOrder(api, running.id)).operation?.verb === 'fund', PATIENCE);
  await stack.killWorker();
  await stack.killApi();
  await registerNamespace(temporal.address, NEW_NAMESPACE);
  const old = stack.temporal.namespace;
  environment = { TEMPORAL_NAMESPACE: NEW_NAMESPACE };

  // Another namespace does not get the rows by mistake: neither a worker nor a recovery.
  const careless = await orchestrator('recover');
  expect(careless).toMatchObject({ code: 1, stderr: expect.stringContaining('--take-over') });
  await expect(stack.startWorker(environment)).rejects.toThrow('belong to another Temporal namespace');
  await withOrm((orm) =>
    withTemporal(async (client) => {
      const silent = pino({ level: 'silent' });
      const claim = await claimCluster(orm, { client, namespace: old });
      const attempt = () => runFenced(clusterFence({ orm, log: silent }, claim));
      expect(await attempt()).toBe('done');
      const recovered = await recover('--take-over');
      expect(recovered).toMatchObject({ epoch: claim.epoch + 1, taken_over: true, unaccounted: [] });
      expect(recovered.workflows['order']).toEqual({ started: 4, running: 0, without_row: [] });
      expect(recovered.workflows['wallet']?.started).toBeGreaterThanOrEqual(3);
      await expect(attempt()).rejects.toThrow('belong to another Temporal cluster');
      await expect(claimCluster(orm, { client, namespace: old })).rejects.toThrow('--take-over');
    }, old),
  );
  await startServices();

  await deposit(api, poor.id, '40');
  await insist(api, `/orders/${reserved.id}/escrow`, {});
  await untilStatus(api, reserved.id, 'ESCROW_FUNDING');
  await insist(api, `/orders/${reserved.id}/escrow/fund`, {});
  for (const order of await Promise.all([reserved, running, progress, waiting].map(release)))
    expect(order).toMatchObject({ final_status: 'RELEASED', attention: null });
  expect(await balance(api, buyer.id)).toMatchObject({ total: '940', reserved: '0', in_escrow: '0' });
  expect(await balance(api, poor.id)).toMatchObject({ total: '0', in_escrow: '0' });
  await expectCoherent(stack);

  // Whoever runs is left running.
  const again = await recover();
  expect(again.taken_over).toBe(false);
  expect(again.workflows['wallet']).toMatchObject({ started: 0 });
}, 400_000);

async function runFenced(fence: ReturnType<typeof clusterFence>): Promise<unknown> {
  // The context of an activity: the fence asks for the rows' owner only.
  const { inbound } = Reflect.apply(fence, undefined, [undefined]) as ReturnType<typeof fence>;
  return inbound?.execute?.({ args: [], headers: {} }, async () => 'done');
}

test('Temporal is restored to an older state: workflows learn from their rows what they did since', async () => {
  const { api } = market;
  const [buyer, seller] = await Promise.all([fundedUser(api, '1000'), readyUser(api)]);
  const [older, canceled] = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  await Promise.all([older, canceled].map(({ id }) => verb(api, id, 'reserve')));
  await stopServices();
  await temporal.save();
  await startServices();
  await insist(api, `/orders/${older.id}/escrow`, {});
  await untilStatus(api, older.id, 'ESCROW_FUNDING');
  await insist(api, `/orders/${older.id}/escrow/fund`, {});
  await untilStatus(api, older.id, 'IN_PROGRESS');
  await insist(api, `/orders/${canceled.id}/cancel`, { reason: 'no longer needed' });
  const [late, newcomer] = await Promise.all([createOrder(api, buyer, seller), readyUser(api)]);
  await insist(api, `/orders/${late.id}/reserve`, {});
  await stopServices();
  await temporal.restore();

  const { workflows, unaccounted } = await recover();
  expect(unaccounted).toEqual([]);
  expect(workflows['order']).toMatchObject({ started: 1, running: 1 });
  expect(workflows['wallet']?.started).toBe(1);
  await startServices();
  await deposit(api, newcomer.id, '5');
  await insist(api, `/orders/${late.id}/escrow`, {});
  await untilStatus(api, late.id, 'ESCROW_FUNDING');
  await insist(api, `/orders/${late.id}/escrow/fund`, {});
  for (const order of await Promise.all([older, late].map(release)))
    expect(order).toMatchObject({ final_status: 'RELEASED', attention: null });
  expect(await balance(api, buyer.id)).toMatchObject({ total: '950', reserved: '0', in_escrow: '0' });
  // It was over already, and its workflow ran again.
  await withTemporal(async (client) => {
    const handle = client.workflow.getHandle(`order/${canceled.id}`);
    await eventually(async () => (await handle.describe()).status.name === 'COMPLETED', PATIENCE);
  }, NEW_NAMESPACE);
  await expectCoherent(stack);
}, 400_000);

interface Attention {
  readonly resource_id: string;
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
const attention = (resourceId: string): Promise<Attention[]> =>
  rows(stack, 'select resource_id, reason, detail from attention where resource_id = $1 and cleared_at is null', [
    resourceId,
  ]);

/** Hashes of the transactions of each order, in the order in which they landed. */
async function transactionsOf(orders: readonly { readonly id: string }[]): Promise<Map<string, string[]>> {
  const found = await rows<{ id: string; hash: string }>(
    stack,
    `select order_id as id, inner_hash as hash from chain_transactions
     where order_id = any($1) and status = 'CONFIRMED' order by ledger, created_at`,
    [orders.map(({ id }) => id)],
  );
  return new Map(orders.map(({ id }) => [id, found.filter((row) => row.id === id).map(({ hash }) => hash)]));
}

/** What the books do not balance by, stroops. */
async function uncovered(): Promise<[invariant: string, amount: bigint][]> {
  const { violations } = await checkCoherence(coherenceOptions(stack.env));
  return violations.map(({ invariant, detail }) => [
    invariant,
    BigInt(String(detail['liabilities'])) - BigInt(String(detail['custody'])),
  ]);
}

/** Names the transaction that has done what the order is parked for. */
async function adopt(orderId: string, transaction_hash: string | undefined) {
  const { attention: matter } = await getOrder(market.api, orderId);
  const body = { action: 'adopt', transaction_hash, reason: 'restored' };
  return insist(market.api, `/attention/${matter?.id}/repair`, body, WAIT);
}

/** Asks until the operation of the order is parked; answers its reason. */
async function untilParked(orderId: string): Promise<string | undefined> {
  const parked = await eventually(async () => {
    const order = await getOrder(market.api, orderId);
    if (order.operation?.status === 'PARKED') return order;
    throw new Error(`order ${orderId}: ${JSON.stringify(order)}`);
  }, PATIENCE);
  return parked.attention?.reason;
}

test('the database is restored to an older state: what the chain did since is found, booked once or parked, and never sent again', async () => {
  const { api } = market;
  const [buyer, saver, seller] = await Promise.all([fundedUser(api, '1000'), readyUser(api), readyUser(api)]);
  const [unfunded, released, known, untouched] = await Promise.all(
    Array.from({ length: 4 }, () => createOrder(api, buyer, seller)),
  );
  if (unfunded === undefined || released === undefined || known === undefined || untouched === undefined)
    throw new Error('four orders were asked for');
  await Promise.all([unfunded, known].map(({ id }) => verb(api, id, 'reserve')));
  await verb(api, known.id, 'escrow');
  await Promise.all([released, untouched].map(({ id }) => driveToProgress(api, id)));
  await stopServices();
  await stack.database.save();
  await startServices();

  // After the backup: a contract and its funding, a funding of a known contract, a release, a deposit, a user.
  await insist(api, `/orders/${unfunded.id}/escrow`, {});
  await untilStatus(api, unfunded.id, 'ESCROW_FUNDING');
  const [{ settlements }, lost] = await Promise.all([
    release(released),
    readyUser(api),
    deposit(api, saver.id, '7'),
    ...[unfunded, known].map(async ({ id }) => {
      await insist(api, `/orders/${id}/escrow/fund`, {});
      await untilStatus(api, id, 'IN_PROGRESS');
    }),
  ]);
  const paid = await balance(api, seller.id);
  const hashes = await Promise.all(
    [unfunded, known, released].map(async ({ id }) => (await getOrder(api, id)).operation?.transaction_hash),
  );
  const landed = await transactionsOf([unfunded, known, released]);
  await stopServices();
  await stack.database.restore();

  const { unaccounted, workflows } = await recover();
  expect(unaccounted.map(({ hash }) => hash)).toEqual(expect.arrayContaining(hashes));
  expect(workflows['wallet']?.without_row).toEqual([lost.wallet.id]);
  expect((await recover()).unaccounted).toEqual([]);
  await startServices();

  // What is only read from the chain is there again, once: the deposit, and what the contract paid out.
  await eventually(async () => (await balance(api, saver.id)).total === '7', PATIENCE);
  await eventually(async () => (await balance(api, seller.id)).total === paid.total, PATIENCE);
  expect(settlements).toHaveLength(1);
  // Whose money may have moved already is not moved again.
  await api('POST', `/orders/${known.id}/escrow/fund`, {});
  expect(await untilParked(known.id)).toBe('BOOKS_DIFFER');
  await api('POST', `/orders/${released.id}/resolution/release`, {});
  expect(await untilParked(released.id)).toBe('BOOKS_DIFFER');
  await insist(api, `/orders/${unfunded.id}/escrow`, {});
  await untilStatus(api, unfunded.id, 'ESCROW_FUNDING');
  await api('POST', `/orders/${unfunded.id}/escrow/fund`, {});
  expect(await untilParked(unfunded.id)).toBe('BOOKS_DIFFER');
  const [open] = await attention(known.id);
  expect(JSON.stringify(open?.detail)).toContain(hashes[1]);
  // Others are not held up.
  expect(await release(untouched)).toMatchObject({ final_status: 'RELEASED', attention: null });
  expect(await balance(api, saver.id)).toMatchObject({ total: '7' });
  const earned = await balance(api, seller.id);
  // The books equal the chain, and say themselves what is not covered: the two fundings that happened already.
  expect(await uncovered()).toEqual([['L4', parseAmount('50')]]);

  // What was done already is adopted by the step that would do it again; nobody's word is taken for it.
  const hashOf = (order: { readonly id: string }) => landed.get(order.id) ?? [];
  expect((await adopt(known.id, hashOf(released).at(-1))).status).toBe(422);
  expect((await adopt(known.id, hashOf(known).at(-1))).status).toBe(200);
  await untilStatus(api, known.id, 'IN_PROGRESS');
  for (const hash of hashOf(released).slice(-2)) {
    await untilParked(released.id);
    expect((await adopt(released.id, hash)).status).toBe(200);
  }
  expect(await untilStatus(api, released.id, 'CLOSED')).toMatchObject({ final_status: 'RELEASED' });
  expect(await balance(api, seller.id)).toMatchObject({ total: earned.total });
  expect(await release(known)).toMatchObject({ final_status: 'RELEASED', attention: null });
  // Of the contract that was made after the backup no row knows.
  expect(await uncovered()).toEqual([['L4', parseAmount('25')]]);

  // Until an operator says that he has seen to it.
  const [lostFunding = ''] = hashOf(unfunded).slice(-1);
  expect(await attention(lostFunding)).toMatchObject([{ reason: 'BOOKS_DIFFER' }]);
  const settled = await orchestrator('recover', 'settle', lostFunding, '--note', 'paid back by hand');
  expect(settled).toMatchObject({ code: 0 });
  expect(await attention(lostFunding)).toEqual([]);
}, 400_000);

test('no key of a wallet is in a history, a log, or any table but as a ciphertext (F70)', async () => {
  const places = new Map<string, string>();
  for (const directory of [stack.logDirectory, temporal.dataDirectory])
    for (const name of await readdir(directory)) places.set(name, await readFile(join(directory, name), 'latin1'));
  for (const namespace of [stack.temporal.namespace, NEW_NAMESPACE])
    await withTemporal(async (client) => {
      for await (const { workflowId, runId } of client.workflow.list()) {
        const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
        places.set(`${workflowId} ${runId}`, unfolded(historyToJSON(history)));
      }
    }, namespace);
  const tables = await withClient(stack.databaseUrls.owner, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      "select quote_ident(tablename) as name from pg_tables where schemaname = 'public'",
    );
    for (const { name } of rows) {
      const dump = await client.query<{ row: string }>(`select to_jsonb(t)::text as row from ${name} t`);
      places.set(name, unfolded(dump.rows.map(({ row }) => row).join('\n')));
    }
    return rows.length;
  });
  const forms = await withOrm((orm) => walletSecrets(orm, stack.env));
  expect(forms.length).toBeGreaterThan(50);
  expect(tables).toBeGreaterThan(20);
  expect(places.size).toBeGreaterThan(tables + 20);
  // What is searched is what was written, and readable: the payloads of a history are base64.
  expect([...places].some(([place, text]) => place.startsWith('provisioner/') && text.includes('batch_id'))).toBe(true);
  expect(places.get('worker.log')).toContain('"level"');
  expect(places.get('wallets')).toMatch(/G[A-Z2-7]{55}/);
  const leaks = [...places].filter(([, text]) => forms.some((form) => text.includes(form))).map(([place]) => place);
  expect(leaks).toEqual([]);
}, 120_000);

test('only a worker of the signing queue needs keys, and it does not start with the wrong ones', async () => {
  const others = { ...environment, TASK_QUEUES: 'chain', VAULT_KEYS: '', SPONSOR_SECRET: '' };
  const keyless = await stack.startAnotherWorker(others);
  await keyless.kill('SIGTERM');
  const wrong = { ...environment, VAULT_KEYS: `k1:${randomBytes(32).toString('base64')}` };
  await expect(stack.startAnotherWorker(wrong)).rejects.toThrow('VAULT_KEYS do not open what key k1 sealed');
}, 120_000);
