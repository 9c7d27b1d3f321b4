/**
 * Goal: each invariant is really looked at. Method: coherent books are broken in one way, behind the ledger's back and
 * inside a transaction that is rolled back, and the check must name what was broken.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawBuilder, sql } from 'kysely';
import { ChainTransaction } from '../../db/entities/chain.ts';
import { NetworkCursor } from '../../db/entities/wallets.ts';
import { reserve, unexplained } from '../../db/ledger/balances.ts';
import { type AccountRef, type Sql, post } from '../../db/ledger/post.ts';
import { type ChainBalances, type Verification, verifyLedger } from '../../db/ledger/verify.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { orderAmount } from './ledger-model.ts';
import { ASSET, type World, createWorld, execute } from './ledger-world.ts';

/** The ledger at which everything of the world was booked (`execute`), and the one the chain is read at. */
const BOOKED_AT = 7;
const READ_AT = 40;

let database: TestDatabase;
let app: Orm;
let owner: Orm;
let world: World;

beforeAll(async () => {
  database = await createTestDatabase();
  app = await openOrm({ url: database.appUrl });
  owner = await openOrm({ url: database.ownerUrl, poolMax: 2 });
  world = await createWorld(app);
  const run = async (step: string, command: Parameters<typeof execute>[3]) =>
    expect(await execute(app, world, step, command)).toEqual({ outcome: 'OK', replayed: false });
  await run('deposit', { type: 'deposit', user: 0, amount: 200n });
  await run('equity', { type: 'deposit', user: null, amount: 5n });
  await run('reserve 0', { type: 'reserve', order: 0 });
  await run('saved 0', { type: 'fundSaved', order: 0 });
  await run('confirmed 0', { type: 'fundConfirmed', order: 0 });
  await run('paid 0', {
    type: 'payout',
    order: 0,
    shares: [
      { to: 'SELLER', amount: 20n },
      { to: 'PLATFORM', amount: 2n },
    ],
  });
  await run('reserve 2', { type: 'reserve', order: 2 });
  await run('saved 2', { type: 'fundSaved', order: 2 });
  const em = app.em.fork();
  await em.insert(ChainTransaction, chainTransaction(world.order(2)));
  await em.insert(NetworkCursor, {
    network: 'sandbox',
    reader: 'chain',
    cursor: '0',
    ledger: READ_AT,
    updatedAt: new Date(0),
  });
});
afterAll(async () => {
  await app?.close();
  await owner?.close();
  await database?.drop();
});

const chainTransaction = (orderId: string) => ({
  id: `ctx_${orderId}`,
  intentKey: orderId,
  attempt: 1,
  intent: { kind: 'FUND_ESCROW', orderId } as const,
  workflowId: `order/${orderId}`,
  marketplaceId: world.marketplaceId,
  orderId,
  status: 'SIGNED' as const,
  source: 'G',
  sequence: 1n,
  maxTime: 1n,
  unsignedEnvelope: '',
  innerHash: orderId,
  createdAt: new Date(0),
});

class RolledBack extends Error {}

/** What the check says after `tamper`; nothing of it stays. The schema's owner can do what no one else can. */
async function afterwards(tamper: (trx: Sql) => Promise<unknown>, chain?: ChainBalances): Promise<Verification> {
  let seen: Verification | undefined;
  const work = owner.em.fork().transactional(async (em) => {
    const trx = em.getKysely();
    await tamper(trx);
    seen = await verifyLedger({ trx, ...(chain === undefined ? {} : { chain }) });
    throw new RolledBack();
  });
  await expect(work).rejects.toThrow(RolledBack);
  if (seen === undefined) throw new Error('not verified');
  return seen;
}

const broken = ({ violations }: Verification) => [...new Set(violations.map(({ invariant }) => invariant))].sort();
const all =
  (...statements: RawBuilder<unknown>[]) =>
  async (trx: Sql) => {
    for (const statement of statements) await statement.execute(trx);
  };
const funds = (user: number): AccountRef => ({ kind: 'user.funds', ownerId: world.user(user), asset: ASSET });
const escrowed = (order: number): AccountRef => ({ kind: 'order.escrow', ownerId: world.order(order), asset: ASSET });
const misbook = (debit: AccountRef, credit: AccountRef) => (trx: Sql) =>
  post(trx, {
    key: { workflowId: 'wrong', step: 'wrong' },
    marketplaceId: world.marketplaceId,
    transfers: [
      { kind: 'POSTED', debit, credit, amount: 1n, code: 'PAYOUT', resource: { type: 'order', id: world.order(0) } },
    ],
  });

test('books that only the service wrote are coherent', async () => {
  const verification = await verifyLedger({ trx: app.em.fork().getKysely() });
  expect(verification).toMatchObject({ coherent: true, violations: [], unsettled: [] });
  expect(verification.checked.transfers).toBe(12);
});

describe('the check names', () => {
  test('L1: a counter that has no counterpart', async () => {
    const tamper = sql`update ledger_accounts set credits_posted = credits_posted + 1 where owner_id = ${world.user(0)}`;
    expect(broken(await afterwards(all(tamper)))).toEqual(['L1', 'L2', 'L4', 'L5']);
  });

  test('L2: counters that balance but that no transfer explains, and a transfer no counter knows', async () => {
    const debit = sql`update ledger_accounts set debits_posted = debits_posted + 1 where owner_id = ${world.wallet(0)}`;
    const credit = sql`update ledger_accounts set credits_posted = credits_posted + 1 where owner_id = ${world.user(0)}`;
    expect(broken(await afterwards(all(debit, credit)))).toEqual(['L2']);
    const lonely = sql`insert into ledger_transfers (id, marketplace_id, kind, debit_account, credit_account, amount, code,
      resource_type, resource_id) select gen_random_uuid(), marketplace_id, kind, credit_account, debit_account, 1, code,
      resource_type, resource_id from ledger_transfers where code = 'DEPOSIT' and kind = 'POSTED' order by seq limit 1`;
    expect(broken(await afterwards(all(lonely)))).toEqual(['L2']);
  });

  test('L2: a wrong checkpoint of a hot account', async () => {
    expect(broken(await afterwards(all(sql`select ledger_fold()`)))).toEqual([]);
    const wrong = sql`insert into ledger_checkpoints as k select id, '1', 0, 0, 0, 1 from ledger_accounts
      where kind = 'platform.fees' on conflict (account_id) do update set credits_posted = k.credits_posted + 1`;
    expect(broken(await afterwards(all(wrong)))).toContain('L2');
  });

  test('L3: more held than there is', async () => {
    const overdraw = async (trx: Sql) => {
      await sql`alter table ledger_accounts drop constraint ledger_floor_user_funds`.execute(trx);
      const input = { marketplaceId: world.marketplaceId, asset: ASSET, buyerId: world.user(0), amount: 1000n };
      await reserve(trx, { workflowId: 'wrong', step: 'wrong' }, { ...input, orderId: world.order(1) });
    };
    expect(broken(await afterwards(overdraw))).toEqual(['L3']);
  });

  test('L4: a loss: money left a wallet and nobody knows why', async () => {
    const lose = (trx: Sql) =>
      unexplained(
        trx,
        { workflowId: 'wrong', step: 'wrong' },
        {
          marketplaceId: world.marketplaceId,
          asset: ASSET,
          walletId: world.wallet(0),
          platform: false,
          direction: 'OUT',
          amount: 1n,
          transactionHash: 'ef',
          ledgerSeq: BOOKED_AT,
          resource: { type: 'movement', id: 'm' },
        },
      );
    expect(broken(await afterwards(lose))).toEqual(['L4']);
  });

  test('L5: a user owed money that is on somebody else’s wallet', async () => {
    const { violations } = await afterwards(misbook(funds(0), funds(1)));
    expect(violations.map(({ invariant, detail }) => [invariant, detail['party']])).toEqual(
      expect.arrayContaining([
        ['L5', `user/${world.user(0)}`],
        ['L5', `user/${world.user(1)}`],
      ]),
    );
    expect(violations).toHaveLength(2);
  });

  test('L5: a custodial wallet nobody has a row for', async () => {
    expect(broken(await afterwards(all(sql`delete from wallets where id = ${world.wallet(2)}`)))).toEqual(['L5']);
  });

  test('L7: a reservation of an order that is over, and a funding whose envelope is dead', async () => {
    const closed = sql`update orders set status = 'CLOSED' where id = ${world.order(2)}`;
    expect(broken(await afterwards(all(closed)))).toEqual(['L7']);
    const dead = sql`update chain_transactions set status = 'DEAD'`;
    expect(broken(await afterwards(all(dead)))).toEqual(['L7']);
    const voiding = sql`update orders set operation = '{"status": "RUNNING"}' where id = ${world.order(2)}`;
    expect(broken(await afterwards(all(dead, voiding)))).toEqual([]);
    const booked = sql`update chain_transactions set status = 'CONFIRMED', booked_at = now()`;
    expect(broken(await afterwards(all(booked)))).toEqual(['L7']);
  });

  test('L8: a transfer to itself, of nothing, or a settlement unlike what it settles', async () => {
    const unguard = sql`alter table ledger_transfers drop constraint ledger_transfer_to_itself,
      drop constraint ledger_transfers_amount_check`;
    const copy = (columns: string, kind: string) => sql`insert into ledger_transfers (id, marketplace_id, kind,
      debit_account, credit_account, amount, pending_id, code, resource_type, resource_id)
      select gen_random_uuid(), marketplace_id, ${kind}, ${sql.raw(columns)}, code, resource_type, resource_id
      from ledger_transfers where kind = 'PENDING' order by seq desc limit 1`;
    expect(broken(await afterwards(all(unguard, copy('debit_account, debit_account, 1, null', 'POSTED'))))).toContain(
      'L8',
    );
    expect(broken(await afterwards(all(unguard, copy('debit_account, credit_account, 0, null', 'POSTED'))))).toEqual([
      'L8',
    ]);
    expect(broken(await afterwards(all(copy('debit_account, credit_account, amount - 1, id', 'POST'))))).toContain(
      'L8',
    );
  });

  test('L9: an order owed what another order’s contract holds, and a closed order with money left', async () => {
    const swapped = await afterwards(misbook(escrowed(0), escrowed(1)));
    expect(broken(swapped)).toEqual(['L9']);
    expect(swapped.violations).toHaveLength(2);
    const closed = sql`update orders set status = 'CLOSED' where id = ${world.order(0)}`;
    expect(broken(await afterwards(all(closed)))).toEqual(['L9']);
  });
});

describe('against the chain (L6)', () => {
  /** What the chain holds when nothing is wrong. */
  const held = (): Record<string, bigint> => ({
    [`G-${world.wallet(0)}`]: 200n - orderAmount(0),
    [`G-${world.wallet(2)}`]: 20n,
    [`G-${world.platformWallet}`]: 7n,
    [`C-${world.escrow(0)}`]: orderAmount(0) - 22n,
  });
  const chainOf = (balances: Record<string, bigint>, ledger = READ_AT): ChainBalances => ({
    balanceAt: async (address) => ({ ledger, value: balances[address] ?? 0n }),
  });
  const idle = sql`update chain_transactions set status = 'DEAD'`;
  const missing = () => chainOf({ ...held(), [`G-${world.wallet(0)}`]: 1n });

  test('every custodial address is compared, also those the books know nothing of', async () => {
    const verification = await verifyLedger({ trx: app.em.fork().getKysely(), chain: chainOf(held()) });
    expect(verification).toMatchObject({ coherent: true, violations: [], unsettled: [], checked: { chain: 8 } });
  });

  test('a difference is named with both sides when nothing on its way explains it', async () => {
    const { violations } = await afterwards(all(idle), missing());
    const l6 = violations.filter(({ invariant }) => invariant === 'L6');
    expect(l6).toEqual([
      {
        invariant: 'L6',
        detail: expect.objectContaining({ owner_id: world.wallet(0), chain: '1', books: '170', ledger: READ_AT }),
      },
    ]);
  });

  test('a deposit that was never booked is seen on a wallet without an account', async () => {
    const { violations } = await afterwards(all(idle), chainOf({ ...held(), [`G-${world.wallet(1)}`]: 9n }));
    expect(violations.filter(({ invariant }) => invariant === 'L6')).toHaveLength(1);
  });

  test('only what was on chain at the ledger of the reading counts', async () => {
    const { violations, unsettled } = await afterwards(all(idle), chainOf({}, BOOKED_AT - 1));
    expect([...violations.filter(({ invariant }) => invariant === 'L6'), ...unsettled]).toEqual([]);
  });

  test('a difference is unsettled, not wrong, while money may be on its way', async () => {
    const inFlight = await afterwards(async () => {}, missing());
    expect([broken(inFlight), inFlight.unsettled.length, inFlight.coherent]).toEqual([[], 1, false]);

    const readerBehind = await afterwards(
      all(idle, sql`update network_cursors set ledger = ${READ_AT - 1}`),
      missing(),
    );
    expect([broken(readerBehind), readerBehind.unsettled.length]).toEqual([['L7'], 1]);

    const strangers = await afterwards(all(idle, strangersMovement('bb')), missing());
    expect([broken(strangers), strangers.unsettled.length]).toEqual([['L7'], 1]);
    const booked = await afterwards(all(idle, strangersMovement('ab'.repeat(32))), missing());
    expect(broken(booked)).toEqual(['L6', 'L7']);

    const unrecorded = await afterwards(async (trx) => {
      await idle.execute(trx);
      await seenPayment(trx);
    }, missing());
    expect([broken(unrecorded), unrecorded.unsettled.length]).toEqual([['L7'], 1]);
  });

  /** A movement of the wallet that is recorded; no transaction of ours has this hash. */
  const strangersMovement = (hash: string) => sql`insert into movements (network, owner_id, operation_id, direction,
    ordinal, id, asset, amount, kind, transaction_hash, ledger, created_at) values ('sandbox', ${world.wallet(0)}, 1, 'IN', 0,
    'mov_1', ${ASSET}, 1, 'ESCROW', ${hash}, ${READ_AT}, now())`;

  /** The chain reader saw a payment to the wallet which the wallet's workflow has not recorded. */
  const seenPayment = (trx: Sql) =>
    sql`insert into observed_movements (network, operation_id, index, kind, from_address,
    to_address, asset_code, asset_issuer, amount, transaction_hash, ledger, closed_at) values ('sandbox', 1, 0, 'PAYMENT',
    'GX', ${`G-${world.wallet(0)}`}, ${ASSET}, 'GI', 1, 'aa', ${READ_AT}, now())`.execute(trx);
});
