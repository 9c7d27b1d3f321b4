/**
 * Nothing is signed but what was asked for (F18): whatever a provider hands out, and whatever is changed in our own rows
 * between preparing and signing. Only fee, footprint, bounds and sequence may vary, inside limits.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import { createOrderActivities } from '../../activities/index.ts';
import { orderResource } from '../../db/resources/order.ts';
import { pool } from '../../db/sql.ts';
import { type Forgery, type Tamper, createTamper } from '../../sandbox/faults/tamper.ts';
import { hashes } from '../../providers/chain/envelope.ts';
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

let world: ChainWorld;
let tamper: Tamper;
beforeAll(async () => {
  world = await startChainWorld();
  const { core, accounts } = world.sandbox;
  tamper = createTamper({ core, seed: 'orchestrator-sandbox', usdc: accounts.usdc });
}, 120_000);
afterAll(() => world.stop());
afterEach(async () => {
  world.sandbox.faults.clear();
  await world.expectSettled();
});

interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

const keyOf = ({ workflowId, step }: Step): string => `${workflowId}/${step}`;

/** The differences with which an attempt was rejected for good. */
async function rejection(attempt: Promise<unknown>): Promise<readonly Difference[]> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`not rejected: ${String(error)}`);
  expect(error).toMatchObject({ type: 'ENVELOPE_REJECTED', nonRetryable: true });
  const [detail] = error.details as [{ differences: readonly Difference[] }];
  return detail.differences;
}

/** Steps by the name under which the sandbox's gateway builds them; each is reached by the real way. */
const STEPS: Record<string, { readonly path: string; readonly reach: () => Promise<Step> }> = {
  deploy: {
    path: '/deployer/',
    reach: async () => {
      const orderId = await world.reserved();
      await world.begin(orderId, 'escrow');
      return deployStep(orderId);
    },
  },
  fund: { path: '/fund-escrow', reach: async () => fundStep(await world.escrowed()) },
  release: {
    path: '/release-funds',
    reach: async () => {
      const orderId = await world.escrowed();
      await world.drive(fundStep(orderId));
      await world.begin(orderId, 'release');
      await world.drive(stepOf(orderId, { kind: 'APPROVE', orderId, milestoneIndex: null }, 'approve'));
      return stepOf(orderId, { kind: 'RELEASE', orderId, milestoneIndex: null }, 'release');
    },
  },
};

const FORGERIES: readonly (readonly [step: string, how: Forgery, fields: readonly string[]])[] = [
  ['deploy', 'xdr_wrong_amount', ['argument 4', 'authorisation']],
  ['deploy', 'xdr_wrong_destination', ['argument 4', 'authorisation']],
  ['deploy', 'xdr_wrong_contract', ['contract']],
  ['deploy', 'xdr_extra_operation', ['operations']],
  ['deploy', 'xdr_foreign_auth', ['authorisation']],
  ['fund', 'xdr_wrong_amount', ['argument 2', 'authorisation']],
  ['fund', 'xdr_wrong_contract', ['contract']],
  ['fund', 'xdr_extra_operation', ['operations']],
  ['fund', 'xdr_foreign_auth', ['authorisation']],
  ['release', 'xdr_wrong_contract', ['contract']],
  ['release', 'xdr_extra_operation', ['operations']],
  ['release', 'xdr_foreign_auth', ['authorisation']],
];

async function signaturesOf(step: Step): Promise<number> {
  const rows = await world.rows(
    `select e.outer_hash from chain_envelopes e join chain_transactions t on t.id = e.transaction_id
     where t.intent_key = $1`,
    keyOf(step),
  );
  return rows.length;
}

describe('a forged envelope of the gateway is rejected before it is stored', () => {
  test.each(FORGERIES)('%s, %s: %j', async (name, how, fields) => {
    const step = await STEPS[name]?.reach();
    if (step === undefined) throw new Error(`no step ${name}`);
    world.sandbox.faults.set({ name: how, match: { path: STEPS[name]?.path ?? '' } });
    const differences = await rejection(activitiesOf(world.process.deps, step).prepare());
    expect(differences.map(({ field }) => field)).toEqual(expect.arrayContaining([...fields]));
    for (const { expected, actual } of differences) expect(actual).not.toBe(expected);
    expect(await world.rows('select id from chain_transactions where intent_key = $1', keyOf(step))).toEqual([]);
    // Others may use the account meanwhile; and when the gateway is itself again, the step goes on.
    expect(await world.rows('select owner from source_leases')).toEqual([]);
    world.sandbox.faults.clear();
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
  });

  test('its own envelope of before is stale, not different: it is built again', async () => {
    const step = fundStep(await world.escrowed());
    world.sandbox.faults.set({ name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow' } });
    expect(await world.drive(step)).toMatchObject({ status: 'DEAD', reason: 'TRANSACTION_FAILED' });
    world.sandbox.faults.set({ name: 'xdr_duplicate', count: 1, match: { path: '/fund-escrow' } });
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    expect(world.sandbox.faults.journal().at(-1)).toMatchObject({ name: 'xdr_duplicate' });
  });
});

describe('what was changed in our own rows before signing is rejected, and nothing is signed', () => {
  test.each(FORGERIES.filter(([name]) => name === 'fund'))('%s, %s: %j', async (_name, how, fields) => {
    const step = fundStep(await world.escrowed());
    const id = await prepared(step);
    const [row] = await world.rows<{ envelope: string }>(
      'select unsigned_envelope as envelope from chain_transactions where id = $1',
      id,
    );
    const forged = tamper(how, row?.envelope ?? '') ?? '';
    const { hash } = hashes(forged, world.process.deps.network.passphrase);
    // Whoever forges a row makes it agree with itself.
    await world.rows(
      'update chain_transactions set unsigned_envelope = $2, inner_hash = $3 where id = $1',
      id,
      forged,
      hash,
    );
    const differences = await rejection(activitiesOf(world.process.deps, step).sign(id));
    expect(differences.map(({ field }) => field)).toEqual(expect.arrayContaining([...fields]));
    await goesOn(step);
  });

  test.each([
    ['inner_hash', `'${'0'.repeat(64)}'`, 'row: hash'],
    ['sequence', 'sequence + 1', 'row: sequence'],
    ['max_time', 'max_time - 60', 'row: max time'],
    ['contract_id', `'C${'A'.repeat(55)}'`, 'row: contract'],
  ])('the column %s, by which the envelope is found again', async (column, value, field) => {
    const step = fundStep(await world.escrowed());
    const id = await prepared(step);
    await world.rows(`update chain_transactions set ${column} = ${value} where id = $1`, id);
    expect((await rejection(activitiesOf(world.process.deps, step).sign(id))).map((one) => one.field)).toEqual([field]);
    await goesOn(step);
  });

  async function prepared(step: Step): Promise<string> {
    const result = await activitiesOf(world.process.deps, step).prepare();
    if (!('transaction_id' in result)) throw new Error('every wallet here is ours');
    return result.transaction_id;
  }

  async function goesOn(step: Step): Promise<void> {
    expect(await signaturesOf(step)).toBe(0);
    expect(await world.rows('select owner from source_leases')).toEqual([]);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    expect(await signaturesOf(step)).toBe(1);
  }
});

test('the order is parked with the decoded difference', async () => {
  const orderId = await world.escrowed();
  const step = fundStep(orderId);
  world.sandbox.faults.set({ name: 'xdr_wrong_amount', match: { path: '/fund-escrow' } });
  const differences = await rejection(activitiesOf(world.process.deps, step).prepare());
  const [order] = await world.rows<{ operation: { id: string } }>(
    'select operation from orders where id = $1',
    orderId,
  );
  const { parkOperation, unparkOperation } = createOrderActivities(world.process.deps);
  const operation = { order_id: orderId, operation_id: order?.operation.id ?? '' };
  const parked = await asActivity(step.workflowId, 1, () =>
    parkOperation({
      ...operation,
      reason: 'ENVELOPE_REJECTED',
      message: '',
      detail: { differences },
      step: 'fund',
      repairs: ['retry'],
    }),
  );
  // What may be done about it goes along: a resumed run allows the same, and a cancel does not end it.
  expect(parked.operation).toMatchObject({ status: 'PARKED', repairs: ['retry'] });
  const { loadOrder } = createOrderActivities(world.process.deps);
  expect((await loadOrder({ order_id: orderId })).operation).toEqual(parked.operation);
  expect((await orderResource(pool(world.process.deps.orm), orderId)).allowed).toEqual([]);
  const [attention] = await world.rows<{ detail: { detail: { differences: Difference[] } } }>(
    'select detail from attention where resource_id = $1 and cleared_at is null',
    orderId,
  );
  expect(attention?.detail.detail.differences).toContainEqual({
    field: 'argument 2',
    expected: '250000000',
    actual: '500000000',
  });
  world.sandbox.faults.clear();
  const open = () =>
    world.rows<{ id: string }>('select id from attention where resource_id = $1 and cleared_at is null', orderId);
  await world.rows(
    `insert into attention (id, resource_type, resource_id, workflow_id, reason, detail, allowed_repairs, since)
     values ('att_other', 'order', $1, 'reconcile/x', 'BOOKS_DIFFER', '{}', '{}', now())`,
    orderId,
  );
  await asActivity(step.workflowId, 1, () => unparkOperation(operation));
  // Another matter of the order is not settled by that.
  expect(await open()).toEqual([{ id: 'att_other' }]);
  expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
});
