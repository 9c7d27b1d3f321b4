/** A step that keeps failing is on the attention list until it goes through; what is refused or waits is not. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Context } from '@temporalio/activity';
import { sql } from 'kysely';
import { pino } from 'pino';
import { refuse, waitFor } from '../../activities/failure.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { ProviderError } from '../../providers/errors.ts';
import { stuckInterceptor } from '../../worker/stuck.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

let database: TestDatabase;
let orm: Orm;
beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl, poolMax: 2 });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});

const BUG = new TypeError('nobody thought of this');

/** Attempts of an activity, as a worker runs them. @returns what each of them threw */
async function attempts(activityType: string, outcomes: readonly (Error | null)[], db = orm): Promise<unknown[]> {
  const watch = stuckInterceptor({ orm: db, log: pino({ level: 'silent' }) });
  const thrown: unknown[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    const info = { attempt: index + 1, activityType, workflowExecution: { workflowId: 'order/ord_1', runId: 'run' } };
    const next = () => (outcome === null ? Promise.resolve('done') : Promise.reject(outcome));
    const { inbound } = watch({ info } as Context);
    const result = inbound?.execute?.({ args: [], headers: {} }, next) ?? Promise.resolve();
    thrown.push(await result.then(() => null).catch((error: unknown) => error));
  }
  return thrown;
}

const items = async () =>
  (
    await sql<{ activity: string; open: boolean; text: string }>`
      select detail->>'activity' as activity, cleared_at is null as open, detail->>'detail' as text from attention
      where resource_type = 'order' and resource_id = 'ord_1' and reason = 'INTERNAL_ERROR' order by since`.execute(
      pool(orm),
    )
  ).rows;

const often = (error: Error, times: number): Error[] => Array.from({ length: times }, () => error);

test('what passes within some attempts tells nobody; neither does what was refused, waits, or is a provider’s trouble', async () => {
  expect(await attempts('settle', [...often(BUG, 5), null])).toEqual([...often(BUG, 5), null]);
  await attempts('settle', often(waitFor('PENDING', 'not in a ledger yet'), 20));
  await attempts('settle', often(refuse('INVALID_STATE', 'no'), 20));
  await attempts('settle', often(new ProviderError('UNAVAILABLE', 'rpc', 'HTTP 502'), 20));
  expect(await items()).toEqual([]);
});

test('what keeps failing is one item, which its own success clears', async () => {
  await attempts('voidFunding', often(BUG, 12));
  const item = { activity: 'voidFunding', open: true, text: 'TypeError: nobody thought of this' };
  expect(await items()).toEqual([item]);
  await attempts('settle', [...often(waitFor('PENDING', 'not in a ledger yet'), 9), null]);
  expect(await items()).toEqual([item]);
  await attempts('voidFunding', [...often(BUG, 9), null]);
  expect(await items()).toEqual([{ ...item, open: false }]);
});

test('without a database the failure stays what it was', async () => {
  const gone = await openOrm({ url: database.appUrl, poolMax: 1 });
  await gone.close();
  expect(await attempts('voidFunding', often(BUG, 7), gone)).toEqual(often(BUG, 7));
});
