/** One attention item per outage of a provider, whoever sees it. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createProviderWatch } from '../../activities/providers/outages.ts';
import { providerOutages } from '../../db/health.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

const NAME = 'rpc node.example';
let database: TestDatabase;
let orm: Orm;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl, poolMax: 4 });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});
beforeEach(async () => {
  await sql`delete from attention`.execute(pool(orm));
});

/** A worker whose clock the test moves. */
function worker() {
  let now = 0;
  const watch = createProviderWatch({ orm, log: pino({ level: 'silent' }) }, { now: () => now });
  return {
    ...watch,
    pass: (ms: number) => {
      now += ms;
    },
    /** Trouble at every second for so long. */
    failsFor(seconds: number) {
      for (let second = 0; second <= seconds; second += 1, now += 1_000) watch.failed(NAME, new Error('HTTP 503'));
    },
  };
}
const items = async () => {
  const { rows } = await sql<{ reason: string; open: boolean; trouble: string }>`
    select reason, cleared_at is null as open, detail->>'trouble' as trouble from attention
    where resource_type = 'provider' and resource_id = ${NAME} order by since`.execute(pool(orm));
  return rows;
};
const open = async () => (await items()).map((item) => item.open);

test('short trouble raises nothing; an answer in between begins anew', async () => {
  const one = worker();
  one.failsFor(10);
  one.answered(NAME);
  one.failsFor(10);
  await one.written();
  expect(await items()).toEqual([]);
  one.failsFor(10);
  await one.written();
  expect(await items()).toEqual([{ reason: 'PROVIDER_UNAVAILABLE', open: true, trouble: 'HTTP 503' }]);
});

test('a long outage seen by three workers is one item, shown in health; it clears with their answers', async () => {
  const workers = [worker(), worker(), worker()];
  for (const one of workers) one.failsFor(60);
  await Promise.all(workers.map((one) => one.written()));
  expect(await open()).toEqual([true]);
  expect([...(await providerOutages(pool(orm))).keys()]).toEqual([NAME]);
  for (const one of workers) one.answered(NAME);
  await Promise.all(workers.map((one) => one.written()));
  expect(await open()).toEqual([false]);
  expect((await providerOutages(pool(orm))).size).toBe(0);
});

test('the next outage is an item of its own', async () => {
  const one = worker();
  one.failsFor(20);
  one.answered(NAME);
  one.failsFor(20);
  await one.written();
  expect(await open()).toEqual([false, true]);
});

test('a worker that reaches the provider does not clear what another one still suffers, only what it left behind', async () => {
  const [cut, fine] = [worker(), worker()];
  cut.failsFor(20);
  await cut.written();
  fine.answered(NAME);
  await fine.written();
  expect(await open()).toEqual([true]);
  await sql`update attention set detail = detail || jsonb_build_object('failed_at', now() - interval '2 minutes')
    where resource_id = ${NAME}`.execute(pool(orm));
  fine.pass(60_000);
  fine.answered(NAME);
  await fine.written();
  expect(await open()).toEqual([false]);
});
