/**
 * A worker in this process over a sandbox, a database and a Temporal namespace of its own: for tests of workflows that
 * look behind the API. Closing ledgers, faults and rows are at hand.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Keypair } from '@stellar/stellar-sdk/base';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { fundSponsor, sandboxEnvironment } from '../../cli/stack/sandbox.ts';
import { registerNamespace } from '../../cli/stack/temporal.ts';
import { type Config, loadConfig } from '../../config/config.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { type RunningWorker, startWorker } from '../../worker/worker.ts';
import { type WorkflowClient, createWorkflowClient } from '../../workflows/client.ts';
import type { CreateUser } from '../../workflows/messages.ts';
import { createTestDatabase } from './database.ts';
import { testEnvironment } from './environment.ts';
import { eventually } from './wait.ts';

interface SystemWallet {
  readonly id: string;
  readonly user_id: string | null;
  readonly status: string;
  readonly address: string | null;
  readonly stream_cursor: string | null;
}

export interface WorkerSystem {
  readonly sandbox: Sandbox;
  readonly orm: Orm;
  readonly config: Config;
  readonly client: WorkflowClient;
  readonly temporal: Client;
  startWorker(environment?: Readonly<Record<string, string>>): Promise<RunningWorker>;
  /** a marketplace with its system wallets, inserted as the API would */
  createMarketplace(): Promise<string>;
  /** through the façade, as the API does */
  createUser(marketplaceId: string, fields?: Partial<CreateUser>): Promise<{ userId: string; walletId: string }>;
  wallet(walletId: string): Promise<SystemWallet>;
  ready(walletId: string): Promise<SystemWallet & { address: string }>;
  /** USDC from the issuer; answers the transaction's hash */
  pay(address: string, amount: string): Promise<string>;
  rows<T>(query: ReturnType<typeof sql<T>>): Promise<T[]>;
  stop(): Promise<void>;
}

export async function startWorkerSystem(
  options: { ledgerMs?: number; environment?: Readonly<Record<string, string>> } = {},
): Promise<WorkerSystem> {
  const { temporalAddress } = testEnvironment();
  if (temporalAddress === null) throw new Error('this file belongs into a folder whose jest project starts Temporal');
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  const [database, sandbox] = await Promise.all([
    createTestDatabase(),
    startSandbox({ ledgerMs: options.ledgerMs ?? 100 }),
    registerNamespace(temporalAddress, namespace),
  ]);
  const sponsor = Keypair.random();
  await fundSponsor(sandbox.url, sponsor.publicKey());
  const env = {
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    ...(await sandboxEnvironment(sandbox.url)),
    SPONSOR_ADDRESS: sponsor.publicKey(),
    SPONSOR_SECRET: sponsor.secret(),
    VAULT_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    HEALTH_PORT: '0',
    LOG_LEVEL: 'error',
    ...options.environment,
  };
  const config = loadConfig(env, 'worker');
  const orm = await openOrm({ url: database.appUrl, poolMax: 5 });
  const connection = await Connection.connect({ address: temporalAddress });
  const temporal = new Client({ connection, namespace });
  const client = createWorkflowClient({
    address: temporalAddress,
    namespace,
    taskQueuePrefix: '',
    network: 'sandbox',
    paymentSource: config.paymentSource,
  });
  const started: RunningWorker[] = [];
  const start: WorkerSystem['startWorker'] = async (environment = {}) => {
    const worker = await startWorker(loadConfig({ ...env, ...environment }, 'worker'));
    started.push(worker);
    return worker;
  };
  const rows: WorkerSystem['rows'] = async (query) => (await query.execute(pool(orm))).rows;
  const wallet = async (walletId: string): Promise<SystemWallet> => {
    const [row] = await rows(
      sql<SystemWallet>`select id, user_id, status, address, stream_cursor from wallets where id = ${walletId}`,
    );
    if (row === undefined) throw new Error(`no wallet ${walletId}`);
    return row;
  };
  return {
    sandbox,
    orm,
    config,
    client,
    temporal,
    rows,
    wallet,
    startWorker: start,
    createMarketplace: () => insertMarketplace(orm),
    createUser: async (marketplaceId, fields = {}) => {
      const [userId, walletId] = [newId('user'), newId('wallet')];
      const request = {
        user_id: userId,
        wallet_id: walletId,
        marketplace_id: marketplaceId,
        external_user_id: `u-${randomUUID()}`,
        email: null,
        metadata: {},
        request_id: null,
        actor: null,
        ...fields,
      };
      await client.createUser(request, { updateId: randomUUID(), timeoutMs: 30_000 });
      return { userId, walletId };
    },
    ready: (walletId) =>
      eventually(
        async () => {
          const row = await wallet(walletId);
          return row.status === 'READY' && row.address !== null ? { ...row, address: row.address } : null;
        },
        { timeoutMs: 60_000, what: `${walletId} is ready` },
      ),
    pay: (address, amount) => faucet(sandbox.url, address, amount),
    stop: async () => {
      await Promise.all(started.map((worker) => worker.stop()));
      await Promise.all([client.close(), connection.close()]);
      await orm.close();
      await sandbox.close();
      await database.drop();
    },
  };
}

async function insertMarketplace(orm: Orm): Promise<string> {
  const id = newId('marketplace');
  await sql`
    insert into marketplaces (id, name, status, default_asset, platform_fee_bps, payment_provider, deadlines, created_at)
    values (${id}, 'Market', 'ACTIVE', 'USDC', 50, 'crypto-native', '{}', now())`.execute(pool(orm));
  for (const kind of ['FEE', 'OPERATOR', 'RESOLVER'])
    await sql`
      insert into wallets (id, marketplace_id, kind, provider, status, created_at, updated_at)
      values (${newId('wallet')}, ${id}, ${kind}, 'crypto-native', 'PROVISIONING', now(), now())`.execute(pool(orm));
  return id;
}

async function faucet(url: string, address: string, amount: string): Promise<string> {
  const response = await fetch(`${url}/control/faucet`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ address, amount }),
  });
  const body = (await response.json()) as { transaction_hash?: string };
  if (!response.ok || body.transaction_hash === undefined) throw new Error(`faucet: ${JSON.stringify(body)}`);
  return body.transaction_hash;
}
