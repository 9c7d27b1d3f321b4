import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { type TestApi, createMarketplace, insertUser, startTestApi } from '../support/api.ts';

/** Everything here is decided without a workflow: Temporal cannot be reached on purpose. */
let api: TestApi;
let orm: Orm;
let one: { id: string; key: string };
let other: { id: string; key: string };

beforeAll(async () => {
  api = await startTestApi();
  orm = await openOrm({ url: api.database.ownerUrl });
  one = await createMarketplace(api, 'one');
  other = await createMarketplace(api, 'other');
});
afterAll(async () => {
  await orm.close();
  await api.stop();
});

const TABLES = [
  'marketplaces',
  'api_keys',
  'users',
  'wallets',
  'orders',
  'events',
  'idempotency_keys',
  'ledger_transfers',
  'resource_counters',
];
/** Row counts of every table that a request may write. */
async function everything(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)}`.execute(
      pool(orm),
    );
    counts[table] = rows[0]?.count ?? -1;
  }
  return counts;
}

const order = (buyer: string, seller: string) => ({ buyer_id: buyer, seller_id: seller, amount: '250', title: 'Logo' });

describe('walls', () => {
  test("another marketplace's user, order, event and key do not exist: the same 404 as for nonsense", async () => {
    const foreign = await insertUser(orm, other.id);
    const keys = await api.request('GET', '/auth/api-keys', { key: other.key });
    const [key] = keys.body['data'] as { id: string }[];
    for (const [method, path] of [
      ...[
        '',
        '/wallet',
        '/wallet/deposit',
        '/wallet/transactions',
        '/balance',
        '/balance/transactions',
        '/balance/verify',
      ].map((rest) => ['GET', `/users/ID${rest}`] as const),
      ['PATCH', '/users/ID'],
      ['POST', '/users/ID/suspend'],
    ] as const) {
      const [theirs, nobodys] = await Promise.all(
        [foreign, 'usr_nobody'].map((id) =>
          api.request(method, path.replace('ID', id), { key: one.key, ...(method === 'GET' ? {} : { body: {} }) }),
        ),
      );
      expect([path, theirs?.status, theirs?.body['code']]).toEqual([path, 404, 'NOT_FOUND']);
      expect({ ...theirs?.body, instance: 0, request_id: 0 }).toEqual({ ...nobodys?.body, instance: 0, request_id: 0 });
    }
    expect((await api.request('DELETE', `/auth/api-keys/${key?.id}`, { key: one.key })).status).toBe(404);
    expect((await api.request('GET', `/users?external_user_id=${foreign}`, { key: one.key })).body['data']).toEqual([]);
    const mine = await insertUser(orm, one.id);
    const { status, body } = await api.request('POST', '/orders', { key: one.key, body: order(mine, foreign) });
    expect([status, body['errors']]).toEqual([
      404,
      [expect.objectContaining({ pointer: '/seller_id', code: 'NOT_FOUND' })],
    ]);
  });

  test('without a wallet that is ready, deposit instructions show no address (F39)', async () => {
    const user = await insertUser(orm, one.id);
    await sql`update wallets set address = ${`G${user}`} where user_id = ${user}`.execute(pool(orm));
    const { status, body } = await api.request('GET', `/users/${user}/wallet/deposit`, { key: one.key });
    expect([status, body['status'], body['address'], body['sep7_uri'], body['qr']]).toEqual([
      200,
      'PROVISIONING',
      null,
      null,
      null,
    ]);
    for (const path of [`/users/${user}`, `/users/${user}/wallet`])
      expect(JSON.stringify((await api.request('GET', path, { key: one.key })).body)).not.toContain(`G${user}`);
    await sql`update wallets set status = 'READY' where user_id = ${user}`.execute(pool(orm));
    const ready = await api.request('GET', `/users/${user}/wallet/deposit`, { key: one.key });
    expect(ready.body['sep7_uri']).toMatch(
      new RegExp(
        `^web\\+stellar:pay\\?destination=G${user}&asset_code=USDC&asset_issuer=G\\w+&network_passphrase=Sandbox%20`,
      ),
    );
    expect(ready.body['qr']).toMatch(/^data:image\/svg\+xml;base64,/);
  });
});

describe('bad input', () => {
  test('is refused with its status, code and pointers, and writes nothing', async () => {
    const [buyer, seller, suspended] = [
      await insertUser(orm, one.id),
      await insertUser(orm, one.id),
      await insertUser(orm, one.id, 'SUSPENDED'),
    ];
    const good = order(buyer, seller);
    const before = await everything();
    const cases: readonly [unknown, number, string, readonly string[]][] = [
      [{ ...good, surprise: 1 }, 422, 'VALIDATION_ERROR', ['/surprise']],
      ...['1e3', '-1', '1.00000001', '01', 250, '0', ''].map(
        (amount) => [{ ...good, amount }, 422, 'VALIDATION_ERROR', ['/amount']] as [unknown, number, string, string[]],
      ),
      [{ ...good, seller_id: buyer }, 422, 'VALIDATION_ERROR', ['/seller_id']],
      [{ ...good, amount: '900000000.0000001' }, 422, 'LIMIT_EXCEEDED', ['/amount']],
      [
        { ...good, title: 'x'.repeat(101), description: 'y'.repeat(501) },
        422,
        'VALIDATION_ERROR',
        ['/title', '/description'],
      ],
      [{ ...good, asset: 'EURC' }, 422, 'VALIDATION_ERROR', ['/asset']],
      [{ ...good, deadlines: { funding: 'tomorrow' } }, 422, 'VALIDATION_ERROR', ['/deadlines/funding']],
      [
        { ...good, milestones: [{ milestone_ref: 'm1' }] },
        422,
        'VALIDATION_ERROR',
        ['/milestones/0/title', '/milestones/0/amount'],
      ],
      [{ ...good, metadata: { a: 1 } }, 422, 'VALIDATION_ERROR', ['/metadata/a']],
      [{ ...good, title: 'a\0b' }, 422, 'VALIDATION_ERROR', ['/title']],
      [{ ...good, buyer_id: suspended }, 409, 'USER_SUSPENDED', ['/buyer_id']],
      [{ ...good, buyer_id: 'usr_unknown' }, 404, 'NOT_FOUND', ['/buyer_id']],
      [{}, 422, 'VALIDATION_ERROR', ['/buyer_id', '/seller_id', '/amount', '/title']],
    ];
    for (const [body, status, code, pointers] of cases) {
      const answer = await api.request('POST', '/orders', { key: one.key, body });
      const errors = answer.body['errors'] as { pointer: string }[];
      expect([answer.status, answer.body['code'], errors.map(({ pointer }) => pointer)]).toEqual([
        status,
        code,
        pointers,
      ]);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.body['request_id']).toBe(answer.headers.get('x-request-id'));
    }
    expect(await everything()).toEqual(before);
  });

  test.each([
    ['malformed JSON', { raw: '{"a":' }, 400, 'MALFORMED_JSON'],
    ['no object', { raw: '[1]' }, 400, 'MALFORMED_JSON'],
    ['a bare value', { raw: '"a"' }, 400, 'MALFORMED_JSON'],
    [
      'another content type',
      { raw: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'another charset',
      { raw: '{}', headers: { 'content-type': 'application/json; charset=latin1' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['more than 256 kB', { raw: `{"title":"${'x'.repeat(262_200)}"}` }, 413, 'BODY_TOO_LARGE'],
    ['a bad request id', { body: {}, headers: { 'x-request-id': 'a b' } }, 400, 'INVALID_HEADER'],
    ['an actor that poses as a key', { body: {}, headers: { 'x-actor': 'key_1' } }, 400, 'INVALID_HEADER'],
    ['a key that is too long', { body: {}, headers: { 'idempotency-key': 'k'.repeat(256) } }, 400, 'INVALID_HEADER'],
  ])('%s is refused and writes nothing', async (_, options, status, code) => {
    const before = await everything();
    const answer = await api.request('POST', '/orders', { key: one.key, ...options });
    expect([answer.status, answer.body['code']]).toEqual([status, code]);
    expect(await everything()).toEqual(before);
  });

  test('a wrong method is 405 with Allow, a wrong path 404, an odd path no 500', async () => {
    const wrong = await api.request('PUT', '/orders', { key: one.key });
    expect([wrong.status, wrong.body['code'], wrong.headers.get('allow')]).toEqual([
      405,
      'METHOD_NOT_ALLOWED',
      expect.stringContaining('POST'),
    ]);
    for (const path of ['/nothing', '/orders/', '/orders/%00', '/users/%E0%A4%A', '/users/%ED%A0%80'])
      expect([path, (await api.request('GET', path, { key: one.key })).status]).toEqual([path, 404]);
  });

  test('unknown query parameters and values are refused', async () => {
    for (const [query, pointer] of [
      ['nope=1', '/nope'],
      ['limit=0', '/limit'],
      ['limit=101', '/limit'],
      ['status=OPEN', '/status/0'],
      ['cursor=x', '/cursor'],
      ['created_after=yesterday', '/created_after'],
      ['attention=1', '/attention'],
    ] as const) {
      const { status, body } = await api.request('GET', `/orders?${query}`, { key: one.key });
      expect([query, status, (body['errors'] as { pointer: string }[])[0]?.pointer]).toEqual([query, 422, pointer]);
    }
  });
});

describe('without Temporal', () => {
  test('reads go on, the API is ready, and what needs a workflow is 503 and uses no key up', async () => {
    const user = await insertUser(orm, one.id);
    expect((await api.request('GET', `/users/${user}`, { key: one.key })).status).toBe(200);
    expect((await api.request('GET', '/health/ready', { key: null })).body).toEqual({
      status: 'ok',
      checks: { database: true, schema: true, config: true },
    });
    const details = await api.request('GET', '/health/detailed', { key: api.platformKey });
    expect(details.body).toMatchObject({
      pollers: { orders: null, signing: null },
      monitor_lag_ledgers: null,
      parked: 0,
    });
    const post = () =>
      api.request('POST', '/users', {
        key: one.key,
        body: { external_user_id: 'u-1' },
        headers: { 'idempotency-key': 'k-503' },
      });
    expect((await post()).body).toMatchObject({ status: 503, code: 'UNAVAILABLE', retryable: true });
    const { rows } = await sql<{ attempt: number; finished: boolean }>`
      select attempt, finished_at is not null as finished from idempotency_keys where key = 'k-503'`.execute(pool(orm));
    // Outcome unknown: the same update id is used again, so that a repeat attaches instead of doing it twice.
    expect(rows).toEqual([{ attempt: 1, finished: false }]);
  });
});

describe('lists', () => {
  test('pages are stable while rows are added, newest first, without a gap', async () => {
    const { id, key } = await createMarketplace(api, 'lists');
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) ids.unshift(await insertUser(orm, id));
    const seen: string[] = [];
    let cursor: unknown = null;
    do {
      const { body } = await api.request('GET', `/users?limit=3${cursor === null ? '' : `&cursor=${String(cursor)}`}`, {
        key,
      });
      seen.push(...(body['data'] as { id: string }[]).map((user) => user.id));
      cursor = body['next_cursor'];
      expect(body['has_more']).toBe(cursor !== null);
      await insertUser(orm, id);
    } while (cursor !== null);
    expect(seen).toEqual(ids);
  });

  test('filters take comma lists and metadata', async () => {
    const { id, key } = await createMarketplace(api, 'filters');
    const [active, suspended] = [await insertUser(orm, id), await insertUser(orm, id, 'SUSPENDED')];
    await sql`update users set metadata = '{"plan":"pro"}' where id = ${active}`.execute(pool(orm));
    const list = async (query: string) =>
      ((await api.request('GET', `/users?${query}`, { key })).body['data'] as { id: string }[]).map((user) => user.id);
    expect(await list('status=SUSPENDED')).toEqual([suspended]);
    expect((await list('status=SUSPENDED,ACTIVE')).toSorted()).toEqual([active, suspended].toSorted());
    expect(await list('metadata[plan]=pro')).toEqual([active]);
    expect(await list('created_before=2020-01-01T00:00:00Z')).toEqual([]);
    expect(await list('external_user_id=nobody')).toEqual([]);
  });
});

describe('documentation', () => {
  test('the document, its page, the parts of the page and a page for each reason are served', async () => {
    const get = (path: string) => api.request('GET', path, { key: null });
    expect((await get('/openapi.json')).body).toMatchObject({ openapi: '3.1.0' });
    expect(String((await get('/docs')).body['text'])).toContain('swagger-ui-bundle.js');
    for (const asset of ['swagger-ui.css', 'swagger-ui-bundle.js', 'reference.js'])
      expect((await get(`/docs/assets/${asset}`)).status).toBe(200);
    expect((await get('/docs/assets/constructor')).status).toBe(404);
    expect((await get('/docs/errors/INVALID_STATE')).status).toBe(200);
    expect((await get('/docs/errors/NOPE')).status).toBe(404);
  });
});
