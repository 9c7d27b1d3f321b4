/**
 * What is left in a contract while something else happens: a pause, a lost run, more money, a signature that comes late, rows
 * that were restored.
 */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { createChainActivities } from '../../activities/index.ts';
import { unbookedOn } from '../../activities/booking/foreign.ts';
import { findUnaccounted, settleUnaccounted } from '../../activities/chain/unaccounted.ts';
import { openSurplus } from '../../activities/surplus/opening.ts';
import { lockSurplus } from '../../activities/surplus/row.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { asActivity } from '../support/activity.ts';
import { type ChainWorld, type Step, activitiesOf, repeated, startChainWorld } from '../support/chain-world.ts';
import { disputeStep, surplusSteps, withdrawStep } from '../support/surplus.ts';
import { landUnknown } from '../support/unknown.ts';
import { eventually } from '../support/wait.ts';

let world: ChainWorld;
const { stranger, deployed, seen, cancel, look, take, drop, agree, pay, agreed } = surplusSteps(() => world);
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());
afterEach(() => world.expectSettled());

async function prepared(step: Step): Promise<string> {
  const { prepare } = activitiesOf(world.process.deps, step);
  const result = await repeated(prepare, closeLedger);
  if (!('transaction_id' in result)) throw new Error('every wallet here is ours');
  return result.transaction_id;
}

const closeLedger = (): void => void world.sandbox.core.closeLedger();

/** That so many sessions wait for a lock. */
const waiting = (sessions: number) =>
  eventually(async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
      pool(world.process.deps.orm),
    );
    return rows.length >= sessions;
  });

test('a paused marketplace signs no payout; it waits without its source account', async () => {
  const { escrow, approval_id } = await agreed(7n);
  await world.drive(disputeStep(escrow, null));
  const step = withdrawStep(escrow, approval_id);
  const { prepare, sign } = activitiesOf(world.process.deps, step);
  const id = await prepared(step);
  await world.rows("update marketplaces set status = 'PAUSED'");
  expect(await sign(id)).toEqual({ status: 'STALE' });
  await expect(prepare()).rejects.toMatchObject({ type: 'PAUSED' });
  expect(await world.rows('select * from source_leases')).toEqual([]);
  await world.rows("update marketplaces set status = 'ACTIVE'");
  await pay(escrow);
  expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
}, 120_000);

test('a dispute that landed while nobody looked is found by the next run, and gives its source account back', async () => {
  const { escrow } = await agreed(7n);
  const step = disputeStep(escrow, null);
  const { sign, settle } = activitiesOf(world.process.deps, step);
  const id = await prepared(step);
  expect(await sign(id)).toEqual({ status: 'SIGNED' });
  await expect(settle(id)).rejects.toMatchObject({ type: 'PENDING' });
  closeLedger();
  expect(await look(escrow)).toMatchObject({ status: 'PAYING', open_parts: [null] });
  await pay(escrow);
  expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
}, 120_000);

test('what comes in during a look is not settled by it', async () => {
  const { escrow, outside } = await agreed(7n);
  await pay(escrow);
  const { hash } = await outside.payContract(escrow.contractId, 9n);
  const { orm } = world.process.deps;
  const looking = await inTransaction(orm, async (trx) => {
    await lockSurplus(trx, escrow.id);
    const answer = look(escrow);
    await waiting(1);
    await seen(escrow, hash);
    await openSurplus(trx, escrow.orderId, 'SEEN');
    return { answer };
  });
  await expect(looking.answer).rejects.toMatchObject({ type: 'PENDING', nonRetryable: false });
  expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '0.0000009' });
}, 120_000);

test('a payout that is signed while it is let go is not let go', async () => {
  const { escrow, approval_id } = await agreed(7n);
  await world.drive(disputeStep(escrow, null));
  const step = withdrawStep(escrow, approval_id);
  const id = await prepared(step);
  const { signing, dropping } = await inTransaction(world.process.deps.orm, async (trx) => {
    await sql`select from chain_transactions where id = ${id} for update`.execute(trx);
    const signed = activitiesOf(world.process.deps, step).sign(id);
    await waiting(1);
    const dropped = drop(escrow, approval_id);
    await waiting(2);
    return { signing: signed, dropping: dropped };
  });
  expect(await signing).toEqual({ status: 'SIGNED' });
  await dropping;
  expect(await look(escrow)).toMatchObject({ status: 'PAYING', approval_id });
  expect(await world.rows('select owner from source_leases')).toHaveLength(1);
  await pay(escrow);
  expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
}, 120_000);

test('another asset in the contract is nobody’s matter', async () => {
  const escrow = await deployed();
  const outside = await stranger('100');
  const { hash } = await outside.payContract(escrow.contractId, 7n);
  await seen(escrow, hash, 'EURC');
  expect(await unbookedOn(pool(world.process.deps.orm), escrow.id)).toEqual([]);
  expect(await cancel(escrow)).not.toHaveProperty('surplus');
  // What it really was.
  await seen(escrow, hash);
  await openSurplus(pool(world.process.deps.orm), escrow.orderId, 'SEEN');
  expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '0.0000007' });
}, 120_000);

test('an earlier payout that looks the same is not adopted for the one that two persons agreed on', async () => {
  const { deps } = world.process;
  const { escrow, outside, approval_id: first } = await agreed(7n);
  await world.drive(disputeStep(escrow, null));
  const early = await landUnknown(world, withdrawStep(escrow, first));
  await findUnaccounted(deps, 'recover');
  await settleUnaccounted(deps.orm, early.hash, 'paid');
  await drop(escrow, first);
  await seen(escrow, early.outer);
  await seen(escrow, (await outside.payContract(escrow.contractId, 7n)).hash);
  await look(escrow);
  const second = await agree(escrow, outside.address);
  await take(escrow, second);
  const step = withdrawStep(escrow, second);
  const adopt = (transaction_hash: string) =>
    asActivity(step.workflowId, 1, () =>
      createChainActivities(deps).adoptTransaction({ parts: [step], transaction_hash, reason: null }),
    );
  await expect(adopt(early.hash)).rejects.toMatchObject({
    type: 'VALIDATION_ERROR',
    details: [{ differences: [{ field: 'booked at' }] }],
  });
  await adopt((await landUnknown(world, step)).hash);
  await pay(escrow);
  expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
}, 120_000);
