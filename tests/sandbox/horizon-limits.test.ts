import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Keypair } from '@stellar/stellar-sdk';
import { createRateLimit } from '../../sandbox/horizon/rate-limit.ts';
import { DEFAULT_HORIZON_OPTIONS } from '../../sandbox/horizon/options.ts';
import { type Market, openMarket } from './horizon-support.ts';

let market: Market;

beforeAll(async () => {
  market = await openMarket();
});

afterAll(() => market.sandbox.close());

describe('the rate limit', () => {
  const limited = (now: () => number) =>
    createRateLimit({ ...DEFAULT_HORIZON_OPTIONS, rateLimitPerHour: 3_600, rateLimitBurst: 2 }, now);

  test('lets the burst through at once, then one a second, each client for itself', () => {
    let time = 0;
    const spend = limited(() => time);
    expect([1, 2, 3, 4].map(() => spend('a').granted)).toEqual([true, true, true, false]);
    expect(spend('b').granted).toBe(true);
    time = 1_000;
    expect([1, 2].map(() => spend('a').granted)).toEqual([true, false]);
    time = 60_000;
    expect([1, 2, 3, 4].map(() => spend('a').granted)).toEqual([true, true, true, false]);
  });

  test('states what is left, when all is back, and how long to wait', () => {
    const spend = limited(() => 0);
    expect(spend('a').headers).toEqual({
      'x-ratelimit-limit': '3',
      'x-ratelimit-remaining': '2',
      'x-ratelimit-reset': '1',
    });
    spend('a');
    expect(spend('a').headers['x-ratelimit-remaining']).toBe('0');
    expect(spend('a').headers).toEqual({
      'x-ratelimit-limit': '3',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': '3',
      'retry-after': '1',
    });
  });

  test('is off until it is switched on; then it refuses with a problem and Retry-After', async () => {
    const { get, switches } = market;
    expect((await get('/')).headers.get('x-ratelimit-limit')).toBeNull();
    await switches({ rateLimitPerHour: 1, rateLimitBurst: 1 });
    const [first, second, third] = [await get('/'), await get('/payments'), await get('/fee_stats')];
    await switches({ rateLimitPerHour: 0 });
    expect([first, second, third].map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(first.headers.get('x-ratelimit-remaining')).toBe('1');
    expect(third.headers.get('retry-after')).toBe('3600');
    expect(await third.json()).toMatchObject({ type: 'https://stellar.org/horizon-errors/rate_limit_exceeded' });
  });

  test('a stream costs one credit per ledger, and breaks off with an error when none is left', async () => {
    const own = await openMarket();
    own.sandbox.clock.set({ mode: 'manual' });
    await own.switches({ rateLimitPerHour: 1, rateLimitBurst: 2 });
    const response = await own.get('/payments?cursor=now', { accept: 'text/event-stream' });
    for (let ledger = 0; ledger < 3; ledger += 1) own.sandbox.core.closeLedger();
    const text = await response.text();
    expect(text).toBe('retry: 1000\nevent: open\ndata: "hello"\n\nevent: error\ndata: Rate limit exceeded\n\n');
    await own.sandbox.close();
  });
});

describe('streams as public servers have them', () => {
  test('look for a newer ledger at intervals only, and say goodbye when their time is over', async () => {
    const own = await openMarket();
    own.sandbox.clock.set({ mode: 'manual' });
    await own.switches({ streamPollMs: 20, streamMs: 400 });
    const response = await own.get('/ledgers?cursor=now&limit=200', { accept: 'text/event-stream' });
    const { sequence } = own.sandbox.core.closeLedger();
    own.sandbox.core.closeLedger();
    const text = await response.text();
    const sequences = [...text.matchAll(/"sequence":(\d+)/g)].map(([, number]) => Number(number));
    expect(sequences).toEqual([sequence, sequence + 1]);
    expect(text.endsWith('retry: 10\nevent: close\ndata: "byebye"\n\n')).toBe(true);
    await own.sandbox.close();
  });

  test('tell nothing of a ledger before they look', async () => {
    const own = await openMarket();
    own.sandbox.clock.set({ mode: 'manual' });
    await own.switches({ streamPollMs: 3_600_000, streamMs: 50 });
    const response = await own.get('/ledgers?cursor=now', { accept: 'text/event-stream' });
    own.sandbox.core.closeLedger();
    const goodbye = 'retry: 10\nevent: close\ndata: "byebye"\n\n';
    expect(await response.text()).toBe(`retry: 1000\nevent: open\ndata: "hello"\n\n${goodbye}`);
    await own.sandbox.close();
  });

  test('an account that is gone while it is streamed ends its stream with an error', async () => {
    const own = await openMarket();
    const response = await own.get(`/accounts/${own.alice.publicKey()}`, { accept: 'text/event-stream' });
    own.sandbox.core.reset(1);
    own.sandbox.core.closeLedger();
    expect((await response.text()).endsWith('event: error\ndata: Resource Missing\n\n')).toBe(true);
    await own.sandbox.close();
  });
});

describe('retention', () => {
  test('an ascending cursor jumps silently, a descending one is refused, hashes and dormant accounts are gone', async () => {
    const own = await openMarket();
    const { core } = own.sandbox;
    const old = core.history.transactions[0]?.transaction;
    const elder = core.latest().sequence;
    core.prune(elder);
    const [first] = await own.records('/operations?cursor=1&limit=1');
    expect(BigInt(String(first?.['paging_token'])) >> 32n).toBe(BigInt(elder));
    expect((await own.server.root()).history_elder_ledger).toBe(elder);
    const at = BigInt(elder) << 32n;
    const status = async (path: string) => (await own.get(path)).status;
    expect(await status(`/operations?order=desc&cursor=${at}`)).toBe(410);
    expect(await status(`/effects?order=desc&cursor=${at}-1`)).toBe(410);
    expect(await status(`/operations?order=desc&cursor=${at + 1n}`)).toBe(200);
    expect(await status('/operations?order=desc')).toBe(200);
    expect(await status(`/operations/${core.history.operations[0]?.id}`)).toBe(410);
    expect(await status(`/ledgers/${elder - 1}/payments`)).toBe(410);
    expect(await status(`/transactions/${old?.hash}`)).toBe(404);
    // alice exists, yet nothing in the kept history names her
    expect(await status(`/accounts/${own.alice.publicKey()}/payments`)).toBe(404);
    expect(await status(`/accounts/${own.alice.publicKey()}`)).toBe(200);
    await own.sandbox.close();
  });
});

describe('parameters', () => {
  test.each([
    ['/payments?include_failed=maybe', 'include_failed'],
    ['/payments?join=ledgers', 'join'],
    ['/accounts/GABC', 'account_id'],
    ['/ledgers/0', 'ledger_id'],
    ['/payments?limit=-1', 'limit'],
    ['/payments?cursor=9223372036854775808', 'cursor'],
  ])('%s is refused naming %s', async (path, field) => {
    const response = await market.get(path);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ extras: { invalid_field: field } });
  });

  test('an account that was never named has no history, whether it exists or not', async () => {
    const { get, sandbox } = market;
    expect((await get(`/accounts/${Keypair.random().publicKey()}/effects`)).status).toBe(404);
    expect((await get(`/accounts/${sandbox.accounts.feeWallet.publicKey()}/payments`)).status).toBe(404);
    expect((await get(`/accounts/${sandbox.accounts.feeWallet.publicKey()}`)).headers.get('latest-ledger')).toBe(
      String(sandbox.core.latest().sequence),
    );
  });

  test('a document is written as Go writes it', async () => {
    const text = await (await market.get('/payments?limit=1&order=desc')).text();
    expect(text).toContain('limit=1\\u0026order=asc');
    expect(text.startsWith('{\n  "_links": {')).toBe(true);
  });

  test('a switch that does not exist, or of another kind, is refused', async () => {
    expect(await market.switches({ rateLimitPerHour: true as unknown as number })).toBe(422);
    expect(await market.switches({ other: 1 } as object)).toBe(422);
  });
});
