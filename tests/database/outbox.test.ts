import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type EventInput, appendEvents, bumpVersion, recordChange } from '../../db/events.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { userResource } from '../../db/resources/user.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { RELAY_LOCK, relayOnce } from '../../worker/relay.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

let database: TestDatabase;
let orm: Orm;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});

async function insertUser(trx: Sql, id: string): Promise<void> {
  await sql`insert into users (id, marketplace_id, external_user_id, email, metadata, created_at, updated_at)
    values (${id}, 'mkt_1', ${id}, null, '{"plan":"pro"}', now(), now())`.execute(trx);
  await sql`insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, created_at, updated_at)
    values (${`wal_${id}`}, 'mkt_1', ${id}, 'USER', 'crypto-native', 'PROVISIONING', ${`G${id}`}, now(), now())`.execute(
    trx,
  );
}

async function event(trx: Sql, id: string, type: EventInput['type'] = 'user.created'): Promise<EventInput> {
  return {
    type,
    marketplaceId: 'mkt_1',
    resource: { type: 'user', id },
    object: await userResource(trx, id),
    change: type === 'user.updated' ? { fields: ['email'] } : {},
    actor: 'key_1',
    requestId: 'req_1',
    workflowId: null,
    runId: null,
  };
}

interface Stored {
  id: string;
  sequence: number;
  position: string | null;
  data: { object: { version: number; wallet: { address: string | null } } };
}
const stored = async (id: string): Promise<Stored[]> =>
  (
    await sql<Stored>`select id, sequence, position::text, data from events where resource_id = ${id} order by sequence`.execute(
      pool(orm),
    )
  ).rows;

describe('the outbox', () => {
  test('an event carries the resource as it is after the change, with its new version', async () => {
    const version = await inTransaction(orm, async (trx) => {
      await insertUser(trx, 'a');
      return recordChange(trx, { resourceId: 'a', events: [await event(trx, 'a')] });
    });
    expect(version).toBe(1);
    const [created] = await stored('a');
    expect(created?.data.object).toEqual(await userResource(pool(orm), 'a'));
    expect(created?.data.object.version).toBe(1);
    // F39: the address is known before the wallet can receive
    expect(created?.data.object.wallet.address).toBeNull();
  });

  test('sequences have no gaps and versions count changes only, whoever writes', async () => {
    await inTransaction(orm, async (trx) => {
      await insertUser(trx, 'b');
      await insertUser(trx, 'b2');
      await recordChange(trx, { resourceId: 'b', events: [await event(trx, 'b'), await event(trx, 'b2')] });
    });
    const writers = Array.from({ length: 12 }, (_, index) =>
      inTransaction(orm, async (trx) => {
        const events = [await event(trx, 'b', 'user.updated'), await event(trx, 'b', 'user.updated')];
        if (index % 3 === 0) await recordChange(trx, { resourceId: 'b', events });
        else if (index % 3 === 1) await appendEvents(trx, events);
        else await bumpVersion(trx, 'b');
        if (index === 4) throw new Error('rolled back');
      }).catch(() => undefined),
    );
    await Promise.all(writers);
    expect((await stored('b')).map((row) => row.sequence)).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
    expect((await userResource(pool(orm), 'b')).version).toBe(9);
    expect((await userResource(pool(orm), 'b2')).version).toBe(0);
  });

  test('an event that is not what its type says is not written', async () => {
    const wrong = inTransaction(orm, async (trx) =>
      appendEvents(trx, [{ ...(await event(trx, 'a')), change: { surprise: true } }]),
    );
    await expect(wrong).rejects.toThrow(/user.created is not valid/);
    expect(await stored('a')).toHaveLength(1);
  });
});

describe('the relay', () => {
  test('a reader that follows positions misses nothing, whatever order transactions commit in (F54)', async () => {
    for (const id of ['c', 'd']) await inTransaction(orm, (trx) => insertUser(trx, id));
    while ((await relayOnce(orm)) > 0);
    const gate = Promise.withResolvers<void>();
    const early = inTransaction(orm, async (trx) => {
      await appendEvents(trx, [await event(trx, 'c')]);
      await gate.promise;
    });
    await inTransaction(orm, async (trx) => appendEvents(trx, [await event(trx, 'd')]));
    expect(await relayOnce(orm)).toBe(1);
    const [late] = await stored('d');
    gate.resolve();
    await early;
    expect(await relayOnce(orm)).toBe(1);
    const [first] = await stored('c');
    expect(BigInt(first?.position ?? 0)).toBe(BigInt(late?.position ?? 0) + 1n);
  });

  test('positions keep the sequence of each resource, also when the clock stepped back', async () => {
    await inTransaction(orm, async (trx) => {
      for (let index = 0; index < 3; index += 1) await appendEvents(trx, [await event(trx, 'c', 'user.updated')]);
    });
    await sql`update events set occurred_at = now() - sequence * interval '1 minute' where position is null`.execute(
      pool(orm),
    );
    await relayOnce(orm);
    const positions = (await stored('c')).map((row) => BigInt(row.position ?? 0));
    expect(positions).toEqual([...positions].sort((a, b) => (a < b ? -1 : 1)));
  });

  test('one relays at a time: who finds another at it assigns nothing', async () => {
    await inTransaction(orm, async (trx) => appendEvents(trx, [await event(trx, 'd', 'user.updated')]));
    await inTransaction(orm, async (trx) => {
      await sql`select pg_advisory_xact_lock(${RELAY_LOCK})`.execute(trx);
      expect(await relayOnce(orm)).toBe(0);
    });
    expect(await relayOnce(orm)).toBe(1);
  });

  test('many relays at once give each event one position, without gaps', async () => {
    await Promise.all(
      Array.from({ length: 8 }, () =>
        inTransaction(orm, async (trx) => appendEvents(trx, [await event(trx, 'd', 'user.updated')])),
      ),
    );
    const relays = Array.from({ length: 6 }, async () => {
      while ((await unrelayed()) > 0) await relayOnce(orm);
    });
    await Promise.all(relays);
    const { rows } = await sql<{
      position: string;
    }>`select position::text from events order by events.position`.execute(pool(orm));
    expect(rows.map((row) => Number.parseInt(row.position, 10))).toEqual(rows.map((_, index) => index + 1));
  });
});

async function unrelayed(): Promise<number> {
  const { rows } = await sql<{
    count: number;
  }>`select count(*)::int as count from events where position is null`.execute(pool(orm));
  return rows[0]?.count ?? 0;
}
