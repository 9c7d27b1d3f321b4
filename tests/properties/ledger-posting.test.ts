/**
 * Goal: the posting function keeps its promises when callers race, repeat themselves or ask for nonsense, and nobody can
 * go round it. Method: real connections at once, each in its own transaction.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { IsolationLevel } from '@mikro-orm/core';
import { sql } from 'kysely';
import { cancelReservation, deposit, fundConfirmed, fundSaved, reserve } from '../../db/ledger/balances.ts';
import { type AccountRef, LedgerError, type Posted, type Sql, type Transfer, post } from '../../db/ledger/post.ts';
import { balance } from '../../db/ledger/statement.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { MAX_STROOPS } from '../../domain/money.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/wait.ts';
import { ASSET, type World, createWorld, transact } from './ledger-world.ts';

let database: TestDatabase;
let orm: Orm;
let owner: Orm;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl, poolMax: 24 });
  owner = await openOrm({ url: database.ownerUrl, poolMax: 2 });
});
afterAll(async () => {
  await orm?.close();
  await owner?.close();
  await database?.drop();
});

const many = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

/** How often each outcome came, e.g. `{ OK: 1, PENDING_EXISTS: 19 }`. */
const tally = (results: readonly { outcome: string }[]): Record<string, number> =>
  results.reduce<Record<string, number>>((all, { outcome }) => ({ ...all, [outcome]: (all[outcome] ?? 0) + 1 }), {});

const chain = { transactionHash: 'cd'.repeat(32), ledgerSeq: 9 };
const key = (world: World, step: string, updateId = '') => ({ workflowId: `w/${world.marketplaceId}`, step, updateId });
const terms = (world: World) => ({ marketplaceId: world.marketplaceId, asset: ASSET });
const connection = (): Sql => orm.em.fork().getKysely();

function paidIn(world: World, amount: bigint, step = 'deposit'): (trx: Sql) => Promise<Posted> {
  const resource = { type: 'movement', id: step };
  const to = { userId: world.user(0), walletId: world.wallet(0) };
  return (trx) => deposit(trx, key(world, step), { ...terms(world), ...chain, ...to, amount, resource });
}

async function richWorld(amount: bigint): Promise<World> {
  const world = await createWorld(orm);
  await transact(orm, paidIn(world, amount));
  return world;
}

const reservation =
  (world: World, orderId: string, amount: bigint, updateId = '') =>
  (trx: Sql) =>
    reserve(trx, key(world, `reserve ${orderId}`, updateId), {
      ...terms(world),
      buyerId: world.user(0),
      orderId,
      amount,
    });

const funds = (world: World, user = 0) => balance(connection(), { ...terms(world), userId: world.user(user) });

async function transfersOf(world: World): Promise<number> {
  const counted = sql<{ n: number }>`
    select count(*)::int as n from ledger_transfers where marketplace_id = ${world.marketplaceId}`;
  return (await counted.execute(connection())).rows[0]?.n ?? 0;
}

describe('at once', () => {
  test('of 20 reservations on a balance that covers 7, exactly 7 are made (F13, F34)', async () => {
    const world = await richWorld(75n);
    const results = await many(20, (index) => transact(orm, reservation(world, `${world.order(0)}-${index}`, 10n)));
    expect(tally(results)).toEqual({ OK: 7, INSUFFICIENT_FUNDS: 13 });
    expect(await funds(world)).toMatchObject({ available: 5n, reserved: 70n, total: 75n });
  });

  test('of 20 reservations for one order, one is made: money is held for it once', async () => {
    const world = await richWorld(1000n);
    const results = await many(20, (index) => transact(orm, reservation(world, world.order(0), 10n, `u${index}`)));
    expect(tally(results)).toEqual({ OK: 1, PENDING_EXISTS: 19 });
    expect(await funds(world)).toMatchObject({ available: 990n, reserved: 10n });
  });

  test('one step run 20 times at once is booked once, and all 20 get its answer', async () => {
    const world = await richWorld(1000n);
    const before = await transfersOf(world);
    const results = await many(20, () => transact(orm, reservation(world, world.order(0), 10n)));
    expect(tally(results)).toEqual({ OK: 20 });
    expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect((await transfersOf(world)) - before).toBe(1);
  });

  test('a pending transfer that is posted and voided at once is settled once', async () => {
    const world = await richWorld(100n);
    const ids = { orderId: world.order(0), escrowId: world.escrow(0) };
    const money = { ...terms(world), ...ids, funder: { walletId: world.wallet(0) }, amount: 30n };
    await transact(orm, reservation(world, ids.orderId, 30n));
    await transact(orm, (trx) => fundSaved(trx, key(world, 'saved'), money));
    const results = await many(20, (index) =>
      transact(orm, (trx) =>
        index % 2 === 0
          ? fundConfirmed(trx, key(world, 'confirmed', `${index}`), { ...money, ...chain })
          : cancelReservation(trx, key(world, 'cancel', `${index}`), { ...terms(world), ...ids }),
      ),
    );
    const { available, reserved } = await funds(world);
    // whoever came first won; a VOID that finds it voided already has nothing to do
    expect([
      { tally: { OK: 1, PENDING_SETTLED: 19 }, available: 70n, reserved: 0n },
      { tally: { OK: 10, PENDING_SETTLED: 10 }, available: 100n, reserved: 0n },
    ]).toContainEqual({ tally: tally(results), available, reserved });
  });

  test('batches that open the same accounts in opposite orders neither block each other nor open one twice', async () => {
    const world = await createWorld(orm);
    const account = (name: string): AccountRef => ({
      kind: 'suspense',
      ownerId: `${name}-${world.marketplaceId}`,
      asset: ASSET,
    });
    const names = ['a', 'b', 'c', 'd'];
    const results = await many(20, (index) => {
      const order = index % 2 === 0 ? names : names.toReversed();
      const transfers = order.slice(1).map((name, place): Transfer => {
        const from = account(order[place] ?? '');
        return {
          kind: 'POSTED',
          debit: from,
          credit: account(name),
          amount: 1n,
          code: 'UNEXPLAINED',
          resource: { type: 'movement', id: `${index}` },
        };
      });
      const batch = { key: key(world, `chain ${index}`), marketplaceId: world.marketplaceId, transfers };
      return transact(orm, (trx) => post(trx, batch));
    });
    expect(tally(results)).toEqual({ OK: 20 });
    expect(await transfersOf(world)).toBe(60);
  });

  test('money out of a hot account stops at zero: who asks later waits for the one before (F38)', async () => {
    const world = await createWorld(orm);
    const equity: AccountRef = { kind: 'platform.equity', ownerId: world.marketplaceId, asset: ASSET, hot: true };
    const spend = (index: number) => (trx: Sql) =>
      post(trx, {
        key: key(world, `spend ${index}`),
        marketplaceId: world.marketplaceId,
        transfers: [
          {
            kind: 'POSTED',
            debit: equity,
            credit: { kind: 'user.funds', ownerId: `${world.user(0)}-${index}`, asset: ASSET },
            amount: 1n,
            code: 'PAYOUT',
            resource: { type: 'order', id: `${index}` },
          },
        ],
      });
    await transact(orm, (trx) =>
      deposit(trx, key(world, 'in'), {
        ...terms(world),
        ...chain,
        userId: null,
        walletId: world.platformWallet,
        amount: 10n,
        resource: { type: 'movement', id: 'in' },
      }),
    );
    const first = await orm.em.fork().getKysely().startTransaction().execute();
    await spend(0)(first);
    const others = many(19, (index) => transact(orm, spend(index + 1)));
    const queued = sql<{ n: number }>`select count(*)::int as n from pg_locks
      where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`;
    await eventually(async () => (await queued.execute(owner.em.fork().getKysely())).rows[0]?.n === 19);
    await first.commit().execute();
    expect(tally(await others)).toEqual({ OK: 9, INSUFFICIENT_FUNDS: 10 });
  });

  test('folding hot accounts misses no transfer that commits later than a younger one', async () => {
    const world = await createWorld(orm);
    const paid = (step: string) => (trx: Sql) =>
      deposit(trx, key(world, step), {
        ...terms(world),
        ...chain,
        userId: null,
        walletId: world.platformWallet,
        amount: 5n,
        resource: { type: 'movement', id: step },
      });
    await transact(orm, paid('first'));
    const late = await orm.em.fork().getKysely().startTransaction().execute();
    await paid('late')(late);
    await transact(orm, paid('early'));
    const fold = () => sql`select ledger_fold()`.execute(connection());
    await fold();
    await late.commit().execute();
    await transact(orm, paid('after'));
    const read = sql<{ posted: string }>`select credits_posted::text as posted from ledger_balances
      where kind = 'platform.equity' and marketplace_id = ${world.marketplaceId}`;
    expect((await read.execute(connection())).rows).toEqual([{ posted: '20' }]);
    await fold();
    expect((await read.execute(connection())).rows).toEqual([{ posted: '20' }]);
  });
});

describe('again', () => {
  test('a step repeated after its money has moved on is answered from the books, not judged anew', async () => {
    const world = await richWorld(10n);
    const held = reservation(world, world.order(0), 10n);
    expect(await transact(orm, held)).toEqual({ outcome: 'OK', replayed: false });
    await transact(orm, (trx) =>
      cancelReservation(trx, key(world, 'cancel'), { ...terms(world), orderId: world.order(0) }),
    );
    expect(await transact(orm, held)).toEqual({ outcome: 'OK', replayed: true });
    expect(await funds(world)).toMatchObject({ available: 10n, reserved: 0n });
  });

  test('the same step with other content is refused, whatever differs', async () => {
    const world = await richWorld(100n);
    await transact(orm, reservation(world, world.order(0), 10n));
    const wrong = { outcome: 'CONTENT_DIFFERS', replayed: false };
    expect(await transact(orm, reservation(world, world.order(0), 11n))).toEqual(wrong);
    expect(await transact(orm, paidIn({ ...world, user: (n) => world.user(n + 1) }, 100n))).toEqual(wrong);
    expect(await transact(orm, paidIn(world, 100n))).toEqual({ outcome: 'OK', replayed: true });
  });

  test('an attempt with a new update id gets the next generation and ids of its own; a repeat finds its own', async () => {
    const world = await richWorld(100n);
    const attempt = (updateId: string) =>
      orm.em.fork().transactional(async (em) => {
        const trx = em.getKysely();
        const posted = await reservation(world, world.order(0), 10n, updateId)(trx);
        const cancel = key(world, 'cancel', updateId);
        await cancelReservation(trx, cancel, { ...terms(world), orderId: world.order(0) });
        return posted;
      });
    const first = await attempt('u1');
    const second = await attempt('u2');
    expect([first.generation, second.generation]).toEqual([1, 2]);
    expect(second.transferIds).not.toEqual(first.transferIds);
    expect(await attempt('u1')).toEqual({ ...first, replayed: true });
  });

  test('a transaction that is rolled back leaves neither money nor key', async () => {
    const world = await richWorld(100n);
    const held = reservation(world, world.order(0), 10n);
    const crash = orm.em.fork().transactional(async (em) => {
      await held(em.getKysely());
      throw new Error('the process dies here');
    });
    await expect(crash).rejects.toThrow('dies here');
    expect(await funds(world)).toMatchObject({ available: 100n, reserved: 0n });
    expect(await transact(orm, held)).toEqual({ outcome: 'OK', replayed: false });
  });
});

describe('nonsense', () => {
  const from: AccountRef = { kind: 'suspense', ownerId: 'one', asset: ASSET };
  const to: AccountRef = { kind: 'suspense', ownerId: 'two', asset: ASSET };
  const good: Extract<Transfer, { debit: unknown }> = {
    kind: 'POSTED',
    debit: from,
    credit: to,
    amount: 1n,
    code: 'UNEXPLAINED',
    resource: { type: 'movement', id: 'm' },
  };

  test.each<[string, Transfer]>([
    ['of nothing', { ...good, amount: 0n }],
    ['of less than nothing', { ...good, amount: -1n }],
    ['of more than the network can express', { ...good, amount: MAX_STROOPS + 1n }],
    ['from an account to itself (F36)', { ...good, credit: from }],
  ])('a transfer %s is refused, and its whole batch with it', async (_, bad) => {
    const world = await createWorld(orm);
    const batch = { key: key(world, 'bad'), marketplaceId: world.marketplaceId, transfers: [good, bad] };
    expect(await transact(orm, (trx) => post(trx, batch))).toMatchObject({ outcome: 'INVALID' });
    expect(await transfersOf(world)).toBe(0);
  });

  test('sums beyond 64 bits are counted exactly', async () => {
    const world = await richWorld(MAX_STROOPS);
    await transact(orm, paidIn(world, MAX_STROOPS, 'second'));
    expect(await funds(world)).toMatchObject({ available: 2n * MAX_STROOPS });
  });

  test('a transaction that cannot see what others committed is refused (F32)', async () => {
    const world = await createWorld(orm);
    const stale = orm.em
      .fork()
      .transactional((em) => paidIn(world, 1n)(em.getKysely()), { isolationLevel: IsolationLevel.REPEATABLE_READ });
    await expect(stale).rejects.toThrow(LedgerError);
  });

  test('another marketplace’s reservation cannot be voided', async () => {
    const world = await richWorld(10n);
    const other = await createWorld(orm);
    await transact(orm, reservation(world, world.order(0), 10n));
    const attempt = { marketplaceId: other.marketplaceId, orderId: world.order(0) };
    await transact(orm, (trx) => cancelReservation(trx, key(other, 'cancel'), attempt));
    expect(await funds(world)).toMatchObject({ available: 0n, reserved: 10n });
  });
});

describe('going round the posting function', () => {
  const tables = ['ledger_accounts', 'ledger_transfers', 'ledger_generations', 'ledger_checkpoints'];

  test.each(tables)('the application’s role can read %s and write nothing there', async (table) => {
    const run = (statement: string) => orm.em.fork().execute(statement);
    await run(`select * from ${table} limit 1`);
    for (const statement of [
      `insert into ${table} default values`,
      `update ${table} set created_at = now()`,
      `delete from ${table}`,
      `truncate ${table}`,
      `select * from ${table} for update`,
      `drop table ${table}`,
      `alter table ${table} disable trigger all`,
    ])
      await expect(run(statement)).rejects.toThrow(/permission denied|must be owner/);
  });

  test('the application’s role cannot replace the posting function', async () => {
    const replace = `create or replace function ledger_fold() returns bigint language sql as 'select 1::bigint'`;
    await expect(orm.em.fork().execute(replace)).rejects.toThrow(/permission denied|must be owner/);
  });

  test('not even the owner changes or deletes what is booked', async () => {
    await richWorld(1n);
    for (const statement of [
      'update ledger_transfers set amount = amount + 1',
      'delete from ledger_transfers',
      'truncate ledger_transfers',
      'delete from ledger_generations',
      'delete from ledger_accounts',
    ])
      await expect(owner.em.fork().execute(statement)).rejects.toThrow(/append-only/);
  });
});
