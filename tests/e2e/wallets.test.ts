/** Wallets from creation to booked deposits, on real Temporal, Postgres and the local network. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { balance } from '../../db/ledger/statement.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { pool } from '../../db/sql.ts';
import { parseAmount } from '../../domain/money.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { CHANNELS_AT_BOOT } from '../../worker/boot.ts';
import type { CreateUser } from '../../workflows/messages.ts';
import { eventually } from '../support/wait.ts';
import { type WorkerSystem, startWorkerSystem } from '../support/worker-system.ts';

const PATIENCE = { timeoutMs: 60_000 };

describe.each(['shared', 'stream'])('a wallet that reads its payments from the %s source', (source) => {
  let system: WorkerSystem;
  let marketplaceId: string;

  beforeAll(async () => {
    system = await startWorkerSystem({ environment: { PAYMENT_SOURCE: source } });
    await system.startWorker();
    marketplaceId = await system.createMarketplace();
  }, 120_000);
  afterAll(() => system.stop());

  const available = async (userId: string): Promise<bigint> =>
    (await balance(pool(system.orm), { marketplaceId, userId, asset: 'USDC' })).available;
  const coherent = async () => expect(await verifyLedger({ trx: pool(system.orm) })).toMatchObject({ violations: [] });

  test('is created on chain with sponsored reserves, and its address is known when it can receive', async () => {
    const { walletId } = await system.createUser(marketplaceId);
    const wallet = await system.ready(walletId);
    const account = (await (await fetch(`${system.sandbox.url}/horizon/accounts/${wallet.address}`)).json()) as {
      sponsor: string;
      balances: { asset_code?: string; balance: string }[];
    };
    expect(account.sponsor).toBe(system.config.sponsorAddress);
    expect(account.balances).toContainEqual(expect.objectContaining({ asset_code: 'USDC', balance: '0.0000000' }));
  });

  test('gets every deposit booked once, to the stroop', async () => {
    const { userId, walletId } = await system.createUser(marketplaceId);
    const { address } = await system.ready(walletId);
    await Promise.all(['10', '0.0000001', '5.1234567'].map((amount) => system.pay(address, amount)));
    await eventually(async () => (await available(userId)) === parseAmount('15.1234568'), PATIENCE);
    await coherent();
    const events = await system.rows(
      sql<{ type: string }>`select type from events where resource_id = ${userId} order by sequence`,
    );
    expect(events.map(({ type }) => type)).toEqual([
      'user.created',
      ...Array.from({ length: 3 }, () => ['deposit.detected', 'deposit.credited', 'balance.credited']).flat(),
    ]);
  });

  test('whose workflow is gone is started from its row by what arrives for it', async () => {
    const { userId, walletId } = await system.createUser(marketplaceId);
    const { address } = await system.ready(walletId);
    await system.pay(address, '1');
    await eventually(async () => (await available(userId)) === parseAmount('1'), PATIENCE);
    await system.temporal.workflow.getHandle(walletWorkflowId(walletId)).terminate('lost');
    await system.pay(address, '2');
    await eventually(async () => (await available(userId)) === parseAmount('3'), PATIENCE);
    await coherent();
  }, 90_000);
});

describe('the provisioner', () => {
  let system: WorkerSystem;
  let marketplaceId: string;

  beforeAll(async () => {
    system = await startWorkerSystem();
    await system.startWorker();
    marketplaceId = await system.createMarketplace();
  }, 120_000);
  afterAll(() => system.stop());

  test('creates many wallets in few transactions of at most eighteen', async () => {
    const users = await Promise.all(Array.from({ length: 45 }, () => system.createUser(marketplaceId)));
    await Promise.all(users.map(({ walletId }) => system.ready(walletId)));
    const batches = await system.rows(
      sql<{ size: number }>`select count(*)::int as size from wallets where batch_id is not null group by batch_id`,
    );
    expect(Math.max(...batches.map(({ size }) => size))).toBeLessThanOrEqual(18);
    // The channel account, the first to arrive, and the rest in full batches.
    expect(batches.length).toBeLessThanOrEqual(10);
    const keys = await system.rows(sql`select 1 from wallets w join wallet_keys k on k.wallet_id = w.id
      and k.public_key = w.address where w.user_id is not null`);
    expect(keys).toHaveLength(45);
  }, 120_000);

  test('two workers that boot together make one sponsor, one set of channel accounts, one reader', async () => {
    const other = await system.startWorker();
    const wallets = await system.rows(
      sql<{ kind: string; n: number }>`
        select kind, count(*)::int as n from wallets where kind in ('SPONSOR', 'CHANNEL') group by kind order by kind`,
    );
    expect(wallets).toEqual([
      { kind: 'CHANNEL', n: CHANNELS_AT_BOOT },
      { kind: 'SPONSOR', n: 1 },
    ]);
    await other.stop();
  });
});

describe('a user', () => {
  let system: WorkerSystem;
  let marketplaceId: string;
  let external: Pick<CreateUser, 'external_user_id' | 'email' | 'metadata'>;

  beforeAll(async () => {
    system = await startWorkerSystem();
    await system.startWorker();
    marketplaceId = await system.createMarketplace();
  }, 120_000);
  afterAll(() => system.stop());

  const create = (fields: Partial<CreateUser>) => {
    const ids = { user_id: `usr_${randomUUID()}`, wallet_id: `wal_${randomUUID()}`, marketplace_id: marketplaceId };
    const origin = { request_id: null, actor: null };
    return system.client.createUser(
      { ...ids, ...origin, ...external, ...fields },
      { updateId: randomUUID(), timeoutMs: 30_000 },
    );
  };

  test('is created once per external id; what is given again has to be equal', async () => {
    external = { external_user_id: `u-${randomUUID()}`, email: 'ann@example.com', metadata: { plan: 'pro' } };
    const first = await create({});
    expect(first.created).toBe(true);
    expect(await create({})).toEqual({ user_id: first.user_id, created: false });
    expect(await create({ email: null, metadata: {} })).toEqual({ user_id: first.user_id, created: false });
    await expect(create({ email: 'bob@example.com' })).rejects.toMatchObject({
      reason: 'USER_ALREADY_EXISTS',
      details: { user_id: first.user_id },
    });
    const rows = await system.rows(sql`select 1 from users where external_user_id = ${external.external_user_id}`);
    expect(rows).toHaveLength(1);
  });

  test('created by ten calls at once is one user with one wallet', async () => {
    external = { external_user_id: `u-${randomUUID()}`, email: null, metadata: {} };
    const answers = await Promise.all(Array.from({ length: 10 }, () => create({})));
    expect(new Set(answers.map(({ user_id }) => user_id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    const wallets = await system.rows(sql`select 1 from wallets where user_id = ${answers[0]?.user_id ?? ''}`);
    expect(wallets).toHaveLength(1);
  });

  test('a creation that is refused leaves no running workflow', async () => {
    external = { external_user_id: `u-${randomUUID()}`, email: 'a@example.com', metadata: {} };
    await create({});
    const wallet_id = `wal_${randomUUID()}`;
    await expect(create({ wallet_id, email: 'b@example.com' })).rejects.toMatchObject({
      reason: 'USER_ALREADY_EXISTS',
    });
    const handle = system.temporal.workflow.getHandle(walletWorkflowId(wallet_id));
    await eventually(async () => (await handle.describe()).status.name === 'COMPLETED');
    expect(await system.rows(sql`select 1 from wallets where id = ${wallet_id}`)).toEqual([]);
  });

  test('is changed through its wallet; a change that changes nothing leaves no event', async () => {
    const { userId, walletId } = await system.createUser(marketplaceId);
    const change = (fields: object) =>
      system.client.changeUser(
        walletId,
        { ...fields, request_id: null, actor: null },
        { updateId: randomUUID(), timeoutMs: 30_000 },
      );
    await change({ email: 'new@example.com', metadata: { a: '1' } });
    await change({ email: 'new@example.com' });
    await change({ status: 'SUSPENDED' });
    const events = await system.rows(
      sql<{ type: string; change: { fields?: string[] } }>`
        select type, data->'change' as change from events where resource_id = ${userId} order by sequence`,
    );
    expect(events).toMatchObject([
      { type: 'user.created' },
      { type: 'user.updated', change: { fields: ['email', 'metadata'] } },
      { type: 'user.suspended', change: {} },
    ]);
  });
});
