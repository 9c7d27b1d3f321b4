/**
 * Rows that are older than the chain: what our accounts did since is taken over by the step that would do it again, one
 * transaction at a time, and only when the chain says that it did just that. The books then are as if nothing had been
 * lost, whatever streams made of it meanwhile.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import {
  createChainActivities,
  createEscrowApiActivities,
  createOrderActivities,
  createSigningActivities,
} from '../../activities/index.ts';
import { findUnaccounted } from '../../activities/chain/unaccounted.ts';
import { balance } from '../../db/ledger/statement.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { Intent } from '../../domain/intents.ts';
import type { OrderVerb } from '../../domain/statuses.ts';
import { paymentWorkflowId } from '../../domain/workflow-ids.ts';
import { asActivity } from '../support/activity.ts';
import {
  type ChainWorld,
  type Step,
  activitiesOf,
  deployStep,
  fundStep,
  startChainWorld,
  stepOf,
} from '../support/chain-world.ts';
import { type Sent, landUnknown as landUnknownIn, seenByStreams as seenByStreamsOf } from '../support/unknown.ts';

let world: ChainWorld;
beforeAll(async () => {
  world = await startChainWorld();
  // From here on the wallets are followed.
  await world.rows("update wallets set birth_cursor = '0'");
}, 120_000);
afterAll(() => world.stop());
afterEach(() => world.expectSettled());

const landUnknown = (step: Step, prepared?: string): Promise<Sent> => landUnknownIn(world, step, prepared);
const seenByStreams = (orderId: string | null, sent: Sent): Promise<void> => seenByStreamsOf(world, orderId, sent);

const adopt = ({ workflowId, ...part }: Step, transaction_hash: string, parts: readonly Step[] = []) =>
  asActivity(workflowId, 9, () =>
    createChainActivities(world.process.deps).adoptTransaction({
      parts: [...parts, { workflowId, ...part }].map(({ step, intent }) => ({ step, intent })),
      transaction_hash,
      reason: 'restored',
    }),
  );

/** Why it was not adopted, and where the request is wrong. */
async function refusal(adopting: Promise<void>): Promise<{ type: unknown; pointer: unknown; message: string }> {
  try {
    await adopting;
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    const details = error.details?.[0] as { errors?: readonly { pointer: string }[] } | undefined;
    return { type: error.type, pointer: details?.errors?.[0]?.pointer, message: error.message };
  }
  throw new Error('it was adopted');
}
const WRONG = { type: 'VALIDATION_ERROR', pointer: '/transaction_hash' };

const orderOf = async (id: string) => {
  const [order] = await world.rows<{ status: string; final_status: string | null; contract_id: string | null }>(
    `select o.status, o.final_status, e.contract_id from orders o left join escrows e on e.order_id = o.id where o.id = $1`,
    id,
  );
  return order;
};
const statusesOf = ({ workflowId, step }: Step) =>
  world.rows<{ status: string; inner_hash: string; booked: boolean }>(
    `select status, inner_hash, booked_at is not null as booked from chain_transactions where intent_key = $1
     order by attempt`,
    `${workflowId}/${step}`,
  );

const part = (
  kind: 'DELIVER' | 'APPROVE' | 'RELEASE' | 'OPEN_DISPUTE',
  orderId: string,
  index: number | null,
): Step => {
  const names = { DELIVER: 'deliver', APPROVE: 'approve', RELEASE: 'release', OPEN_DISPUTE: 'dispute' };
  return stepOf(
    orderId,
    { kind, orderId, milestoneIndex: index },
    `${names[kind]}${index === null ? '' : `:${index}`}`,
  );
};
const resolveStep = (orderId: string, index: number | null): Step => {
  const shares = { seller: '0', buyer: '1' };
  const intent: Intent = { kind: 'RESOLVE_DISPUTE', orderId, milestoneIndex: index, shares };
  return stepOf(orderId, intent, `resolve${index === null ? '' : `:${index}`}`);
};

const MILESTONES = [
  { milestone_ref: 'a', title: 'A', amount: '10' },
  { milestone_ref: 'b', title: 'B', amount: '15' },
];
const withMilestones = () => ({
  milestones: MILESTONES.map((one) => ({ ...one, seller_id: world.parties.seller_id })),
});

/** Funded by us, with the operation for `verb` begun. */
async function funded(verb: OrderVerb, terms = {}): Promise<string> {
  const orderId = await world.escrowed(terms);
  await world.drive(fundStep(orderId));
  await world.begin(orderId, verb);
  return orderId;
}

/** Adopts what landed, as a parked operation does, and drives the step on: it is booked, and sent once. */
async function expectAdopted(step: Step, sent: Sent, by: 'hash' | 'outer' = 'hash'): Promise<void> {
  await adopt(step, sent[by]);
  // Its answer was lost, or somebody asks again.
  await adopt(step, sent.hash);
  expect(await statusesOf(step)).toEqual([{ status: 'CONFIRMED', inner_hash: sent.hash, booked: false }]);
  expect(await world.drive(step)).toMatchObject({ status: 'LANDED', transaction_hash: sent.hash });
  expect(await statusesOf(step)).toEqual([{ status: 'CONFIRMED', inner_hash: sent.hash, booked: true }]);
}

describe('what the chain did without the rows is taken over and booked once', () => {
  test('a deploy: the contract that it made is the order’s', async () => {
    const orderId = await world.reserved();
    await world.begin(orderId, 'escrow');
    const step = deployStep(orderId);
    await expectAdopted(step, await landUnknown(step));
    const { contract_id, status } = (await orderOf(orderId)) ?? {};
    expect(status).toBe('ESCROW_FUNDING');
    await world.begin(orderId, 'fund');
    expect(await world.drive(fundStep(orderId))).toMatchObject({ status: 'LANDED' });
    expect(contract_id).toMatch(/^C/);
  });

  test.each([
    ['before streams have seen it', false],
    ['after streams took it for a loss and for a stranger’s money', true],
  ])('a funding, %s', async (_words, seen) => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const sent = await landUnknown(step);
    if (seen) await seenByStreams(orderId, sent);
    await expectAdopted(step, sent, 'outer');
    if (!seen) await seenByStreams(orderId, sent);
    expect(await orderOf(orderId)).toMatchObject({ status: 'IN_PROGRESS' });
    const strange = await world.rows(
      "select kind from movements where transaction_hash = any($1) and kind <> 'ESCROW'",
      [sent.hash, sent.outer],
    );
    expect(strange).toEqual([]);
    expect(
      await world.rows("select id from attention where resource_type = 'movement' and cleared_at is null"),
    ).toEqual([]);
  });

  test('a delivery, an approval, and a release that streams have booked already', async () => {
    const orderId = await funded('deliver');
    const [deliver, approve, release] = (['DELIVER', 'APPROVE', 'RELEASE'] as const).map((kind) =>
      part(kind, orderId, null),
    );
    if (deliver === undefined || approve === undefined || release === undefined) throw new Error('three steps');
    await expectAdopted(deliver, await landUnknown(deliver));
    await world.begin(orderId, 'release');
    await expectAdopted(approve, await landUnknown(approve));
    const sent = await landUnknown(release);
    await seenByStreams(orderId, sent);
    // A resumed workflow knows the operation's parts, and not which of them is parked.
    await adopt(release, sent.hash, [approve]);
    await expectAdopted(release, sent);
    expect(await orderOf(orderId)).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED' });
    const [settlements] = await world.rows<{ n: number }>(
      'select count(*)::int as n from settlements where order_id = $1',
      orderId,
    );
    expect(settlements?.n).toBe(1);
  });

  test.each([
    ['of the whole order', null],
    ['of a milestone', 1],
  ])('a refund %s: the dispute, and its resolution', async (_words, index) => {
    const orderId = await funded('refund', index === null ? {} : withMilestones());
    const dispute = part('OPEN_DISPUTE', orderId, index);
    await expectAdopted(dispute, await landUnknown(dispute));
    const resolve = resolveStep(orderId, index);
    await expectAdopted(resolve, await landUnknown(resolve));
    const expected = index === null ? { status: 'CLOSED', final_status: 'REFUNDED' } : { status: 'REFUND_REQUESTED' };
    expect(await orderOf(orderId)).toMatchObject(expected);
  });

  test('a funding and the release after it, both unknown and both seen by streams', async () => {
    const orderId = await world.escrowed();
    const steps = [fundStep(orderId), part('APPROVE', orderId, null), part('RELEASE', orderId, null)];
    const sent: Sent[] = [];
    for (const step of steps) sent.push(await landUnknown(step));
    for (const one of sent) await seenByStreams(orderId, one);
    for (const [n, step] of steps.entries()) {
      if (n === 1) await world.begin(orderId, 'release');
      await expectAdopted(step, sent[n] ?? { hash: '', outer: '' });
    }
    expect(await orderOf(orderId)).toMatchObject({ status: 'CLOSED', final_status: 'RELEASED' });
  });

  test.each([
    ['before streams have seen it', false],
    ['after streams took it for a loss', true],
  ])('a withdrawal, %s', async (_words, seen) => {
    const { step, id } = await withdrawal('5');
    const before = await funds();
    const sent = await landUnknown(step);
    if (seen) await seenByStreams(null, sent);
    await expectAdopted(step, sent);
    if (!seen) await seenByStreams(null, sent);
    expect(await world.rows('select status, transaction_hash from payments where id = $1', id)).toEqual([
      { status: 'COMPLETED', transaction_hash: sent.hash },
    ]);
    const after = await funds();
    expect(before.total - after.total).toBe(50_000_000n);
    expect(after.reserved).toBe(before.reserved - 50_000_000n);
  });

  test('what recovery found to be unknown is accounted for, and what it concerned may go on', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const sent = await landUnknown(step);
    const { deps } = world.process;
    const found = await findUnaccounted(deps, 'recover');
    expect(found).toMatchObject([{ hash: sent.hash }]);
    const { prepare } = activitiesOf(deps, step);
    await expect(prepare()).rejects.toMatchObject({ type: 'BOOKS_DIFFER' });
    await expectAdopted(step, sent);
    expect(await world.rows('select note from unaccounted_transactions where hash = $1', sent.hash)).toEqual([
      { note: 'restored' },
    ]);
    expect(
      await world.rows('select id from attention where resource_id = $1 and cleared_at is null', sent.hash),
    ).toEqual([]);
    await world.begin(orderId, 'deliver');
    expect(await world.drive(part('DELIVER', orderId, null))).toMatchObject({ status: 'LANDED' });
  });

  test('a row that was restored to before its signature is the one that landed', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const { deps } = world.process;
    const prepared = await activitiesOf(deps, step).prepare();
    if (!('transaction_id' in prepared)) throw new Error('every wallet here is ours');
    const [row] = await world.rows<{ unsigned_envelope: string; inner_hash: string }>(
      'select unsigned_envelope, inner_hash from chain_transactions where id = $1',
      prepared.transaction_id,
    );
    if (row === undefined) throw new Error('it was prepared');
    const sent = await landUnknown(step, row.unsigned_envelope);
    expect(sent.hash).toBe(row.inner_hash);
    await expectAdopted(step, sent);
  });
});

async function withdrawal(amount: string): Promise<{ id: string; step: Step }> {
  const id = newId('withdrawal');
  const payment = { type: 'withdrawal', id } as const;
  const { marketplace_id, buyer_id: user_id } = world.parties;
  // An account of the world outside that holds the asset.
  const { feeWallet: to } = world.process.deps.network;
  await asActivity(paymentWorkflowId(payment), 1, () =>
    createOrderActivities(world.process.deps).createPayment({
      payment_id: id,
      kind: 'WITHDRAWAL',
      marketplace_id,
      user_id,
      direction: null,
      amount,
      asset: 'USDC',
      destination: { address: to, account: to, memo: null },
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
    }),
  );
  return { id, step: { workflowId: paymentWorkflowId(payment), step: 'pay', intent: { kind: 'PAY', payment } } };
}

const funds = () =>
  balance(pool(world.process.deps.orm), {
    marketplaceId: world.parties.marketplace_id,
    userId: world.parties.buyer_id,
    asset: 'USDC',
  });

describe('nothing else is taken over, and the step stays as it is', () => {
  test('the same call for another order, another milestone, or by another step of the order', async () => {
    const [one, other] = [await funded('release', withMilestones()), await funded('release', withMilestones())];
    const theirs = await landUnknown(part('APPROVE', other, 0));
    expect(await refusal(adopt(part('APPROVE', one, 0), theirs.hash))).toMatchObject(WRONG);
    const second = await landUnknown(part('APPROVE', one, 1));
    expect(await refusal(adopt(part('APPROVE', one, 0), second.hash))).toMatchObject(WRONG);
    expect(await refusal(adopt(part('RELEASE', one, 1), second.hash))).toMatchObject(WRONG);
    for (const step of [part('APPROVE', one, 0), part('RELEASE', one, 1)]) expect(await statusesOf(step)).toEqual([]);
    await expectAdopted(part('APPROVE', one, 1), second);
    await expectAdopted(part('APPROVE', other, 0), theirs);
  });

  test('a payment of another amount', async () => {
    const [five, six] = [await withdrawal('5'), await withdrawal('6')];
    const sent = await landUnknown(six.step);
    expect(await refusal(adopt(five.step, sent.hash))).toMatchObject(WRONG);
    await expectAdopted(six.step, sent);
    expect(await world.drive(five.step)).toMatchObject({ status: 'LANDED' });
  });

  test('a transaction that failed, that nobody knows, or that is another step’s', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    expect(await refusal(adopt(step, 'a'.repeat(64)))).toMatchObject({
      ...WRONG,
      message: 'no provider knows the transaction',
    });
    world.sandbox.faults.set({ name: 'success_then_fails', count: 1 });
    const failed = await landUnknown(step);
    world.sandbox.faults.clear();
    expect(await refusal(adopt(step, failed.hash))).toMatchObject({
      ...WRONG,
      message: expect.stringContaining('failed'),
    });
    const [deployed] = await statusesOf(deployStep(orderId));
    expect(await refusal(adopt(step, deployed?.inner_hash ?? ''))).toMatchObject({ type: 'INVALID_STATE' });
    expect(await statusesOf(step)).toEqual([]);
    // The sequence number that the failed one used is nobody's secret.
    await findUnaccounted(world.process.deps, 'recover');
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
  });

  test('anything, while a signed transaction of the step may land', async () => {
    const orderId = await funded('release');
    const step = part('APPROVE', orderId, null);
    const mine = activitiesOf(world.process.deps, step);
    const prepared = await mine.prepare();
    if (!('transaction_id' in prepared)) throw new Error('every wallet here is ours');
    const other = await landUnknown(step);
    await asActivity(step.workflowId, 1, () => createSigningActivities(world.process.deps).signTransaction(prepared));
    await world.rows("update chain_transactions set status = 'SIGNED' where id = $1", prepared.transaction_id);
    expect(await refusal(adopt(step, other.hash))).toMatchObject({ type: 'INVALID_STATE' });
    await world.rows("update chain_transactions set status = 'DEAD' where id = $1", prepared.transaction_id);
    await world.rows('delete from source_leases');
    await adopt(step, other.hash);
    expect((await statusesOf(step)).map(({ status }) => status)).toEqual(['DEAD', 'CONFIRMED']);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED', transaction_hash: other.hash });
    expect(await refusal(adopt(step, other.hash))).toMatchObject({ message: expect.stringContaining('is booked') });
  });

  test('anything, when that keeps failing: whoever asked is told, and the step takes another repair', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const sent = await landUnknown(step);
    await world.rows('alter table unaccounted_transactions rename to lost');
    try {
      expect(await refusal(adopt(step, sent.hash))).toMatchObject({ type: 'INTERNAL_ERROR' });
    } finally {
      await world.rows('alter table lost rename to unaccounted_transactions');
    }
    await expectAdopted(step, sent);
  });

  test('the step’s own transaction: it is found out about as after a retry', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const { deps } = world.process;
    const prepared = await prepare(step);
    await activitiesOf(deps, step).sign(prepared);
    const [{ inner_hash } = { inner_hash: '' }] = await statusesOf(step);
    await adopt(step, inner_hash.toUpperCase());
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED', transaction_hash: inner_hash });
  });
});

async function prepare({ workflowId, step, intent }: Step): Promise<string> {
  const prepared = await asActivity(workflowId, 1, () =>
    createEscrowApiActivities(world.process.deps).prepareTransaction({ intent, step, operation_id: null, priority: 1 }),
  );
  if (!('transaction_id' in prepared)) throw new Error('every wallet here is ours');
  return prepared.transaction_id;
}
