/** What the chain step relies on in the rows: the order as it is when it is booked, accounts that nobody else used. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { withClient } from '../../cli/stack/postgres.ts';
import { pool } from '../../db/sql.ts';
import { DEFAULT_DEADLINES } from '../../domain/order/deadlines.ts';
import {
  type ChainWorld,
  type Step,
  activitiesOf,
  fundStep,
  repeated,
  startChainWorld,
} from '../support/chain-world.ts';
import { eventually } from '../support/wait.ts';

let world: ChainWorld;
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());
afterEach(() => world.expectSettled());

const here = (step: Step) => activitiesOf(world.process.deps, step);
const closeLedger = (): void => void world.sandbox.core.closeLedger();

async function prepared(step: Step): Promise<string> {
  const result = await repeated((attempt) => here(step).prepare(attempt), closeLedger);
  if (!('transaction_id' in result)) throw new Error('every wallet here is ours');
  return result.transaction_id;
}

test('a booking builds on what somebody changed under the order’s lock meanwhile', async () => {
  const orderId = await world.escrowed({ deadlines: { ...DEFAULT_DEADLINES, delivery: 'P7D' } });
  const step = fundStep(orderId);
  const id = await prepared(step);
  expect(await here(step).sign(id)).toEqual({ status: 'SIGNED' });
  const extended = '2099-01-01T00:00:00.000Z';
  const { settled } = await withClient(world.ownerUrl, async (holder) => {
    await holder.query('begin');
    await holder.query('select from orders where id = $1 for update', [orderId]);
    const settling = repeated((attempt) => here(step).settle(id, attempt), closeLedger);
    // Asked as whom it waits as: others do not see what a session waits for.
    const waiting = sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await eventually(async () => (await waiting.execute(pool(world.process.deps.orm))).rows.length > 0);
    await holder.query(`update orders set due_times = due_times || '{"delivery": "${extended}"}' where id = $1`, [
      orderId,
    ]);
    await holder.query('commit');
    return { settled: settling };
  });
  expect(await settled).toMatchObject({ status: 'LANDED', state: { status: 'IN_PROGRESS' } });
  const due = await world.rows("select due_times->>'delivery' as due from orders where id = $1", orderId);
  expect(due).toEqual([{ due: extended }]);
});

test('an account that the chain knows more of than the rows do is not used: nothing is stored, nobody holds it', async () => {
  const known = fundStep(await world.escrowed());
  expect(await world.drive(known)).toMatchObject({ status: 'LANDED' });
  const step = fundStep(await world.escrowed());
  const keyOf = ({ workflowId, step: name }: Step): string => `${workflowId}/${name}`;
  const forget = (by: number) =>
    world.rows('update chain_transactions set sequence = sequence - $2 where intent_key = $1', keyOf(known), by);
  await forget(1);
  await expect(prepared(step)).rejects.toMatchObject({ type: 'BOOKS_DIFFER', nonRetryable: true });
  expect(await world.rows('select id from chain_transactions where intent_key = $1', keyOf(step))).toEqual([]);
  expect(await world.rows('select owner from source_leases')).toEqual([]);
  await forget(-1);
  expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
});
