/** Whose sequence number a transaction uses: spread over pools, kept until it is over. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { acquireLease } from '../../activities/chain/leases.ts';
import { pickSource } from '../../activities/chain/sources.ts';
import { readOrder } from '../../activities/booking/order-row.ts';
import { completeRoles } from '../../activities/escrow/roles.ts';
import { createClosingActivities } from '../../activities/wallets/closing.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { fillPools, insertMarketplace, walletsReady } from '../../db/resources/marketplace.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { DEFAULT_DEADLINES } from '../../domain/order/deadlines.ts';
import { ensureChannels, ensureDeploymentWallets, ensurePools } from '../../worker/boot.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/wait.ts';

const SPONSOR = 'GSPONSOR';
const POOLS = { OPERATOR: 3, RESOLVER: 2 };
const TERMS = {
  name: 'Market',
  default_asset: 'USDC',
  platform_fee_bps: 0,
  payment_provider: 'crypto-native',
  deadlines: DEFAULT_DEADLINES,
  approvalThreshold: null,
} as const;

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
beforeEach(async () => {
  for (const table of ['source_leases', 'escrows', 'orders', 'wallets', 'marketplaces'])
    await sql`delete from ${sql.table(table)}`.execute(db);
});

/** What the provisioner does, as far as the rows show it. */
const provision = () => sql`update wallets set status = 'READY', address = 'G' || id where address is null`.execute(db);
const channels = async (count: number): Promise<void> => {
  await inTransaction(orm, (trx) => ensureChannels(trx, count));
  await provision();
};
const pick = (owner: string) => pickSource(db, { sponsorAddress: SPONSOR }, owner);

async function marketplace(): Promise<string> {
  const { marketplace: made } = await inTransaction(orm, (trx) => insertMarketplace(trx, TERMS, POOLS));
  return made.id;
}

async function user(marketplaceId: string): Promise<string> {
  const id = newId('user');
  await sql`
    insert into users (id, marketplace_id, external_user_id, status, metadata, created_at, updated_at)
    values (${id}, ${marketplaceId}, ${id}, 'ACTIVE', '{}', now(), now())`.execute(db);
  await sql`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
    values (${newId('wallet')}, ${marketplaceId}, ${id}, 'USER', 'crypto-native', 'PROVISIONING', now(), now())`.execute(
    db,
  );
  return id;
}

/** An order whose escrow is being made. */
async function orderBeingDeployed(marketplaceId: string, buyerId: string, sellerId: string): Promise<string> {
  const id = newId('order');
  await sql`
    insert into orders (id, marketplace_id, body_hash, buyer_id, seller_id, amount, asset, title, platform_fee_bps, auto,
      status, deadlines, due_times, metadata, created_at, updated_at)
    values (${id}, ${marketplaceId}, '', ${buyerId}, ${sellerId}, 1, 'USDC', 'Logo', 0, false, 'ESCROW_CREATING', '{}', '{}',
      '{}', now(), now())`.execute(db);
  await sql`
    insert into escrows (id, order_id, marketplace_id, type, status, gateway, amount, asset, platform_fee_bps, factory_id,
      wasm_hash, wallets, created_at, updated_at)
    values (${newId('escrow')}, ${id}, ${marketplaceId}, 'SINGLE_RELEASE', 'CREATING', 'direct', 1, 'USDC', 0, 'C', '',
      'null'::jsonb, now(), now())`.execute(db);
  return id;
}

/** So many stand in front of a lock. */
const untilWaiting = (count: number): Promise<boolean> =>
  eventually(async () => {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    return rows[0]?.n === count;
  });

const counts = (names: readonly string[]): Map<string, number> => {
  const by = new Map<string, number>();
  for (const name of names) by.set(name, (by.get(name) ?? 0) + 1);
  return by;
};

test('before there is a channel the sponsor is the source, and stays it for what began with it', async () => {
  await ensureDeploymentWallets(orm, SPONSOR);
  expect(await pick('first')).toEqual({ address: SPONSOR, channel: null });
  await acquireLease(db, SPONSOR, 'first', 3);
  await provision();
  expect((await pick('first')).address).toBe(SPONSOR);
  expect((await pick('second')).channel).not.toBeNull();
});

test('what comes takes the channel with the fewest waiting', async () => {
  await channels(4);
  const taken: string[] = [];
  for (let index = 0; index < 12; index += 1) {
    const { address } = await pick(`intent ${index}`);
    await acquireLease(db, address, `intent ${index}`, 3);
    taken.push(address);
  }
  expect([...counts(taken).values()]).toEqual([3, 3, 3, 3]);
});

test('an intent keeps its channel from its first attempt to its last', async () => {
  await channels(5);
  const { address } = await pick('mine');
  await acquireLease(db, address, 'mine', 3);
  // The busiest one by far: whoever is free to choose would choose another.
  for (const other of ['a', 'b', 'c']) await acquireLease(db, address, other, 3);
  for (let look = 0; look < 10; look += 1) expect((await pick('mine')).address).toBe(address);
});

test('deploys spread over the channels, releases and resolutions over the pools; an order keeps what it got', async () => {
  await channels(4);
  const marketplaceId = await marketplace();
  const [buyer, seller] = [await user(marketplaceId), await user(marketplaceId)];
  await provision();
  const assigned = [];
  for (let index = 0; index < 24; index += 1) {
    const id = await orderBeingDeployed(marketplaceId, buyer, seller);
    const order = await readOrder(db, id);
    const wallets = await completeRoles(orm, order);
    expect(await completeRoles(orm, order)).toEqual(wallets);
    if (wallets !== null) assigned.push(wallets);
  }
  expect([...counts(assigned.map(({ deploy_signer }) => deploy_signer.address)).values()]).toEqual([6, 6, 6, 6]);
  // By a hash of the order: not even, but nobody is left out.
  expect(counts(assigned.map(({ release_signer }) => release_signer.address)).size).toBeGreaterThan(1);
  expect(counts(assigned.map(({ dispute_resolver }) => dispute_resolver.address)).size).toBeGreaterThan(1);
  for (const { dispute_resolver, release_signer } of assigned)
    expect(dispute_resolver.address).not.toBe(release_signer.address);
});

test('a wallet that is being closed gets no role', async () => {
  await channels(1);
  const marketplaceId = await marketplace();
  const [buyer, seller] = [await user(marketplaceId), await user(marketplaceId)];
  await provision();
  const order = await readOrder(db, await orderBeingDeployed(marketplaceId, buyer, seller));
  await sql`update wallets set closing_at = now() where user_id = ${seller}`.execute(db);
  expect(await completeRoles(orm, order)).toBeNull();
  await sql`update wallets set closing_at = null`.execute(db);
  expect(await completeRoles(orm, order)).not.toBeNull();
});

test('a wallet is not closed while it is being chosen, nor chosen while it is being closed', async () => {
  await channels(1);
  const marketplaceId = await marketplace();
  const [buyer, seller] = [await user(marketplaceId), await user(marketplaceId)];
  await provision();
  const order = await readOrder(db, await orderBeingDeployed(marketplaceId, buyer, seller));
  const operator = async (assigned: ReturnType<typeof completeRoles>) =>
    (await assigned)?.release_signer.wallet_id ?? '';
  const chosen = await operator(completeRoles(orm, order));
  const undecided = () => sql`update escrows set wallets = 'null'::jsonb`.execute(db);
  let assigned: Promise<unknown> = Promise.resolve();
  let closing = assigned;

  await undecided();
  await inTransaction(orm, async (trx) => {
    await sql`select from escrows for update`.execute(trx);
    assigned = operator(completeRoles(orm, order));
    await untilWaiting(1);
    closing = createClosingActivities({ orm })
      .beginClosing({ wallet_id: chosen })
      .catch((error: unknown) => error);
    await untilWaiting(2);
  });
  expect(await assigned).toBe(chosen);
  expect(await closing).toMatchObject({ type: 'INVALID_STATE', message: expect.stringContaining(order.id) });

  await undecided();
  await inTransaction(orm, async (trx) => {
    await sql`update wallets set closing_at = now() where id = ${chosen}`.execute(trx);
    assigned = operator(completeRoles(orm, order));
    await untilWaiting(1);
  });
  expect(await assigned).not.toBe(chosen);
});

test('pools that were made larger are filled, and a marketplace works as soon as one wallet of each kind is there', async () => {
  const marketplaceId = await marketplace();
  expect(await walletsReady(db, marketplaceId)).toBe(false);
  await sql`
    update wallets w set status = 'READY' from (select distinct on (kind) id from wallets order by kind, id) first
    where first.id = w.id`.execute(db);
  expect(await walletsReady(db, marketplaceId)).toBe(true);
  await Promise.all([1, 2, 3].map(() => ensurePools(orm, { OPERATOR: 5, RESOLVER: 1 })));
  const { rows } = await sql<{ kind: string; n: number }>`
    select kind, count(*)::int as n from wallets group by kind order by kind`.execute(db);
  expect(rows).toEqual([
    { kind: 'FEE', n: 1 },
    { kind: 'OPERATOR', n: 5 },
    { kind: 'RESOLVER', n: 2 },
  ]);
  expect(await fillPools(db, marketplaceId, POOLS)).toEqual([]);
});

test('channels are brought up to a number, whoever asks at the same time', async () => {
  const added = await Promise.all([1, 2, 3].map(() => inTransaction(orm, (trx) => ensureChannels(trx, 7))));
  expect(added.sort()).toEqual([0, 0, 7]);
  expect(await inTransaction(orm, (trx) => ensureChannels(trx, 5))).toBe(0);
});
