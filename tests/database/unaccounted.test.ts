/** Rows that are older than the chain: what our accounts did since is found by sequence numbers and keeps others waiting. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Account, Asset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import type { Target } from '../../activities/chain/target.ts';
import { accountsOf, findUnaccounted, judge, settleUnaccounted } from '../../activities/chain/unaccounted.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { hashes } from '../../providers/chain/envelope.ts';
import { type Network, startNetwork } from '../contract/network.ts';
import { createTestDatabase } from '../support/database.ts';

let net: Network;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: Orm;

beforeAll(async () => {
  [net, database] = await Promise.all([startNetwork(), createTestDatabase()]);
  orm = await openOrm({ url: database.ownerUrl });
  await net.provision(['user', 'channel', 'own']);
  for (const name of ['user', 'own']) await net.faucet(name, '100');
});
afterAll(async () => {
  await orm.close();
  await Promise.all([net.close(), database.drop()]);
});
beforeEach(async () => {
  for (const table of ['wallets', 'chain_transactions', 'unaccounted_transactions', 'attention', 'escrows'])
    await sql`delete from ${sql.table(table)}`.execute(pool(orm));
  await Promise.all([wallet('user', 'USER'), wallet('channel', 'CHANNEL'), wallet('own', 'USER', 'external-wallet')]);
  await sql`insert into wallets (id, kind, provider, status, address, created_at, updated_at)
    values ('wal_sponsor', 'SPONSOR', 'crypto-native', 'READY', ${net.sponsor.publicKey}, now(), now())`.execute(
    pool(orm),
  );
  for (const name of ['user', 'channel']) await know(name, await sequenceOf(name));
});

const wallet = (name: string, kind: string, provider = 'crypto-native') =>
  sql`insert into wallets (id, kind, provider, status, address, created_at, updated_at)
    values (${`wal_${name}`}, ${kind}, ${provider}, 'READY', ${net.address(name)}, now(), now())`.execute(pool(orm));

const sequenceOf = async (name: string): Promise<bigint> =>
  (await net.rpc.account(net.address(name))).value?.sequence ?? 0n;

/** A row as a settled transaction leaves it. */
const know = (name: string, sequence: bigint, status = 'CONFIRMED', hash = `${name}/${sequence}`) =>
  sql`insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, status, source, sequence, max_time,
      unsigned_envelope, inner_hash, created_at)
    values (${hash}, ${hash}, 1, '{}', 'w', ${status}, ${net.address(name)}, ${sequence}, 1, '', ${hash}, now())`.execute(
    pool(orm),
  );

/** A payment in a transaction of `source`; answers its hash. */
async function pay(source: string, from: string, amount = '1'): Promise<string> {
  const { closedAt } = await net.rpc.latestLedger();
  const envelope = new TransactionBuilder(new Account(net.address(source), String(await sequenceOf(source))), {
    fee: '0',
    networkPassphrase: net.passphrase,
    timebounds: { minTime: 0, maxTime: closedAt + 120 },
  })
    .addOperation(
      Operation.payment({
        source: net.address(from),
        destination: net.address('own'),
        asset: new Asset(net.asset.code, net.asset.issuer),
        amount,
      }),
    )
    .build()
    .toXdr();
  await net.land(envelope, [...new Set([source, from])]);
  return hashes(envelope, net.passphrase).hash;
}

const find = () => findUnaccounted({ orm, rpc: net.rpc, history: net.history }, 'recover');

const target = (source: string, call: Target['call'] = null, orderId: string | null = null): Target => ({
  source: net.address(source),
  marketplaceId: null,
  orderId,
  signatories: [{ walletId: `wal_${source}`, address: net.address(source) }],
  sponsorSigns: false,
  call,
  build: async () => '',
  verify: async () => ({ verdict: { verdict: 'STALE', reason: '' }, ledger: 0 }),
});
const refused = async (source: string, ...rest: [Target['call']?, (string | null)?]) => {
  const [of, sequence] = [target(source, ...rest), (await sequenceOf(source)) + 1n];
  const [found] = (await accountsOf(of, sequence).execute(pool(orm))).rows;
  if (found === undefined) throw new Error('a select without from has one row');
  return judge(of, sequence, found)?.type ?? null;
};

test('rows that know every transaction leave everybody alone', async () => {
  expect(await find()).toEqual([]);
  for (const source of ['user', 'channel', 'own']) expect(await refused(source)).toBeNull();
});

test('an account that no transaction has used yet may be used; one that was used before the rows began may not', async () => {
  await net.provision(['fresh']);
  await wallet('fresh', 'USER');
  expect(await refused('fresh')).toBeNull();
  await sql`delete from chain_transactions`.execute(pool(orm));
  await pay('user', 'user');
  expect(await refused('user')).toBe('BOOKS_DIFFER');
});

test('a sequence number that the rows do not know stops its account, until recover has written it down', async () => {
  const known = await pay('channel', 'user');
  await know('channel', await sequenceOf('channel'), 'SIGNED', known);
  const lost = [await pay('channel', 'user'), await pay('channel', 'user')];
  expect(await refused('channel')).toBe('BOOKS_DIFFER');
  const found = await find();
  expect(found.map(({ hash }) => hash).toSorted()).toEqual(lost.toSorted());
  expect(found.every(({ involved }) => involved.includes(net.address('user')))).toBe(true);
  expect(await refused('channel')).toBeNull();
  expect(await find()).toEqual([]);
});

test('what was prepared, or is dead, has used no number: it hides nothing', async () => {
  await pay('user', 'user');
  const used = await sequenceOf('user');
  for (const status of ['PREPARED', 'DEAD']) await know('user', used, status, status);
  expect(await refused('user')).toBe('BOOKS_DIFFER');
  expect(await find()).toHaveLength(1);
});

test('whose money may have moved is not moved again before an operator has settled it', async () => {
  const hash = await pay('channel', 'user');
  await find();
  // Paid through a channel: the user's own number did not change.
  expect(await refused('user')).toBe('BOOKS_DIFFER');
  const { rows } = await sql<{ resource_id: string }>`
    select resource_id from attention where cleared_at is null`.execute(pool(orm));
  expect(rows).toEqual([{ resource_id: hash }]);
  await settleUnaccounted(orm, hash, 'booked by hand');
  expect(await refused('user')).toBeNull();
  await expect(settleUnaccounted(orm, hash, 'again')).rejects.toThrow('not among the transactions');
});

test('the sponsor and wallets of users’ own may be used by others', async () => {
  await pay('own', 'own', '0.5');
  expect(await refused('own')).toBeNull();
  expect(await find()).toEqual([]);
});

test('a transaction that failed used its number and nothing else', async () => {
  await pay('user', 'user', '99999');
  expect(await find()).toHaveLength(1);
  expect(await refused('user')).toBeNull();
  const { rows } = await sql`select from attention`.execute(pool(orm));
  expect(rows).toEqual([]);
});
