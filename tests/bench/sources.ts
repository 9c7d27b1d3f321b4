/**
 * What sequence sources and signatures allow: transactions per second through 1, 10 and 50 channel accounts on ledgers of
 * one and of five seconds, and signatures per second. The transactions create one wallet each and go through the real
 * chain step (lease, build, verify, sign, store, submit, find out, book); Temporal is left out, the order of its steps
 * and its waits are kept.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Keypair } from '@stellar/stellar-sdk/base';
import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { Deps } from '../../activities/context.ts';
import { createChainActivities, createSigningActivities } from '../../activities/index.ts';
import { createKeyActivities, withWalletKeys } from '../../activities/signing/keys.ts';
import { temporaryFolder } from '../../cli/stack/folders.ts';
import { freePort } from '../../cli/stack/ports.ts';
import { createDatabase, postgresUrl, preparePostgres } from '../../cli/stack/postgres.ts';
import { createSupervisor } from '../../cli/stack/processes.ts';
import { fundSponsor, sandboxEnvironment, sandboxProcess, sandboxUrl } from '../../cli/stack/sandbox.ts';
import { loadConfig } from '../../config/config.ts';
import { migrate, openOrm } from '../../db/orm.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { ensureChannels, ensureDeploymentWallets } from '../../worker/boot.ts';
import { createDeps } from '../../worker/deps.ts';
import { asActivity } from '../support/activity.ts';

const PASSWORDS = { superuser: 'superuser', owner: 'owner', app: 'app' };
const SOURCES = [1, 10, 50];
const LEDGERS_MS = [1_000, 5_000];
/** transactions per source; the first ledger is not counted */
const ROUNDS = { 1_000: 12, 5_000: 6 } as const;
const SIGNATURES = 2_000;
const KEYS = 200;

/** `npm run bench -- sources` */
export async function run(): Promise<void> {
  for (const ledgerMs of LEDGERS_MS)
    await withChain(ledgerMs, async (deps) => {
      if (ledgerMs === LEDGERS_MS[0]) await signatures(deps);
      for (const sources of SOURCES) {
        await channels(deps, sources);
        await throughput(deps, sources, ledgerMs);
      }
    });
}

/** Postgres, a sandbox process that closes a ledger every `ledgerMs`, and a worker's parts over both. */
async function withChain(ledgerMs: number, use: (deps: Deps) => Promise<void>): Promise<void> {
  const folder = await temporaryFolder('orchestrator-bench-');
  const supervisor = createSupervisor({ logDirectory: join(folder, 'logs') });
  try {
    const [port, sandboxPort] = [await freePort(), await freePort()];
    const postgres = { dataDirectory: folder, port, passwords: PASSWORDS };
    await supervisor.start(await preparePostgres(postgres));
    await createDatabase(postgres, 'bench');
    await migrate(postgresUrl(postgres, 'owner', 'bench'));
    await supervisor.start(sandboxProcess({ port: sandboxPort, dataDirectory: folder, ledgerMs }));
    const url = sandboxUrl(sandboxPort);
    const sponsor = Keypair.random();
    await fundSponsor(url, sponsor.publicKey());
    const config = loadConfig(
      {
        ...(await sandboxEnvironment(url)),
        DATABASE_URL: postgresUrl(postgres, 'app', 'bench'),
        TEMPORAL_ADDRESS: '127.0.0.1:1',
        SPONSOR_ADDRESS: sponsor.publicKey(),
        SPONSOR_SECRET: sponsor.secret(),
        VAULT_KEYS: `k1:${randomBytes(32).toString('base64')}`,
        SOROBAN_RPC_REQUESTS_PER_MINUTE: '0',
      },
      'worker',
    );
    const orm = await openOrm({ url: config.database.url, poolMax: 20 });
    const client = new Client({ connection: Connection.lazy() });
    try {
      await ensureDeploymentWallets(orm, config.sponsorAddress);
      await use(createDeps(config, { orm, client, log: pino({ level: 'silent' }) }));
    } finally {
      await orm.close();
    }
  } finally {
    await supervisor.stopAll();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Exactly so many channel accounts that may be used. */
async function channels(deps: Deps, count: number): Promise<void> {
  const db = pool(deps.orm);
  await inTransaction(deps.orm, (trx) => ensureChannels(trx, count));
  for (;;) {
    const { rows } = await sql<{ id: string }>`
      update wallets set batch_id = ${newId('walletBatch')} where id in (
        select id from wallets where kind = 'CHANNEL' and status = 'PROVISIONING' and batch_id is null limit 18)
      returning batch_id as id`.execute(db);
    if (rows[0] === undefined) break;
    await provision(deps, rows[0].id);
  }
  await sql`update wallets set status = 'READY' where kind = 'CHANNEL'`.execute(db);
  await sql`
    update wallets set status = 'CLOSED' where kind = 'CHANNEL' and id not in (
      select id from wallets where kind = 'CHANNEL' order by id limit ${count})`.execute(db);
}

async function throughput(deps: Deps, sources: number, ledgerMs: number): Promise<void> {
  const rounds = ledgerMs === 1_000 ? ROUNDS[1_000] : ROUNDS[5_000];
  const wallets = Array.from({ length: sources * rounds }, () => ({
    id: newId('wallet'),
    batch: newId('walletBatch'),
  }));
  await sql`
    insert into wallets (id, marketplace_id, kind, provider, status, batch_id, created_at, updated_at)
    select id, 'mkt_bench', 'USER', 'crypto-native', 'PROVISIONING', batch, now(), now()
    from jsonb_to_recordset(${JSON.stringify(wallets)}::jsonb) as w(id text, batch text)`.execute(pool(deps.orm));
  const waiting = wallets.map(({ batch }) => batch);
  const next = async (): Promise<void> => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) await provision(deps, batch);
  };
  const cpu = process.cpuUsage();
  // Twice as many as there are sources: one in the ledger, one that is prepared as soon as the source is free.
  await Promise.all(Array.from({ length: sources * 2 }, next));
  const { rows } = await sql<{ ledger: number; n: number }>`
    select ledger, count(*)::int as n from chain_transactions
    where status = 'CONFIRMED' and intent->>'batchId' = any(${wallets.map(({ batch }) => batch)}::text[])
    group by ledger order by ledger`.execute(pool(deps.orm));
  const { user, system } = process.cpuUsage(cpu);
  const [first, last] = [rows[0]?.ledger ?? 0, rows.at(-1)?.ledger ?? 0];
  const counted = rows.slice(1).reduce((sum, { n }) => sum + n, 0);
  const perLedger = counted / (last - first);
  const perSecond = perLedger / (ledgerMs / 1_000);
  const share = Math.round((perLedger / sources) * 100);
  console.log(
    `${sources} sources, ${ledgerMs / 1_000} s ledgers: ${perSecond.toFixed(2)} transactions/s, ` +
      `${perLedger.toFixed(1)} per ledger (${share} % of one per source), ` +
      `${((user + system) / 1_000 / wallets.length).toFixed(1)} ms of CPU time per transaction in the worker`,
  );
}

/** The chain step for one batch of wallets, as `workflows/execute-on-chain.ts` orders it. */
async function provision(deps: Deps, batchId: string): Promise<void> {
  const chain = createChainActivities(deps);
  const signing = createSigningActivities(deps);
  const workflowId = `bench/${batchId}`;
  await createKeyActivities(deps).createWalletKeys({ batch_id: batchId });
  const intent = { kind: 'PROVISION_WALLETS', batchId } as const;
  for (;;) {
    const prepared = await repeated(workflowId, () =>
      chain.prepareTransaction({ intent, step: 'provision', operation_id: null, priority: 3 }),
    );
    if (!('transaction_id' in prepared)) throw new Error('our own wallets wait for nobody’s signature');
    const { transaction_id } = prepared;
    const { status } = await repeated(workflowId, () => signing.signTransaction({ transaction_id }));
    if (status === 'STALE') continue;
    const outcome = await repeated(workflowId, () => chain.settleTransaction({ transaction_id }));
    if (outcome.status !== 'LANDED') throw new Error(`${batchId}: ${JSON.stringify(outcome)}`);
    return;
  }
}

/** As Temporal repeats an activity: after the pause that the failure asks for. */
async function repeated<T>(workflowId: string, activity: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await asActivity(workflowId, attempt, activity);
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.nonRetryable === true) throw error;
      const pause = error.nextRetryDelay;
      await delay(typeof pause === 'number' ? pause : 250);
    }
  }
}

async function signatures(deps: Deps): Promise<void> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const hash = randomBytes(32);
  await rate('signatures of one key', async () => {
    for (let done = 0; done < SIGNATURES; done += 1) sign(null, hash, privateKey);
    return SIGNATURES;
  });
  const batch = newId('walletBatch');
  const ids = Array.from({ length: KEYS }, () => newId('wallet'));
  await sql`
    insert into wallets (id, kind, provider, status, batch_id, created_at, updated_at)
    select id, 'USER', 'crypto-native', 'CLOSED', ${batch}, now(), now() from unnest(${ids}::text[]) id`.execute(
    pool(deps.orm),
  );
  await createKeyActivities(deps).createWalletKeys({ batch_id: batch });
  const { rows } = await sql<{ walletId: string; address: string }>`
    select id as "walletId", address from wallets where batch_id = ${batch}`.execute(pool(deps.orm));
  await rate('keys read, opened, used once and wiped', async () => {
    for (const wallet of rows)
      await asActivity('bench', 1, () => withWalletKeys(deps, [wallet], (keys) => keys.map((key) => key.sign(hash))));
    return rows.length;
  });
  await rate('the same, twenty in an envelope', async () => {
    for (let from = 0; from < rows.length; from += 20) {
      const wallets = rows.slice(from, from + 20);
      await asActivity('bench', 1, () => withWalletKeys(deps, wallets, (keys) => keys.map((key) => key.sign(hash))));
    }
    return rows.length;
  });
}

async function rate(what: string, work: () => Promise<number>): Promise<void> {
  await work();
  const begun = performance.now();
  const done = await work();
  console.log(`${what}: ${Math.round((done / (performance.now() - begun)) * 1_000)}/s`);
}
