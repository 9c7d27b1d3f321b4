/** How the unmodified SDK streams from this Horizon, with all its habits; watched over a wire that can be cut. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Horizon, Keypair } from '@stellar/stellar-sdk';
import { type Market, openMarket, openWire, until, type Wire } from './horizon-support.ts';

let market: Market;
let wire: Wire;
let server: Horizon.Server;
let stop = (): void => undefined;

beforeAll(async () => {
  market = await openMarket();
  market.sandbox.clock.set({ mode: 'manual' });
  wire = await openWire(market.sandbox.url);
  server = new Horizon.Server(`${wire.url}/horizon`, { allowHttp: true });
});

let begun = 0;

afterEach(() => {
  stop();
  wire.requests.length = 0;
  begun = wire.hellos();
});

afterAll(async () => {
  await wire.close();
  await market.sandbox.close();
});

interface Seen {
  readonly ids: string[];
  readonly errors: { readonly code?: number; readonly data?: unknown; readonly type?: string }[];
}

type Payments = ReturnType<Horizon.Server['payments']>;

/** Streams payments; what it told and how it failed. */
function stream(builder: Payments, reconnectTimeout = 60_000): Seen {
  const seen: Seen = { ids: [], errors: [] };
  stop = builder.stream({
    onmessage: (record) => {
      const { paging_token: token } = record as unknown as { paging_token?: string };
      seen.ids.push(String(token));
    },
    onerror: (error) => seen.errors.push(error as Seen['errors'][number]),
    reconnectTimeout,
  });
  return seen;
}

/** Money arrives; resolves with the paging token of its payment. */
async function arrive(): Promise<string> {
  const body = JSON.stringify({ address: market.alice.publicKey(), amount: '1' });
  await fetch(`${market.sandbox.url}/control/faucet`, { method: 'POST', body });
  return String(market.sandbox.core.history.payments.at(-1)?.id);
}

const newest = () => String(market.sandbox.core.history.payments.at(-1)?.id);
const cursors = () => wire.requests.map((head) => /[?&]cursor=([^& ]*)/.exec(head)?.[1]);
const lastEventIds = () => wire.requests.map((head) => /last-event-id: (\S+)/i.exec(head)?.[1]);
const listening = (streams = 1) => until(() => wire.hellos() >= begun + streams);

test('names its client in the query, never in headers', async () => {
  stream(server.payments().cursor(newest()));
  await listening();
  const [line = '', ...headers] = wire.requests[0]?.split('\r\n') ?? [];
  expect(line).toContain('X-Client-Name=js-stellar-sdk');
  expect(headers.join('\n')).not.toMatch(/x-client-name/i);
});

test('an idle connection is given up by the clock of the client alone, and begins again from where it was', async () => {
  const from = newest();
  const seen = stream(server.payments().cursor(from), 40);
  await until(() => wire.requests.length >= 3);
  expect(new Set(cursors())).toEqual(new Set([from]));
  expect(seen).toEqual({ ids: [], errors: [] });
});

test('the cursor of a new connection is the last message’s', async () => {
  const seen = stream(server.payments().cursor(newest()), 400);
  await listening();
  const token = await arrive();
  await until(() => seen.ids.includes(token));
  await until(() => wire.requests.length >= 2);
  expect(cursors()[1]).toBe(token);
});

test('after byebye it comes back at once from the new cursor: nothing is lost, nothing told twice, no error', async () => {
  const from = newest();
  const told = [await arrive(), await arrive(), await arrive()];
  const seen = stream(server.payments().cursor(from).limit(1));
  await until(() => seen.ids.length === 3 && wire.requests.length >= 4);
  expect(seen).toEqual({ ids: told, errors: [] });
  expect(cursors().slice(0, 4)).toEqual([from, ...told]);
});

test('a cut connection is told once, then resumed with Last-Event-ID after the server’s second', async () => {
  const seen = stream(server.payments().cursor(newest()));
  await listening();
  const first = await arrive();
  await until(() => seen.ids.length === 1);
  wire.cut();
  await until(() => seen.errors.length === 1);
  const second = await arrive();
  await until(() => seen.ids.length === 2);
  expect(seen.ids).toEqual([first, second]);
  expect(lastEventIds().at(-1)).toBe(first);
  expect(seen.errors).toHaveLength(1);
});

test('an error event in the middle arrives with its text, then the end as an error of its own', async () => {
  await market.switches({ rateLimitPerHour: 1, rateLimitBurst: 1 });
  const seen = stream(server.payments().cursor(newest()));
  await listening();
  market.sandbox.core.closeLedger();
  market.sandbox.core.closeLedger();
  await until(() => seen.errors.length >= 2);
  await market.switches({ rateLimitPerHour: 0 });
  expect(seen.errors[0]?.data).toBe('Rate limit exceeded');
  expect(seen.errors[1]?.data).toBeUndefined();
});

test.each([
  [404, () => server.payments().forAccount(Keypair.random().publicKey()), undefined],
  [400, () => server.payments().cursor('-1'), undefined],
  [429, () => server.payments().cursor('0'), 'http_429'],
  [503, () => server.payments().cursor('0'), 'http_503'],
] as const)(
  '%i is told with its code, and tried again only by the clock of the client',
  async (code, builder, fault) => {
    const faults = `${market.sandbox.url}/control/faults`;
    if (fault !== undefined) await fetch(faults, { method: 'POST', body: JSON.stringify({ name: fault }) });
    const seen = stream(builder(), 50);
    await until(() => seen.errors.length >= 3);
    await fetch(faults, { method: 'DELETE' });
    expect(new Set(seen.errors.map((error) => error.code))).toEqual(new Set([code]));
    expect(wire.requests.length).toBeGreaterThanOrEqual(3);
    expect(seen.ids).toEqual([]);
  },
);

test('`now` loses what happens between two connections, until a first message has come', async () => {
  const seen = stream(server.payments().cursor('now'), 100_000);
  await listening();
  stop();
  const missed = await arrive();
  const again = stream(server.payments().cursor('now'));
  await listening(2);
  const told = await arrive();
  await until(() => again.ids.length > 0);
  expect(again.ids).toEqual([told]);
  expect([...seen.ids, ...again.ids]).not.toContain(missed);
});

test('a handler is not awaited: the next message comes while it still works', async () => {
  const from = newest();
  const told = [await arrive(), await arrive()];
  const working: string[] = [];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const finished: string[] = [];
  const work = async (token: string): Promise<void> => {
    working.push(token);
    await held;
    finished.push(token);
  };
  // Its promise is handed back to the SDK, which could wait for it.
  const onmessage = (record: unknown): unknown => work((record as { paging_token: string }).paging_token);
  stop = server.payments().cursor(from).stream({ onmessage });
  await until(() => working.length === 2);
  expect([working, finished]).toEqual([told, []]);
  release();
  await until(() => finished.length === 2);
});

test('closing within a handler leaves a connection behind when several messages share a chunk', async () => {
  const from = newest();
  await arrive();
  await arrive();
  await arrive();
  let told = 0;
  let close = (): void => undefined;
  close = server
    .payments()
    .cursor(from)
    .stream({
      onmessage: () => {
        told += 1;
        if (told === 1) close();
      },
      reconnectTimeout: 50,
    });
  stop = () => close();
  await until(() => wire.requests.length >= 2);
  expect(told).toBe(3);
});

test('an account streams as a whole, without a cursor', async () => {
  const balances: string[] = [];
  stop = server
    .accounts()
    .accountId(market.alice.publicKey())
    .stream({
      onmessage: (record) => {
        const { balances: lines } = record as unknown as { balances: { balance: string }[] };
        balances.push(lines[0]?.balance ?? '');
      },
    });
  await until(() => balances.length === 1);
  await arrive();
  await until(() => balances.length === 2);
  expect(Number.parseInt(balances[1] ?? '', 10)).toBe(Number.parseInt(balances[0] ?? '', 10) + 1);
});

test('effects stream under their cursors of two halves', async () => {
  const seen: string[] = [];
  stop = server
    .effects()
    .forAccount(market.alice.publicKey())
    .cursor('now')
    .stream({ onmessage: (record) => seen.push((record as unknown as { paging_token: string }).paging_token) });
  await listening();
  const token = await arrive();
  await until(() => seen.length === 1);
  expect(seen).toEqual([`${token}-1`]);
});
