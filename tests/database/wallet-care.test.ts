/** Which wallets may be closed, and how long the sponsor's balance lasts: decided on rows, before anything is sent. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createClosingActivities, demandOpenWallets } from '../../activities/wallets/closing.ts';
import { watchSponsor } from '../../activities/wallets/sponsor.ts';
import { sponsorDaysLeft } from '../../db/health.ts';
import { deposit, reserve } from '../../db/ledger/balances.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { type Network, startNetwork } from '../contract/network.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/wait.ts';

const MARKET = 'mkt_1';
const XLM = 10_000_000n;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: Orm;
let db: Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl });
  db = pool(orm);
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});

async function wallet(kind: string, userId: string | null = null, status = 'READY'): Promise<string> {
  const id = newId('wallet');
  await sql`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, created_at, updated_at)
    values (${id}, ${MARKET}, ${userId}, ${kind}, 'crypto-native', ${status}, ${`G${id}`}, now(), now())`.execute(db);
  return id;
}

async function order(status: string, parties: { buyer?: string; seller?: string; roles?: object }): Promise<string> {
  const id = newId('order');
  await sql`
    insert into orders (id, marketplace_id, body_hash, buyer_id, seller_id, amount, asset, title, platform_fee_bps, auto,
      status, deadlines, due_times, metadata, created_at, updated_at)
    values (${id}, ${MARKET}, '', ${parties.buyer ?? 'usr_x'}, ${parties.seller ?? 'usr_y'}, 1, 'USDC', 'Logo', 0, false,
      ${status}, '{}', '{}', '{}', now(), now())`.execute(db);
  await sql`
    insert into escrows (id, order_id, marketplace_id, type, status, gateway, amount, asset, platform_fee_bps, factory_id,
      wasm_hash, wallets, created_at, updated_at)
    values (${newId('escrow')}, ${id}, ${MARKET}, 'SINGLE_RELEASE', 'CREATING', 'direct', 1, 'USDC', 0, 'C', '',
      ${JSON.stringify(parties.roles ?? null)}::jsonb, now(), now())`.execute(db);
  return id;
}

describe('closing a wallet', () => {
  const begin = (id: string) => createClosingActivities({ orm }).beginClosing({ wallet_id: id });
  const abandon = (id: string) => createClosingActivities({ orm }).abandonClosing({ wallet_id: id });
  const waitingForLocks = async (): Promise<number> =>
    (await sql<{ n: number }>`select count(*)::int as n from pg_locks where not granted`.execute(db)).rows[0]?.n ?? 0;
  const isClosing = async (id: string): Promise<boolean> =>
    (await sql<{ is: boolean }>`select closing_at is not null as is from wallets where id = ${id}`.execute(db)).rows[0]
      ?.is === true;

  test('is refused while an open order has its user as a party', async () => {
    for (const party of ['buyer', 'seller'] as const) {
      const userId = newId('user');
      const id = await wallet('USER', userId);
      const orderId = await order('IN_PROGRESS', { [party]: userId });
      await expect(begin(id)).rejects.toMatchObject({
        type: 'INVALID_STATE',
        message: expect.stringContaining(orderId),
      });
      await sql`update orders set status = 'CLOSED' where id = ${orderId}`.execute(db);
      expect(await begin(id)).toBe('CLOSING');
    }
  });

  test('is refused while an open order names it in a role, and while it is the last of its kind', async () => {
    const [first, second] = [await wallet('OPERATOR'), await wallet('OPERATOR')];
    const orderId = await order('DISPUTED', { roles: { release_signer: { wallet_id: first, address: 'G' } } });
    await expect(begin(first)).rejects.toMatchObject({ message: expect.stringContaining(orderId) });
    expect(await begin(second)).toBe('CLOSING');
    await sql`update orders set status = 'CLOSED' where id = ${orderId}`.execute(db);
    await expect(begin(first)).rejects.toMatchObject({ message: expect.stringContaining('last OPERATOR') });
  });

  test.each(['FEE', 'CHANNEL', 'SPONSOR'])('is refused for a %s wallet', async (kind) => {
    await expect(begin(await wallet(kind))).rejects.toMatchObject({ type: 'INVALID_STATE' });
  });

  test('is refused while money is on it, is held, or is on its way', async () => {
    const userId = newId('user');
    const id = await wallet('USER', userId);
    const money = { marketplaceId: MARKET, asset: 'USDC', amount: 5n };
    await inTransaction(orm, async (trx) => {
      const key = (step: string) => ({ workflowId: walletWorkflowId(id), step });
      const resource = { type: 'movement', id: 'mov_1' };
      const chain = { transactionHash: 'aa', ledgerSeq: 1 };
      await deposit(trx, key('deposit'), { ...money, ...chain, userId, walletId: id, resource });
      await reserve(trx, key('reserve'), { ...money, buyerId: userId, orderId: newId('order') });
    });
    await expect(begin(id)).rejects.toMatchObject({ message: expect.stringContaining('money') });
    expect(await isClosing(id)).toBe(false);
  });

  test('waits for an order that is being made, and is refused by it; an order is refused by a closing', async () => {
    const userId = newId('user');
    const id = await wallet('USER', userId);
    let closing: Promise<unknown> = Promise.resolve();
    let over = false;
    await inTransaction(orm, async (trx) => {
      await demandOpenWallets(trx, [userId]);
      closing = begin(id)
        .catch((error: unknown) => error)
        .finally(() => {
          over = true;
        });
      const made = newId('order');
      await sql`
        insert into orders (id, marketplace_id, body_hash, buyer_id, seller_id, amount, asset, title, platform_fee_bps,
          auto, status, deadlines, due_times, metadata, created_at, updated_at)
        values (${made}, ${MARKET}, '', ${userId}, 'usr_y', 1, 'USDC', 'Logo', 0, false, 'ORDER_CREATED', '{}', '{}', '{}',
          now(), now())`.execute(trx);
      // Either it stands in front of the lock, or it is over, which it must not be.
      await eventually(async () => (await waitingForLocks()) > 0 || over);
    });
    expect(await closing).toMatchObject({ type: 'INVALID_STATE' });
    await sql`update orders set status = 'CLOSED' where buyer_id = ${userId}`.execute(db);
    expect(await begin(id)).toBe('CLOSING');
    await expect(inTransaction(orm, (trx) => demandOpenWallets(trx, [userId]))).rejects.toMatchObject({
      type: 'INVALID_STATE',
    });
  });

  test('is not given up while its transaction may still land', async () => {
    const id = await wallet('USER', newId('user'));
    await begin(id);
    await sql`
      insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, status, source, sequence, max_time,
        unsigned_envelope, inner_hash, created_at)
      values (${id}, ${`${walletWorkflowId(id)}/close`}, 1, '{}', 'w', 'SUBMITTED', 'G', 1, 1, '', ${id}, now())`.execute(
      db,
    );
    await abandon(id);
    expect(await isClosing(id)).toBe(true);
    // Asked again meanwhile, it is not decided anew.
    expect(await begin(id)).toBe('CLOSING');
    await sql`update chain_transactions set status = 'FAILED' where id = ${id}`.execute(db);
    await abandon(id);
    expect(await isClosing(id)).toBe(false);
  });
});

describe('the sponsor’s balance', () => {
  let network: Network;
  const asset = { code: 'USDC', issuer: 'G', contract: 'C' };
  const watch = (rpc: Network['rpc'], sponsorDaysMin: number) =>
    watchSponsor({
      orm,
      rpc: { ...rpc, pinned: async () => rpc },
      network: { name: 'sandbox', passphrase: network.passphrase, assets: [asset] } as never,
      sponsorAddress: network.sponsor.publicKey,
      sponsorDaysMin,
      log: pino({ level: 'silent' }),
    });
  const later = () => sql`update sponsor_balances set at = now() - interval '1 hour'`.execute(db);
  const open = async () =>
    (
      await sql<{ detail: Record<string, unknown> }>`
        select detail from attention where reason = 'SPONSOR_LOW' and cleared_at is null`.execute(db)
    ).rows.map(({ detail }) => detail);

  beforeAll(async () => {
    network = await startNetwork();
    await network.provision(['wallet']);
  });
  afterAll(() => network.close());
  beforeEach(async () => {
    await sql`delete from wallets`.execute(db);
  });

  test('lasts for what is free of it, divided by what fees and reserves took per day', async () => {
    await sql`
      insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, status, source, sequence, max_time,
        unsigned_envelope, inner_hash, fee_charged, created_at)
      select 'fee' || n, 'fee' || n, 1, '{}', 'w', 'CONFIRMED', 'G', n, 1, '', 'fee' || n, ${100n * XLM}::bigint,
        now() - interval '4 days' + n * interval '1 hour'
      from generate_series(1, 10) n`.execute(db);
    for (let index = 0; index < 4; index += 1) await wallet('USER', newId('user'));
    await watch(network.rpc, 7);
    const { value } = await network.rpc.account(network.sponsor.publicKey);
    // Two reserves of its own, and the account with its trustline that it sponsors.
    const free = (value?.balance ?? 0n) - 25_000_000n;
    const { rows } = await sql<{ available: string; burn: string }>`
      select available::text, burn_per_day::text as burn from sponsor_balances`.execute(db);
    expect(BigInt(rows[0]?.available ?? 0)).toBe(free);
    // Ten fees of 100 XLM and four wallets of 1.5 XLM in somewhat less than four days.
    const perDay = BigInt(rows[0]?.burn ?? 0);
    expect(perDay).toBeGreaterThan((1_006n * XLM) / 4n);
    expect(perDay).toBeLessThan((1_010n * XLM * 10n) / 39n);
    expect(await sponsorDaysLeft(db, 'sandbox')).toBeCloseTo(Number((free * 100n) / perDay) / 100, 0);
    expect(await open()).toEqual([]);
  });

  test('is on the attention list while it lasts for too few days, and off it after somebody paid in', async () => {
    await later();
    await watch(network.rpc, 1_000);
    expect(await open()).toMatchObject([{ address: network.sponsor.publicKey, days_left: expect.any(Number) }]);
    await later();
    await watch(network.rpc, 1_000);
    expect(await open()).toHaveLength(1);
    const body = JSON.stringify({ address: network.sponsor.publicKey, amount: '9000000', asset: 'native' });
    await fetch(`${network.sandbox.url}/control/faucet`, { method: 'POST', body });
    network.sandbox.core.closeLedger();
    await later();
    await watch(network.rpc, 1_000);
    expect(await open()).toEqual([]);
  });

  test('is not asked for more than every ten minutes', async () => {
    const silent = { ...network.rpc, account: () => Promise.reject(new Error('was asked')) };
    await watch(silent, 7);
    await later();
    await expect(watch(silent, 7)).rejects.toThrow('was asked');
  });
});
