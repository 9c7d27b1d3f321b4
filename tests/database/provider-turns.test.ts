/** One limit for all workers in front of a provider that counts. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { createTurns } from '../../activities/providers/turns.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { asAttempt } from '../../providers/attempt.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { EscrowGateway } from '../../providers/escrow/port.ts';
import { withTurns } from '../../providers/limits/turns.ts';
import { UNWATCHED } from '../../providers/limits/watch.ts';
import { type Network, startNetwork } from '../contract/network.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/wait.ts';

const PROVIDER = 'trustless-work';
const LIMIT = 50;
/** Of the limit, for what is not urgent. */
const COMMON = 40;
let database: TestDatabase;
let workers: Orm[];

beforeAll(async () => {
  database = await createTestDatabase();
  workers = await Promise.all([1, 2, 3].map(() => openOrm({ url: database.appUrl, poolMax: 4 })));
});
afterAll(async () => {
  await Promise.all(workers.map((orm) => orm.close()));
  await database.drop();
});

const db = () => pool(workers[0] as Orm);
beforeEach(async () => {
  await sql`delete from provider_turns`.execute(db());
  await sql`delete from provider_limits`.execute(db());
});

const turnsOf = (worker: number) => createTurns(workers[worker % workers.length] as Orm, PROVIDER, LIMIT);
const take = (owner: string, priority = 5, worker = 0): Promise<number> =>
  turnsOf(worker).take({ owner, priority, queue: true });
/** Ages what is stored, as if so much time had passed. */
const pass = (interval: string) =>
  sql`
  update provider_turns set granted_at = granted_at - ${interval}::interval, queued_at = queued_at - ${interval}::interval,
    polled_at = polled_at - ${interval}::interval`.execute(db());
const takeMany = (count: number, priority: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => take(randomUUID(), priority, index)));
const granted = (answers: readonly number[]): number => answers.filter((waitMs) => waitMs === 0).length;

describe('turns', () => {
  test('of a hundred that ask at once at three workers as many get one as the provider takes, less what is kept', async () => {
    expect(granted(await takeMany(100, 5))).toBe(COMMON);
    expect(granted(await takeMany(30, 1))).toBe(LIMIT - COMMON);
    expect(granted(await takeMany(10, 1))).toBe(0);
  });

  test('the last one goes to one of two that ask at the same moment', async () => {
    // The provider is known: the first ever to ask would make the others wait in any case.
    await takeMany(COMMON - 1, 5);
    const [one, other, watcher] = workers as [Orm, Orm, Orm];
    const asked: Promise<number>[] = [];
    const first = await inTransaction(one, async (trx) => {
      const { rows } = await sql<{ wait: number }>`
        select take_provider_turn(${PROVIDER}, 'first', 5, ${COMMON}, true) as wait`.execute(trx);
      asked.push(createTurns(other, PROVIDER, LIMIT).take({ owner: 'second', priority: 5, queue: true }));
      // It is asked now, and not answered before the first one is through.
      await eventually(async () => {
        const waiting = await sql`select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`.execute(pool(watcher));
        return waiting.rows.length > 0;
      });
      return rows[0]?.wait;
    });
    expect(first).toBe(0);
    expect(await asked[0]).toBeGreaterThan(0);
  });

  test('a minute later there are as many again, and not a moment before', async () => {
    expect(granted(await takeMany(COMMON, 5))).toBe(COMMON);
    await pass('59 seconds');
    expect(granted(await takeMany(5, 5))).toBe(0);
    await pass('2 seconds');
    expect(granted(await takeMany(60, 5))).toBeLessThanOrEqual(COMMON);
    expect(await take('later', 5)).toBeGreaterThan(0);
  });

  test('go to releases first, then to who came first; whoever waits keeps his place', async () => {
    await takeMany(LIMIT, 1);
    for (const owner of ['first', 'second']) expect(await take(owner, 5)).toBeGreaterThan(0);
    for (const owner of ['release', 'other release']) expect(await take(owner, 1)).toBeGreaterThan(0);
    // One turn is over.
    await sql`update provider_turns set granted_at = granted_at - interval '2 minutes'
      where id = (select id from provider_turns where granted_at is not null limit 1)`.execute(db());
    expect(await take('second', 5)).toBeGreaterThan(0);
    expect(await take('other release', 1)).toBeGreaterThan(0);
    expect(await take('release', 1)).toBe(0);
    await sql`update provider_turns set granted_at = granted_at - interval '2 minutes'
      where id in (select id from provider_turns where granted_at is not null limit 13)`.execute(db());
    // Three are free beyond those that are kept, and one of them is the waiting release's.
    expect(await take('second', 5)).toBe(0);
    expect(await take('first', 5)).toBe(0);
    expect(await take('third', 5)).toBeGreaterThan(0);
  });

  test('who stopped asking holds nobody up', async () => {
    await takeMany(LIMIT - 1, 1);
    await sql`insert into provider_turns (id, provider, owner, priority, queued_at, polled_at)
      values (gen_random_uuid(), ${PROVIDER}, 'gone', 1, now(), now() - interval '1 minute'),
        (gen_random_uuid(), ${PROVIDER}, 'here', 1, now(), now())`.execute(db());
    expect(await take('late', 1)).toBeGreaterThan(0);
    expect(await take('here', 1)).toBe(0);
  });

  test('the wait that is told ends when a turn is free', async () => {
    await takeMany(LIMIT, 1);
    await pass('55 seconds');
    const waitMs = await take('next', 1);
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(6_000);
  });

  test('nobody gets one while the provider wants to be left alone, at whichever worker it said so', async () => {
    await turnsOf(0).holdOff(9_000);
    await turnsOf(1).holdOff(1_000);
    const waitMs = await take('release', 1, 2);
    expect(waitMs).toBeGreaterThan(1_000);
    expect(waitMs).toBeLessThanOrEqual(9_000);
    await sql`update provider_limits set held_until = now()`.execute(db());
    expect(await take('release', 1)).toBe(0);
  });
});

/** A gateway that notes its calls and answers, or throws what it is given. */
function gatewayWith(outcome: () => ProviderError | null): { gateway: EscrowGateway; calls: () => number } {
  let calls = 0;
  const answer = async (): Promise<string> => {
    calls += 1;
    const error = outcome();
    if (error !== null) throw error;
    return 'envelope';
  };
  const gateway: EscrowGateway = {
    name: PROVIDER,
    taskQueue: 'escrow-api',
    build: answer,
    nudge: async () => void (await answer()),
  };
  return { gateway, calls: () => calls };
}
const call = {} as Parameters<EscrowGateway['build']>[0];

describe('the gateway', () => {
  test('is not asked without a turn; a nudge counts, and takes nobody’s place', async () => {
    const { gateway, calls } = gatewayWith(() => null);
    const limited = withTurns(gateway, turnsOf(0), UNWATCHED);
    const attempt = <T>(owner: string, work: () => Promise<T>) =>
      asAttempt({ owner, priority: 1, limitMs: 9_000 }, work);
    await takeMany(COMMON - 1, 1);
    await attempt('a', () => limited.nudge('hash'));
    await takeMany(LIMIT - COMMON, 1);
    expect(calls()).toBe(1);
    await expect(attempt('a', () => limited.build(call))).rejects.toMatchObject({
      kind: 'THROTTLED',
      retryAfterMs: expect.any(Number),
    });
    await expect(attempt('a', () => limited.nudge('hash'))).rejects.toMatchObject({ kind: 'THROTTLED' });
    expect(calls()).toBe(1);
    const waiting = await sql<{ owner: string }>`select owner from provider_turns where granted_at is null`.execute(
      db(),
    );
    expect(waiting.rows).toEqual([{ owner: 'a' }]);
  });

  test.each([
    ['a stated time', 429, 7_000, 7_000],
    ['no time', 429, null, 10_000],
    ['a time beside an outage', 503, 3_000, 3_000],
    ['an absurd time', 429, 86_400_000, 15_000],
  ])('that answers with %s is left alone by every worker', async (_words, status, retryAfterMs, atMost) => {
    const error = new ProviderError('UNAVAILABLE', PROVIDER, 'not now', {
      status,
      ...(retryAfterMs === null ? {} : { retryAfterMs }),
    });
    const busy = withTurns(gatewayWith(() => error).gateway, turnsOf(0), UNWATCHED);
    await expect(busy.build(call)).rejects.toBe(error);
    const { gateway, calls } = gatewayWith(() => null);
    const other = withTurns(gateway, turnsOf(1), UNWATCHED);
    const refusal: unknown = await other.build(call).catch((thrown: unknown) => thrown);
    expect(refusal).toMatchObject({ kind: 'THROTTLED' });
    expect((refusal as ProviderError).retryAfterMs).toBeLessThanOrEqual(atMost);
    expect(calls()).toBe(0);
  });

  test('that is only down for a moment is asked again at once', async () => {
    const down = new ProviderError('UNAVAILABLE', PROVIDER, 'HTTP 502', { status: 502 });
    await expect(withTurns(gatewayWith(() => down).gateway, turnsOf(0), UNWATCHED).build(call)).rejects.toBe(down);
    expect(await withTurns(gatewayWith(() => null).gateway, turnsOf(1), UNWATCHED).build(call)).toBe('envelope');
  });
});

test('a gateway whose calls nobody counts is asked at once', async () => {
  const { gateway, calls } = gatewayWith(() => null);
  expect(await withTurns(gateway, null, UNWATCHED).build(call)).toBe('envelope');
  expect(calls()).toBe(1);
});

describe('the real API with its limit switched on', () => {
  let network: Network;
  beforeAll(async () => {
    network = await startNetwork();
    network.sandbox.trustlessWork.options.rateLimit = true;
  });
  afterAll(() => network.close());

  test('never has to turn three workers away that ask twice as often as it allows', async () => {
    const gateways = [0, 1, 2].map((worker) =>
      withTurns(network.gateways['trustless-work'], turnsOf(worker), UNWATCHED),
    );
    const answers = await Promise.all(
      Array.from({ length: 2 * LIMIT }, (_, index) =>
        asAttempt({ owner: `order/${index}`, priority: index % 4 === 0 ? 1 : 5, limitMs: 9_000 }, async () => {
          const error: unknown = await gateways[index % 3]?.nudge('0'.repeat(64)).catch((thrown: unknown) => thrown);
          return error instanceof ProviderError ? `${error.kind} ${error.status}` : 'answered';
        }),
      ),
    );
    // The hash is unknown: 404 is an answer. Never 429.
    expect(new Set(answers)).toEqual(new Set(['REFUSED 404', 'THROTTLED null']));
    expect(answers.filter((answer) => answer === 'REFUSED 404')).toHaveLength(COMMON);
  });
});
