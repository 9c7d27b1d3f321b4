/** Money on its way out, at the rows: held once, given back once, and never while it may still land. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Deps } from '../../activities/context.ts';
import { bookPaid, createPaymentOperations, paymentSigned } from '../../activities/withdrawals/operation.ts';
import { createPaymentVerbs } from '../../activities/withdrawals/verbs.ts';
import type { StoredTransaction } from '../../activities/chain/store.ts';
import { contractInflow, contractOutflow, deposit } from '../../db/ledger/balances.ts';
import { balance } from '../../db/ledger/statement.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { parseAmount } from '../../domain/money.ts';
import type { CreatePayment, PaymentVerbRequest } from '../../workflows/messages.ts';
import { asActivity } from '../support/activity.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

const OUTSIDE = 'GOUTSIDE';
const ASSET = { code: 'USDC', issuer: 'GISSUER', contract: 'CASSET' };

let database: TestDatabase;
let owner: Orm;
let orm: Orm;
let marketplaceId: string;
let userId: string;
let walletId: string;
let feeWalletId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = await openOrm({ url: database.ownerUrl });
  orm = await openOrm({ url: database.appUrl, poolMax: 10 });
});
afterAll(async () => {
  await Promise.all([owner.close(), orm.close()]);
  await database.drop();
});
beforeEach(async () => {
  [marketplaceId, userId, walletId, feeWalletId] = [
    newId('marketplace'),
    newId('user'),
    newId('wallet'),
    newId('wallet'),
  ];
  const db = pool(owner);
  await sql`
    insert into marketplaces (id, name, status, default_asset, platform_fee_bps, payment_provider, deadlines, created_at)
    values (${marketplaceId}, 'Market', 'ACTIVE', 'USDC', 50, 'crypto-native', '{}', now())`.execute(db);
  await sql`
    insert into users (id, marketplace_id, external_user_id, status, metadata, created_at, updated_at)
    values (${userId}, ${marketplaceId}, ${userId}, 'ACTIVE', '{}', now(), now())`.execute(db);
  const wallet = (id: string, kind: string, user: string | null) =>
    sql`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, created_at, updated_at)
    values (${id}, ${marketplaceId}, ${user}, ${kind}, 'crypto-native', 'READY', ${`G${id}`}, now(), now())`.execute(
      db,
    );
  await wallet(walletId, 'USER', userId);
  await wallet(feeWalletId, 'FEE', null);
  await inTransaction(orm, (trx) =>
    deposit(
      trx,
      { workflowId: walletId, step: 'deposit' },
      {
        marketplaceId,
        asset: 'USDC',
        userId,
        walletId,
        amount: parseAmount('100'),
        resource: { type: 'movement', id: newId('movement') },
        transactionHash: newId('movement'),
        ledgerSeq: 1,
      },
    ),
  );
});

const deps = () => ({ orm, network: { name: 'sandbox', assets: [ASSET] } }) as unknown as Deps; // what these activities read of it
const as = <T>(work: () => Promise<T>): Promise<T> => asActivity('withdrawal/test', 1, work);
const verbs = () => createPaymentVerbs({ orm });
const operations = () => createPaymentOperations({ orm });

const request = (fields: Partial<CreatePayment> = {}): CreatePayment => ({
  payment_id: newId('withdrawal'),
  kind: 'WITHDRAWAL',
  marketplace_id: marketplaceId,
  user_id: userId,
  direction: null,
  amount: '10',
  asset: 'USDC',
  destination: { address: OUTSIDE, account: OUTSIDE, memo: null },
  client_ref: null,
  body_hash: '',
  reason: null,
  reference: null,
  metadata: {},
  day_max: null,
  operation_id: newId('operation'),
  request_id: null,
  actor: null,
  key_id: 'key_1',
  person: 'ann',
  ...fields,
});

const create = async (fields: Partial<CreatePayment> = {}): Promise<string> => {
  const wanted = request(fields);
  await as(() => verbs().createPayment(wanted));
  return wanted.payment_id;
};

const verbRequest = (id: string, fields: Partial<PaymentVerbRequest> = {}): PaymentVerbRequest => ({
  payment_id: id,
  operation_id: newId('operation'),
  request_id: null,
  actor: null,
  reason: null,
  key_id: 'key_2',
  person: 'bob',
  ...fields,
});

const stored = (hash: string) => ({ id: hash, innerHash: hash }) as StoredTransaction;
const sign = (id: string) => as(() => inTransaction(orm, (trx) => paymentSigned(trx, id, stored(newId('movement')))));

async function envelopeOf(id: string, status: string): Promise<void> {
  const key = `withdrawal/${id}/pay`;
  await sql`
    insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, status, source, sequence, max_time,
      unsigned_envelope, inner_hash, created_at)
    values (${key}, ${key}, 1, '{}', ${key}, ${status}, 'G', 1, 1, '', ${key}, now())
    on conflict (id) do update set status = excluded.status`.execute(pool(owner));
}

const movement = (from: string, to: string, amount: string) => ({
  operationId: '1',
  index: 0,
  kind: 'PAYMENT' as const,
  from,
  to,
  asset: ASSET,
  amount: parseAmount(amount),
  transactionHash: '',
  ledger: 2,
  closedAt: '',
});
const land = (id: string, from: string, to: string, amount: string) =>
  as(() =>
    inTransaction(orm, (trx) =>
      bookPaid(trx, deps(), id, {
        status: 'LANDED',
        successful: true,
        hash: newId('movement'),
        ledger: 2,
        closedAt: '',
        resultXdr: '',
        feeCharged: 0n,
        movements: [movement(from, to, amount)],
        returnValue: null,
        envelope: '',
      }),
    ),
  );

const funds = async () => balance(pool(orm), { marketplaceId, userId, asset: 'USDC' });
const statusOf = async (id: string) => {
  const { rows } = await sql<{ status: string; operation: string }>`
    select status, operation->>'status' as operation from payments where id = ${id}`.execute(pool(orm));
  return rows[0];
};
const violations = async (): Promise<string[]> =>
  (await verifyLedger({ trx: pool(orm) })).violations
    .filter(({ detail }) => detail['marketplace_id'] === undefined || detail['marketplace_id'] === marketplaceId)
    .map(({ invariant }) => invariant);

test('what is asked for twice is held once, and its events are written once', async () => {
  const wanted = request();
  const answers = await Promise.all([1, 2, 3].map(() => as(() => verbs().createPayment(wanted))));
  answers.push(await as(() => verbs().createPayment(wanted)));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 'APPROVED'));
  expect(await funds()).toMatchObject({ available: parseAmount('90'), reserved: parseAmount('10') });
  const { rows } = await sql<{ type: string }>`
    select type from events where resource_id = ${wanted.payment_id} order by sequence`.execute(pool(orm));
  expect(rows.map(({ type }) => type)).toEqual(['withdrawal.created', 'withdrawal.approved']);
  expect(await violations()).toEqual([]);
});

test('a cancel and a signature never both win, whichever comes first', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => create({ amount: '1' })));
  await Promise.all(
    ids.flatMap((id) => [
      as(() => verbs().cancelPayment(verbRequest(id))).catch(() => null),
      sign(id).catch(() => null),
    ]),
  );
  const statuses = (await Promise.all(ids.map(statusOf))).map((row) => row?.status);
  const submitted = statuses.filter((status) => status === 'SUBMITTED').length;
  expect(statuses.filter((status) => status === 'CANCELED')).toHaveLength(ids.length - submitted);
  expect((await funds()).reserved).toBe(parseAmount(String(submitted)));
  expect(await violations()).toEqual([]);
});

describe('the end of a payment', () => {
  test('that may still land is not taken for dead by anybody: it is parked, and its money stays held', async () => {
    const id = await create();
    await sign(id);
    const fail = () =>
      as(() =>
        operations().failPayment({ payment_id: id, reason: 'INVALID_STATE', detail: 'late', transaction_hash: null }),
      );
    for (const status of ['SIGNED', 'SUBMITTED', 'CONFIRMED']) {
      await envelopeOf(id, status);
      expect(await fail()).toMatchObject({ status: 'SUBMITTED', operation: { status: 'PARKED' } });
    }
    expect((await funds()).reserved).toBe(parseAmount('10'));
    expect(await as(() => operations().unparkPayment({ payment_id: id }))).toMatchObject({
      operation: { status: 'RUNNING' },
    });
    await envelopeOf(id, 'DEAD');
    expect(await fail()).toMatchObject({ status: 'FAILED', operation: { status: 'FAILED' } });
    expect(await fail()).toMatchObject({ status: 'FAILED' });
    expect(await funds()).toMatchObject({ available: parseAmount('100'), reserved: 0n });
    const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from attention where resource_id = ${id} and cleared_at is null`.execute(pool(orm));
    expect(rows[0]?.open).toBe(0);
    expect(await violations()).toEqual([]);
  });

  test('is booked from what the chain moved, and not when that is something else', async () => {
    const id = await create();
    await sign(id);
    const from = `G${walletId}`;
    for (const [payer, payee, amount] of [
      [from, OUTSIDE, '9'],
      [from, 'GELSEWHERE', '10'],
      ['GOTHER', OUTSIDE, '10'],
    ] as const)
      await expect(land(id, payer, payee, amount)).rejects.toMatchObject({ type: 'BOOKS_DIFFER' });
    expect(await statusOf(id)).toMatchObject({ status: 'SUBMITTED' });
    await land(id, from, OUTSIDE, '10');
    expect(await statusOf(id)).toEqual({ status: 'COMPLETED', operation: 'SUCCEEDED' });
    expect(await funds()).toMatchObject({ available: parseAmount('90'), reserved: 0n });
    expect(await violations()).toEqual([]);
  });

  test('leaves nothing pending: a row that is over with money still held breaks L7', async () => {
    const id = await create();
    expect(await violations()).toEqual([]);
    await sql`update payments set status = 'CANCELED' where id = ${id}`.execute(pool(owner));
    expect(await violations()).toContain('L7');
    await sql`update payments set status = 'APPROVED' where id = ${id}`.execute(pool(owner));
    await as(() => verbs().cancelPayment(verbRequest(id)));
  });
});

test('earned fees are paid out up to what was earned, also when they are asked for at once', async () => {
  const escrow = { escrowId: newId('escrow'), orderId: newId('order') };
  await inTransaction(orm, (trx) => earn(trx, escrow, '30'));
  const fees = { user_id: null } as const;
  const asked = await Promise.all(
    Array.from({ length: 4 }, () => create({ ...fees, amount: '12' }).catch((error: { type: string }) => error.type)),
  );
  const held = asked.filter((answer) => answer.startsWith('wd_'));
  expect(asked.filter((answer) => answer === 'INSUFFICIENT_FUNDS')).toHaveLength(2);
  expect(held).toHaveLength(2);
  const [first = '', second = ''] = held;
  await sign(first);
  await land(first, `G${feeWalletId}`, OUTSIDE, '12');
  await as(() => verbs().cancelPayment(verbRequest(second)));
  expect(await create({ ...fees, amount: '18' })).toMatch(/^wd_/);
  // The contract's side of what was earned is not part of this test: only its own order knows it.
  expect((await violations()).filter((invariant) => !['L3', 'L9'].includes(invariant))).toEqual([]);
});

/** Fees as a release books them; the contract was filled by somebody else. */
async function earn(trx: Sql, escrow: { escrowId: string; orderId: string }, amount: string): Promise<void> {
  const common = { marketplaceId, asset: 'USDC', ...escrow, transactionHash: newId('movement'), ledgerSeq: 1 };
  const stroops = parseAmount(amount);
  await contractInflow(trx, { workflowId: escrow.orderId, step: 'in' }, { ...common, amount: stroops });
  await contractOutflow(
    trx,
    { workflowId: escrow.orderId, step: 'out' },
    { ...common, transfers: [{ to: { kind: 'PLATFORM', walletId: feeWalletId }, amount: stroops }] },
  );
}

describe('an approval', () => {
  test('needs another person, an active user and a marketplace that pays', async () => {
    await sql`update marketplaces set approval_threshold = 1 where id = ${marketplaceId}`.execute(pool(owner));
    const id = await create();
    expect(await statusOf(id)).toEqual({ status: 'APPROVAL_REQUIRED', operation: 'SUCCEEDED' });
    const approve = (fields: Partial<PaymentVerbRequest> = {}) =>
      as(() => verbs().approvePayment(verbRequest(id, fields)));
    const set = (table: 'users' | 'marketplaces', status: string) =>
      sql`update ${sql.table(table)} set status = ${status} where id in (${userId}, ${marketplaceId})`.execute(
        pool(owner),
      );
    for (const person of ['ann', null])
      await expect(approve({ person })).rejects.toMatchObject({ type: 'INSUFFICIENT_SCOPE' });
    await set('users', 'SUSPENDED');
    await expect(approve()).rejects.toMatchObject({ type: 'USER_SUSPENDED' });
    await set('users', 'ACTIVE');
    await set('marketplaces', 'PAUSED');
    await expect(approve()).rejects.toMatchObject({ type: 'MARKETPLACE_PAUSED' });
    await set('marketplaces', 'ACTIVE');
    const operation_id = newId('operation');
    expect(await approve({ operation_id })).toMatchObject({ status: 'APPROVED', operation: { verb: 'approve' } });
    // A local activity runs twice after a crash.
    expect(await approve({ operation_id })).toMatchObject({ status: 'APPROVED' });
    await expect(approve()).rejects.toMatchObject({ type: 'INVALID_STATE' });
    const { rows } = await sql<{ action: string; actor: string | null }>`
      select action from audit_log where resource_id = ${id}`.execute(pool(orm));
    expect(rows.map(({ action }) => action)).toEqual(['withdrawal.approve']);
  });
});
