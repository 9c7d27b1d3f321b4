/** What may go wrong around wallets: bad ones in a batch, lost history, lost workflows, a monitor that is switched off. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Keypair } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createReconcileActivities } from '../../activities/wallets/reconcile.ts';
import { fundSaved, reserve, deposit } from '../../db/ledger/balances.ts';
import { balance } from '../../db/ledger/statement.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import { createDeps, createVault } from '../../worker/deps.ts';
import { eventually } from '../support/wait.ts';
import { type WorkerSystem, startWorkerSystem } from '../support/worker-system.ts';

const PATIENCE = { timeoutMs: 60_000 };

let system: WorkerSystem;
let marketplaceId: string;

beforeEach(async () => {
  system = await startWorkerSystem();
  marketplaceId = await system.createMarketplace();
}, 120_000);
afterEach(() => system.stop());

const available = async (userId: string): Promise<bigint> =>
  (await balance(pool(system.orm), { marketplaceId, userId, asset: 'USDC' })).available;

interface AttentionRow {
  resource_type: string;
  resource_id: string;
  reason: string;
  detail: Record<string, unknown>;
  cleared_at: string | null;
}
const attention = () =>
  system.rows(sql<AttentionRow>`
    select resource_type, resource_id, reason, detail, cleared_at from attention order by since`);

/** A wallet whose address exists on chain already: creating it fails. */
async function badWallet(): Promise<string> {
  const key = Keypair.random();
  await fetch(`${system.sandbox.url}/horizon/friendbot?addr=${key.publicKey()}`);
  const vault = createVault(system.config.signing?.vaultKeys ?? [], system.config.stellar.passphrase);
  const id = newId('wallet');
  const { ciphertext, keyId } = await vault.seal(key.rawSecretKey(), { walletId: id, publicKey: key.publicKey() });
  await sql`
    insert into wallets (id, marketplace_id, kind, provider, status, address, created_at, updated_at)
    values (${id}, ${marketplaceId}, 'OPERATOR', 'crypto-native', 'PROVISIONING', ${key.publicKey()}, now(), now())`.execute(
    pool(system.orm),
  );
  await sql`
    insert into wallet_keys (wallet_id, public_key, ciphertext, key_id, created_at)
    values (${id}, ${key.publicKey()}, ${ciphertext}, ${keyId}, now())`.execute(pool(system.orm));
  return id;
}

test('one wallet that cannot be created does not hold up the others', async () => {
  const bad = await badWallet();
  await system.startWorker();
  const systemWallets = await system.rows(
    sql<{ id: string }>`select id from wallets where marketplace_id = ${marketplaceId} and id <> ${bad}`,
  );
  for (const { id } of systemWallets) await system.ready(id);
  await eventually(async () => (await attention()).some(({ reason }) => reason === 'TRANSACTION_FAILED'), PATIENCE);
  expect(await system.wallet(bad)).toMatchObject({ status: 'PROVISIONING' });
  // Later ones do not wait behind it either.
  const { walletId } = await system.createUser(marketplaceId);
  await system.ready(walletId);
}, 180_000);

test('while the provider’s history begins after the cursor nothing is credited, and somebody is told (F29)', async () => {
  const worker = await system.startWorker();
  const { userId, walletId } = await system.createUser(marketplaceId);
  const { address } = await system.ready(walletId);
  await system.pay(address, '1');
  await eventually(async () => (await available(userId)) === parseAmount('1'), PATIENCE);
  await worker.stop();
  const before = await system.rows(sql<{ cursor: string }>`select cursor from network_cursors`);
  await system.pay(address, '2');
  for (let ledger = 0; ledger < 5; ledger += 1) system.sandbox.core.closeLedger();
  system.sandbox.core.prune(system.sandbox.core.latest().sequence - 1);
  await system.startWorker();
  await eventually(async () => (await attention()).some(({ resource_type }) => resource_type === 'network'), PATIENCE);
  await system.pay(address, '4');
  expect(await system.rows(sql<{ cursor: string }>`select cursor from network_cursors`)).toEqual(before);
  expect(await available(userId)).toBe(parseAmount('1'));
}, 120_000);

test('a worker with the monitor switched off credits nothing; one that follows payments does', async () => {
  const silent = await system.startWorker({ DISABLE_BLOCKCHAIN_MONITOR: 'true' });
  const health = (await (await fetch(`${silent.url}/health`)).json()) as {
    build_id: string;
    task_queues: Record<string, string>;
  };
  expect(health.build_id).toMatch(/^[0-9a-f]{16}$/);
  expect(Object.keys(health.task_queues)).not.toContain('payments');
  const { userId, walletId } = await system.createUser(marketplaceId);
  const { address } = await system.ready(walletId);
  await system.pay(address, '3');
  expect(await system.rows(sql`select 1 from observed_movements`)).toEqual([]);
  await system.startWorker({ TASK_QUEUES: 'payments' });
  await eventually(async () => (await available(userId)) === parseAmount('3'), PATIENCE);
}, 120_000);

test('money that reaches an operator wallet goes to suspense and onto the attention list', async () => {
  await system.startWorker();
  const [operator] = await system.rows(
    sql<{ id: string }>`select id from wallets where marketplace_id = ${marketplaceId} and kind = 'OPERATOR'`,
  );
  const { address } = await system.ready(operator?.id ?? '');
  const hash = await system.pay(address, '9');
  await eventually(async () => (await attention()).length > 0, PATIENCE);
  expect(await attention()).toMatchObject([
    { resource_type: 'movement', reason: 'BOOKS_DIFFER', detail: { amount: '9', transaction_hash: hash } },
  ]);
  const suspense = await system.rows(
    sql<{ amount: string }>`select credits_posted::text as amount from ledger_accounts where kind = 'suspense'`,
  );
  expect(suspense).toEqual([{ amount: parseAmount('9').toString() }]);
}, 120_000);

test('reconcile finds wallets nobody was told about, and money held for an envelope that never was', async () => {
  await system.startWorker();
  const reconcile = createReconcileActivities(
    createDeps(system.config, { orm: system.orm, client: system.temporal, log: pino({ level: 'silent' }) }),
  );
  const [walletId, userId] = [newId('wallet'), newId('user')];
  await sql`insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
    values (${walletId}, ${marketplaceId}, ${userId}, 'USER', 'crypto-native', 'PROVISIONING', now(), now())`.execute(
    pool(system.orm),
  );
  await reconcile.reconcile({ older_than_s: 0 });
  await system.ready(walletId);

  const [orderId, escrowId] = [newId('order'), newId('escrow')];
  await sql`insert into escrows (id, order_id, marketplace_id, type, status, gateway, amount, asset, platform_fee_bps,
      factory_id, wasm_hash, wallets, created_at, updated_at)
    values (${escrowId}, ${orderId}, ${marketplaceId}, 'SINGLE_RELEASE', 'FUNDING', 'trustless-work', 5, 'USDC', 0, 'C', '',
      '{}', now(), now())`.execute(pool(system.orm));
  const key = (step: string) => ({ workflowId: `order/${orderId}`, step });
  const money = { marketplaceId, asset: 'USDC', amount: 5n };
  await inTransaction(system.orm, async (trx) => {
    const resource = { type: 'movement', id: 'mov_1' };
    const chain = { transactionHash: 'aa', ledgerSeq: 1 };
    await deposit(trx, key('deposit'), { ...money, ...chain, userId, walletId, resource });
    await reserve(trx, key('reserve'), { ...money, buyerId: userId, orderId });
    await fundSaved(trx, key('fund'), { ...money, escrowId, funder: { walletId } });
  });
  expect(await reconcile.reconcile({ older_than_s: 0 })).toMatchObject({ pending_without_envelope: 1 });
  expect(await attention()).toMatchObject([
    { resource_type: 'order', resource_id: orderId, reason: 'BOOKS_DIFFER', detail: { amount_stroops: '5' } },
  ]);
  // Found again, it is the same matter.
  await reconcile.reconcile({ older_than_s: 0 });
  expect(await attention()).toHaveLength(1);
}, 120_000);
