/**
 * What was lost or restored goes on from the rows: Temporal empty, Temporal older than the rows, rows older than the
 * chain. Nothing is lost, nothing is done twice; what cannot be known is parked. And wherever it all went: no key of a
 * wallet is found in any of it.
 */
import { spawn } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { StrKey } from '@stellar/stellar-sdk/base';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { pino } from 'pino';
import { checkCoherence, coherenceOptions } from '../../cli/coherence.ts';
import type { Recovery } from '../../cli/recover.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { freePort } from '../../cli/stack/ports.ts';
import { withClient } from '../../cli/stack/postgres.ts';
import { createSupervisor } from '../../cli/stack/processes.ts';
import { resolveTemporalBinary } from '../../cli/stack/temporal-binary.ts';
import { registerNamespace, temporalProcess } from '../../cli/stack/temporal.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { unbox } from '../../providers/keys/aes-gcm.ts';
import { claimCluster, clusterFence } from '../../worker/cluster.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type OrderBody,
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
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const PATIENCE = { timeoutMs: 120_000 };
const NEW_NAMESPACE = `test-${randomBytes(6).toString('hex')}`;

let folder: string;
let temporal: Awaited<ReturnType<typeof ownTemporal>>;
let stack: TestStack;
let market: TestMarketplace;
/** what API and worker are told besides the stack's own environment */
let environment: Readonly<Record<string, string>> = {};

/** A Temporal server of this file's own, on a file: it can be stopped, copied and put back. */
async function ownTemporal() {
  const [binary, port] = await Promise.all([resolveTemporalBinary(process.env), freePort()]);
  const dataDirectory = join(folder, 'temporal');
  const saved = join(folder, 'saved');
  await mkdir(dataDirectory);
  const supervisor = createSupervisor({ logDirectory: join(folder, 'logs') });
  const start = () => supervisor.start(temporalProcess({ binary, port, uiPort: null, dataDirectory }));
  const replace = async (to: string, from: string): Promise<void> => {
    await supervisor.stop('temporal');
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
    await start();
  };
  await start();
  return {
    address: `127.0.0.1:${port}`,
    dataDirectory,
    save: () => replace(saved, dataDirectory),
    restore: () => replace(dataDirectory, saved),
    stop: () => supervisor.stopAll(),
  };
}

beforeAll(async () => {
  folder = await temporaryFolder('orchestrator-test-recovery-');
  temporal = await ownTemporal();
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
  for (const path of ['escrow', 'escrow/fund']) await insist(api, `/orders/${reserved.id}/${path}`, {});
  for (const order of [reserved, running, progress, waiting])
    expect(await release(order)).toMatchObject({ final_status: 'RELEASED', attention: null });
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
  const [older, idle] = await Promise.all([createOrder(api, buyer, seller), createOrder(api, buyer, seller)]);
  for (const { id } of [older, idle]) await verb(api, id, 'reserve');
  await stopServices();
  await temporal.save();
  await startServices();
  await insist(api, `/orders/${older.id}/escrow`, {});
  await untilStatus(api, older.id, 'ESCROW_FUNDING');
  await insist(api, `/orders/${older.id}/escrow/fund`, {});
  await untilStatus(api, older.id, 'IN_PROGRESS');
  const [late, newcomer] = await Promise.all([createOrder(api, buyer, seller), readyUser(api)]);
  await insist(api, `/orders/${late.id}/reserve`, {});
  await stopServices();
  await temporal.restore();

  const { workflows, unaccounted } = await recover();
  expect(unaccounted).toEqual([]);
  expect(workflows['order']).toMatchObject({ started: 1, running: 2 });
  expect(workflows['wallet']?.started).toBe(1);
  await startServices();
  await deposit(api, newcomer.id, '5');
  for (const { id } of [idle, late]) {
    await insist(api, `/orders/${id}/escrow`, {});
    await untilStatus(api, id, 'ESCROW_FUNDING');
    await insist(api, `/orders/${id}/escrow/fund`, {});
  }
  for (const order of [older, idle, late])
    expect(await release(order)).toMatchObject({ final_status: 'RELEASED', attention: null });
  expect(await balance(api, buyer.id)).toMatchObject({ total: '925', reserved: '0', in_escrow: '0' });
  await expectCoherent(stack);
}, 400_000);
