/** What two persons have to have approved before a repair pays anybody: judged by its row, whoever asks. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type Orm, openOrm } from '../../db/orm.ts';
import { isApprovalUsed, otherPayoutOf, proposeOrApprove, useApproval } from '../../db/repair-approvals.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { UnpaidPayee } from '../../domain/repairs.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

let database: TestDatabase;
let orm: Orm;
/** open, of an order that cannot pay its seller */
let matter: string;

beforeAll(async () => {
  database = await createTestDatabase();
  // As the application: with its grants.
  orm = await openOrm({ url: database.appUrl, poolMax: 4 });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});
beforeEach(async () => {
  matter = await raise();
});

const payee = (more: Partial<UnpaidPayee> = {}): UnpaidPayee => ({
  order_id: newId('order'),
  milestone_index: 2,
  party: 'SELLER',
  amount: '12.5',
  asset: 'USDC',
  ...more,
});

async function raise(detail: unknown = { payee: payee() }): Promise<string> {
  const id = newId('attention');
  await sql`
    insert into attention (id, resource_type, resource_id, workflow_id, reason, detail, allowed_repairs, since)
    values (${id}, 'order', 'ord_1', 'order/ord_1', 'TRUSTLINE_UNUSABLE', ${JSON.stringify({ detail })}, '{payout_to}', now())`.execute(
    pool(orm),
  );
  return id;
}

const say = (person: string | null, address: string, attentionId = matter, repeated = false) =>
  inTransaction(orm, (trx) =>
    proposeOrApprove(trx, {
      attentionId,
      action: 'payout_to',
      address,
      reason: null,
      repeated,
      by: person === 'nobody' ? null : { key: `key of ${person}`, person },
    }),
  );
const take = (approvalId: string, attention_id: string | null = matter) =>
  inTransaction(orm, (trx) => useApproval(trx, approvalId, { attention_id }));
const idOf = async (saying: ReturnType<typeof say>): Promise<string> => (await saying)?.approval_id ?? '';
const change = (query: ReturnType<typeof sql>) => inTransaction(orm, (trx: Sql) => query.execute(trx));

test('it is used once, and for its own matter', async () => {
  const other = await raise();
  const id = await idOf(say('alice', 'G1'));
  expect(await say('bob', 'G1')).toEqual({ status: 'APPROVED', approval_id: id });
  expect(await isApprovalUsed(pool(orm), id)).toBe(false);
  expect(await take(id, other)).toBeNull();
  expect(await take(id, null)).toBeNull();
  const approval = { id, attentionId: matter, milestoneIndex: 2, party: 'SELLER', address: 'G1', amount: 125_000_000n };
  expect(await take(id)).toMatchObject(approval);
  expect(await take(id)).toBeNull();
  expect(await isApprovalUsed(pool(orm), id)).toBe(true);
  // What was decided and used is history.
  await expect(change(sql`update repair_approvals set address = 'G2' where id = ${id}`)).rejects.toThrow(
    /does not change/,
  );
  await expect(change(sql`delete from repair_approvals where id = ${id}`)).rejects.toThrow(/does not change/);
});

test('one person alone pays nobody, whatever the row was made to say', async () => {
  const id = await idOf(say('alice', 'G1'));
  expect(await say('alice', 'G1')).toEqual({ status: 'PROPOSED', approval_id: id });
  expect(await say(null, 'G1')).toEqual({ status: 'PROPOSED', approval_id: id });
  expect(await take(id)).toBeNull();
  for (const person of ['alice', null]) {
    await change(sql`update repair_approvals set approved_at = now(), approved_person = ${person} where id = ${id}`);
    expect(await take(id)).toBeNull();
  }
});

test('another address is another proposal: the one before is void', async () => {
  const first = await idOf(say('alice', 'G1'));
  expect(await say('bob', 'G1')).toMatchObject({ status: 'APPROVED' });
  const second = await say('bob', 'G2');
  expect(second).toMatchObject({ status: 'PROPOSED' });
  expect(await take(first)).toBeNull();
  expect(await say('bob', 'G2')).toEqual(second);
  expect(await say('alice', 'G2')).toEqual({ ...second, status: 'APPROVED' });
});

test('what is repeated replaces nothing that somebody said since', async () => {
  const repeat = (person: string, address: string) => say(person, address, matter, true);
  await say('nobody', 'G0');
  // Its first call never came that far.
  const first = await repeat('alice', 'G1');
  expect(first).toMatchObject({ status: 'PROPOSED' });
  expect(await repeat('alice', 'G1')).toEqual(first);
  const second = await say('bob', 'G2');
  expect(await repeat('alice', 'G1')).toEqual({ ...second, status: 'SUPERSEDED' });
  expect(await say('alice', 'G2')).toEqual({ ...second, status: 'APPROVED' });
  expect(await repeat('bob', 'G1')).toEqual({ ...second, status: 'SUPERSEDED' });
  expect(await say('bob', 'G2')).toEqual({ ...second, status: 'APPROVED' });
});

test('where the other party of the same part is paid instead is known once it is decided', async () => {
  const [seller, order_id] = [payee(), newId('order')];
  const of = (more: Partial<UnpaidPayee>) => otherPayoutOf(pool(orm), { ...seller, order_id, ...more });
  const item = await raise({ payee: { ...seller, order_id } });
  const id = await idOf(say('alice', 'G1', item));
  await say('bob', 'G1', item);
  expect(await of({ party: 'BUYER' })).toBeNull();
  await take(id, item);
  expect(await of({ party: 'BUYER' })).toBe('G1');
  for (const more of [{ party: 'SELLER' }, { party: null }, { party: 'BUYER', milestone_index: 1 }] as const)
    expect(await of(more)).toBeNull();
});

test('what the system suggests has no first person, and replaces nobody’s proposal', async () => {
  const suggested = await say('nobody', 'G1');
  expect(await say('nobody', 'G1')).toEqual(suggested);
  expect(await say('alice', 'G1')).toMatchObject({ status: 'PROPOSED' });
  const proposed = await say('nobody', 'G2');
  expect(await say('bob', 'G1')).toEqual({ ...proposed, status: 'APPROVED' });
});

test('two persons at once are one proposal and one approval', async () => {
  const said = await Promise.all(['alice', 'bob', 'alice', 'bob'].map((person) => say(person, 'G1')));
  expect(new Set(said.map((one) => one?.approval_id)).size).toBe(1);
  expect(said.some((one) => one?.status === 'PROPOSED') && said.some((one) => one?.status === 'APPROVED')).toBe(true);
});

test('a matter that is settled, or that pays nobody, takes no proposal', async () => {
  expect(await say('alice', 'G1', await raise({}))).toBeNull();
  await change(sql`update attention set cleared_at = now() where id = ${matter}`);
  expect(await say('alice', 'G1')).toBeNull();
});
