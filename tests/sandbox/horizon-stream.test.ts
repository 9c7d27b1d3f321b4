import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Horizon, Keypair } from '@stellar/stellar-sdk';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
});

afterAll(() => sandbox.close());

const fund = async (): Promise<string> => {
  const address = Keypair.random().publicKey();
  await fetch(`${sandbox.url}/horizon/friendbot?addr=${address}`);
  return address;
};

/** A stream as a plain client sees it; `until` resolves when so many events have come. */
async function listen(path: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await fetch(`${sandbox.url}/horizon${path}`, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  });
  const events: EventSourceMessage[] = [];
  const waiting = new Set<() => void>();
  const parser = createParser({
    onEvent: (event) => {
      events.push(event);
      for (const check of waiting) check();
    },
  });
  const done = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  })().catch(() => undefined);
  const until = (count: number): Promise<EventSourceMessage[]> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (events.length >= count) resolve(events);
      };
      waiting.add(check);
      check();
    });
  return { response, events, until, done, close: () => abort.abort() };
}

const account = (event: EventSourceMessage | undefined): string =>
  (JSON.parse(event?.data ?? '{}') as { account: string }).account;

describe('server-sent events', () => {
  test('start with hello, then tell what happens, with the paging token as id', async () => {
    const stream = await listen('/payments?cursor=now');
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const address = await fund();
    const [hello, created] = await stream.until(2);
    expect(hello).toMatchObject({ event: 'open', data: '"hello"' });
    expect(account(created)).toBe(address);
    expect(created?.event).toBeUndefined();
    expect(BigInt(created?.id ?? '0') >> 32n).toBe(BigInt(sandbox.core.latest().sequence));
    stream.close();
  });

  test('say byebye after `limit` events', async () => {
    const stream = await listen('/payments?cursor=0&limit=1');
    await stream.done;
    expect(stream.events.map(({ event }) => event)).toEqual(['open', undefined, 'close']);
    expect(stream.events.at(-1)?.data).toBe('"byebye"');
  });

  test('Last-Event-ID goes before the cursor: nothing is told twice, nothing is left out', async () => {
    const first = await listen('/payments?cursor=0&limit=1');
    await first.done;
    const last = first.events[1]?.id ?? '';
    const expected = await fund();
    const second = await listen('/payments?cursor=0&limit=200', { 'last-event-id': last });
    const count = sandbox.core.history.payments.length;
    const events = (await second.until(count)).slice(1);
    expect(events.map(({ id }) => id)).toEqual(sandbox.core.history.payments.slice(1).map(({ id }) => String(id)));
    expect(account(events.at(-1))).toBe(expected);
    second.close();
  });

  test('a stream that cannot begin answers with a problem, not with a stream', async () => {
    const { response } = await listen(`/accounts/${Keypair.random().publicKey()}/payments`);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect((await listen('/payments?cursor=x')).response.status).toBe(400);
  });

  test('an account streams itself whenever it has changed', async () => {
    const address = await fund();
    const stream = await listen(`/accounts/${address}`);
    await stream.until(2);
    sandbox.core.closeLedger();
    await fetch(`${sandbox.url}/control/faucet`, {
      method: 'POST',
      body: JSON.stringify({ address, amount: '7', asset: 'native' }),
    });
    const events = await stream.until(3);
    const balances = events
      .slice(1)
      .map(({ data }) => (JSON.parse(data) as { balances: { balance: string }[] }).balances[0]?.balance);
    expect(balances).toEqual(['10000.0000000', '10007.0000000']);
    stream.close();
  });

  test('the unmodified SDK streams payments of one account', async () => {
    const address = await fund();
    const server = new Horizon.Server(`${sandbox.url}/horizon`, { allowHttp: true });
    const amounts = await new Promise<string[]>((resolve, reject) => {
      const seen: string[] = [];
      const close = server
        .payments()
        .forAccount(address)
        .cursor('0')
        .stream({
          onmessage: (record) => {
            seen.push('amount' in record ? record.amount : record.type);
            if (seen.length < 3) return;
            close();
            resolve(seen);
          },
          onerror: reject,
        });
      const give = (amount: string) =>
        fetch(`${sandbox.url}/control/faucet`, {
          method: 'POST',
          body: JSON.stringify({ address, amount, asset: 'native' }),
        });
      give('1')
        .then(() => give('2'))
        .catch(reject);
    });
    expect(amounts).toEqual(['create_account', '1.0000000', '2.0000000']);
  });
});

test('operations show what they did', async () => {
  const address = await fund();
  const { operations } = sandbox.core.history;
  const entry = operations.at(-1);
  const shown = (await (await fetch(`${sandbox.url}/horizon/operations/${entry?.id}`)).json()) as object;
  expect(shown).toMatchObject({ type: 'create_account', account: address, starting_balance: '10000.0000000' });
});
