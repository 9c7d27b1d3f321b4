import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { type TestApi, createMarketplace, insertUser, startTestApi } from '../support/api.ts';

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

describe('keys', () => {
  test('no key, an unknown, a malformed and a revoked key are 401, alike', async () => {
    const created = await api.request('POST', '/auth/api-keys', {
      key: one.key,
      body: { name: 'short', scopes: ['read'] },
    });
    const key = String(created.body['api_key']);
    expect((await api.request('GET', '/orders', { key })).status).toBe(200);
    expect((await api.request('DELETE', `/auth/api-keys/${created.body['id']}`, { key: one.key })).status).toBe(204);
    for (const wrong of [null, key, 'nonsense', `${one.key}x`, 'sk_sandbox_']) {
      const { status, body, headers } = await api.request('GET', '/orders', { key: wrong });
      expect([status, body['code'], headers.get('www-authenticate')]).toEqual([
        401,
        'UNAUTHENTICATED',
        expect.stringContaining('Bearer'),
      ]);
    }
  });

  test('an expired key and a key from an address it does not allow are 401', async () => {
    const body = { name: 'bound', scopes: ['read'], ip_allow: ['10.0.0.0/8'] };
    const bound = await api.request('POST', '/auth/api-keys', { key: one.key, body });
    expect((await api.request('GET', '/orders', { key: String(bound.body['api_key']) })).status).toBe(401);
    const local = await api.request('POST', '/auth/api-keys', {
      key: one.key,
      body: { ...body, ip_allow: ['127.0.0.1'] },
    });
    expect((await api.request('GET', '/orders', { key: String(local.body['api_key']) })).status).toBe(200);
    await sql`update api_keys set expires_at = now() where id = ${local.body['id']}`.execute(pool(orm));
    expect((await api.request('GET', '/orders', { key: String(local.body['api_key']) })).status).toBe(401);
  });

  test('a scope that is missing is 403, and so is a key of the wrong kind', async () => {
    const { body } = await api.request('POST', '/auth/api-keys', {
      key: one.key,
      body: { name: 'reader', scopes: ['read'] },
    });
    const reader = String(body['api_key']);
    const buyer = await insertUser(orm, one.id);
    for (const [method, path, key] of [
      ['POST', '/orders', reader],
      ['POST', '/auth/api-keys', reader],
      ['GET', '/marketplaces', one.key],
      ['GET', '/orders', api.platformKey],
      ['POST', `/users/${buyer}/suspend`, reader],
    ] as const) {
      const answer = await api.request(method, path, { key, ...(method === 'POST' ? { body: {} } : {}) });
      expect([path, answer.status, answer.body['code']]).toEqual([path, 403, 'INSUFFICIENT_SCOPE']);
    }
  });

  test('only the hash of a key is stored, and the key is shown once', async () => {
    const { rows } = await sql<{
      all: string;
    }>`select string_agg(t::text, ' ') as all from (select * from api_keys) t`.execute(pool(orm));
    expect(rows[0]?.all).not.toContain(one.key);
    expect(rows[0]?.all).not.toContain(api.platformKey);
    const list = await api.request('GET', '/auth/api-keys', { key: one.key });
    expect(JSON.stringify(list.body)).not.toContain(one.key);
    expect(one.key).toMatch(/^sk_sandbox_[A-Za-z0-9_-]{43}$/);
  });

  test('a rotated key works on beside its successor for as long as asked', async () => {
    const { body } = await api.request('POST', '/auth/api-keys', {
      key: one.key,
      body: { name: 'rotated', scopes: ['read'] },
    });
    const rotate = (seconds: number) =>
      api.request('POST', `/auth/api-keys/${body['id']}/rotate`, { key: one.key, body: { overlap_seconds: seconds } });
    const soft = await rotate(3_600);
    expect([soft.status, soft.body['scopes']]).toEqual([201, ['read']]);
    expect((await api.request('GET', '/orders', { key: String(body['api_key']) })).status).toBe(200);
    expect((await rotate(0)).status).toBe(201);
    expect((await api.request('GET', '/orders', { key: String(body['api_key']) })).status).toBe(401);
    expect((await api.request('GET', '/orders', { key: String(soft.body['api_key']) })).status).toBe(200);
  });

  test('a support key names its person', async () => {
    const body = { name: 'support', scopes: ['support'] };
    const refused = await api.request('POST', '/auth/api-keys', { key: one.key, body });
    expect(refused.body['errors']).toEqual([expect.objectContaining({ pointer: '/person', code: 'REQUIRED' })]);
    expect(
      (await api.request('POST', '/auth/api-keys', { key: one.key, body: { ...body, person: 'Ann' } })).body['person'],
    ).toBe('Ann');
  });
});

describe('idempotency', () => {
  const body = { name: 'twice', scopes: ['read'] };
  const create = (key: string, options: object = {}) =>
    api.request('POST', '/auth/api-keys', { key: one.key, body, headers: { 'idempotency-key': key }, ...options });

  test('the same key and request give the same answer, also when they come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => create('k-1')));
    const bodies = new Set(answers.map((answer) => JSON.stringify(answer.body)));
    expect([bodies.size, ...new Set(answers.map(({ status }) => status))]).toEqual([1, 201]);
    expect((await create('k-1')).headers.get('idempotent-replayed')).toBe('true');
    const { rows } = await sql`select 1 from api_keys where name = 'twice'`.execute(pool(orm));
    expect(rows).toHaveLength(1);
  });

  test('another body, path or caller is 422 (F43), another marketplace has its own keys (F42)', async () => {
    await create('k-2');
    const refused = [
      await create('k-2', { body: { ...body, name: 'other' } }),
      await api.request('POST', '/users', { key: one.key, body, headers: { 'idempotency-key': 'k-2' } }),
      await create('k-2', {
        key: String((await create('k-3', { body: { ...body, scopes: ['admin'] } })).body['api_key']),
      }),
    ];
    expect(refused.map((answer) => [answer.status, answer.body['code']])).toEqual(
      refused.map(() => [422, 'IDEMPOTENCY_KEY_REUSED']),
    );
    const foreign = await create('k-2', { key: other.key });
    expect([foreign.status, foreign.headers.get('idempotent-replayed')]).toEqual([201, null]);
  });

  test('the path belongs to the request: the same body sent elsewhere is another one (F43)', async () => {
    const ids = [await create('k-6'), await create('k-7')].map((answer) => String(answer.body['id']));
    const rotate = (id: string | undefined) =>
      api.request('POST', `/auth/api-keys/${id}/rotate`, {
        key: one.key,
        body: {},
        headers: { 'idempotency-key': 'k-8' },
      });
    expect((await rotate(ids[0])).status).toBe(201);
    expect((await rotate(ids[1])).body['code']).toBe('IDEMPOTENCY_KEY_REUSED');
  });

  test('a stored answer with a secret cannot be read from the database', async () => {
    const { body: created } = await create('k-4');
    const { rows } = await sql<{
      all: string;
    }>`select string_agg(response_body::text, ' ') as all from idempotency_keys`.execute(pool(orm));
    expect(rows[0]?.all).not.toContain(created['api_key']);
    expect((await create('k-4')).body).toEqual(created);
  });

  test('a refusal is final for its key, and authentication comes first', async () => {
    const wrong = { body: { name: '', scopes: ['read'] } };
    const first = await create('k-5', wrong);
    expect([first.status, (await create('k-5', wrong)).headers.get('idempotent-replayed')]).toEqual([422, 'true']);
    expect((await create('k-5', { ...wrong, key: 'sk_wrong' })).status).toBe(401);
    expect((await create('k-5')).body['code']).toBe('IDEMPOTENCY_KEY_REUSED');
  });
});
