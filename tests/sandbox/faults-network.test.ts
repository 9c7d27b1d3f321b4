/** Nodes that lag, streams that fail, and what may happen to a network in the middle of a request. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Asset, BASE_FEE, Horizon, Keypair, Operation, TransactionBuilder, type xdr } from '@stellar/stellar-sdk';
import { Server } from '@stellar/stellar-sdk/rpc';
import { createParser } from 'eventsource-parser';
import { resultCodes } from '../../sandbox/core/results.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { control, type Json } from './faults-support.ts';

let sandbox: Sandbox;
let horizon: Horizon.Server;
let rpc: Server;
let the: ReturnType<typeof control>;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
  the = control(sandbox);
  horizon = new Horizon.Server(`${sandbox.url}/horizon`, { allowHttp: true });
  rpc = new Server(`${sandbox.url}/rpc`, { allowHttp: true });
});
afterAll(() => sandbox.close());
afterEach(() => the.calm());

async function wallet(): Promise<Keypair> {
  const key = Keypair.random();
  await horizon.friendbot(key.publicKey()).call();
  return key;
}

/** Signed with the sequence number that the server told. */
async function signed(source: Keypair, operation: xdr.Operation, fee = BASE_FEE): Promise<string> {
  const account = await horizon.loadAccount(source.publicKey());
  const transaction = new TransactionBuilder(account, {
    fee,
    networkPassphrase: sandbox.core.networkPassphrase,
    timebounds: { minTime: 0, maxTime: 0 },
  })
    .addOperation(operation)
    .build();
  transaction.sign(source);
  return transaction.toXdr();
}

let notes = 0;
const note = (): xdr.Operation => {
  notes += 1;
  return Operation.manageData({ name: 'note', value: String(notes) });
};

async function send(envelope: string): Promise<Json> {
  const body = new URLSearchParams({ tx: envelope });
  return (await fetch(`${sandbox.url}/horizon/transactions_async`, { method: 'POST', body })).json() as Promise<Json>;
}

/** Submits and closes; the transaction's result. */
async function applied(envelope: string): Promise<string> {
  const { hash } = await send(envelope);
  sandbox.core.closeLedger();
  return resultCodes(sandbox.core.transaction(String(hash))?.resultXdr ?? '').transaction;
}

async function holder(amount: string): Promise<Keypair> {
  const key = await wallet();
  const usdc = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  await applied(await signed(key, Operation.changeTrust({ asset: usdc })));
  await the.call('POST', '/faucet', { address: key.publicKey(), amount });
  return key;
}
const line = (key: Keypair) => sandbox.core.view().trustline(key.publicKey(), sandbox.accounts.usdc);
const someone = (): string => `/accounts/${sandbox.accounts.friendbot.publicKey()}`;

describe('submissions', () => {
  test('are refused for a sequence number that is right, and the same bytes go through later', async () => {
    const key = await wallet();
    const envelope = await signed(key, note());
    await the.fault({ name: 'bad_seq_lag', count: 1, match: { source: key.publicKey() } });
    const refused = await send(envelope);
    expect(refused['tx_status']).toBe('ERROR');
    expect(resultCodes(String(refused['error_result_xdr']))).toEqual({ transaction: 'tx_bad_seq' });
    expect(sandbox.core.pending()).toBe(0);
    expect(await the.last()).toMatchObject({ name: 'bad_seq_lag', request: { face: 'core', hash: refused['hash'] } });
    expect(await applied(envelope)).toBe('tx_success');
  });

  test('an outage strikes one account alone', async () => {
    const [struck, spared] = [await wallet(), await wallet()];
    await the.fault({ name: 'http_502', match: { source: struck.publicKey() } });
    const answer = async (key: Keypair): Promise<number> => {
      const body = new URLSearchParams({ tx: await signed(key, note()) });
      return (await fetch(`${sandbox.url}/horizon/transactions_async`, { method: 'POST', body })).status;
    };
    expect([await answer(struck), await answer(spared)]).toEqual([502, 201]);
    sandbox.core.closeLedger();
  });

  test.each([500, 502, 503, 504])('a burst of %i ends as it was told to', async (status) => {
    await the.fault({ name: `http_${status}`, count: 3 });
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1) statuses.push((await fetch(`${sandbox.url}/horizon/`)).status);
    expect(statuses).toEqual([status, status, status, 200]);
  });
});

describe('a node that lags', () => {
  test('Horizon tells a sequence number and payments of before; what is built on it fails', async () => {
    const key = await wallet();
    await applied(await signed(key, note()));
    await applied(await signed(key, note()));
    const now = await horizon.loadAccount(key.publicKey());
    await the.fault({ name: 'stale_index', ledgers: 2, count: 2, match: { face: 'horizon', path: key.publicKey() } });
    const then = await horizon.loadAccount(key.publicKey());
    expect(BigInt(now.sequenceNumber()) - BigInt(then.sequenceNumber())).toBe(2n);
    const late = await signed(key, note());
    expect(resultCodes(String((await send(late))['error_result_xdr'])).transaction).toBe('tx_bad_seq');
    expect((await horizon.loadAccount(key.publicKey())).sequenceNumber()).toBe(now.sequenceNumber());
  });

  test('Horizon does not list what came since', async () => {
    const key = await wallet();
    const list = async () => (await horizon.transactions().forAccount(key.publicKey()).call()).records.length;
    await applied(await signed(key, note()));
    await the.fault({ name: 'stale_index', ledgers: 1, count: 1, match: { path: '/transactions' } });
    expect([await list(), await list()]).toEqual([1, 2]);
  });

  test('a request that lags does not hold back those who wait for the ledger it closes', async () => {
    const stream = await listen(someone());
    await stream.until(2);
    await the.fault({ name: 'stale_index', ledgers: 1, count: 1, match: { path: '/friendbot' } });
    await wallet();
    expect(await stream.until(3)).toEqual(['', '', '']);
    stream.close();
  });

  test('RPC tells an older ledger, older entries, and does not know the newest transaction', async () => {
    const key = await wallet();
    const before = (await rpc.getAccount(key.publicKey())).sequenceNumber();
    const envelope = await signed(key, note());
    const { hash } = await send(envelope);
    sandbox.core.closeLedger();
    await the.fault({ name: 'stale_index', ledgers: 1, match: { face: 'rpc' } });
    expect((await rpc.getLatestLedger()).sequence).toBe(sandbox.core.latest().sequence - 1);
    expect((await rpc.getAccount(key.publicKey())).sequenceNumber()).toBe(before);
    expect((await rpc.getTransaction(String(hash))).status).toBe('NOT_FOUND');
    await the.calm();
    expect((await rpc.getTransaction(String(hash))).status).toBe('SUCCESS');
  });
});

/** A stream as a plain client sees it: what came so far, and when so much has come or the connection is gone. */
async function listen(path: string) {
  const abort = new AbortController();
  const headers = { accept: 'text/event-stream' };
  const response = await fetch(`${sandbox.url}/horizon${path}`, { headers, signal: abort.signal });
  const ids: string[] = [];
  const waiting = new Set<() => void>();
  const parser = createParser({
    onEvent: ({ id, event }) => {
      ids.push(event === 'close' ? 'byebye' : (id ?? ''));
      for (const check of waiting) check();
    },
  });
  const ended = (async (): Promise<string> => {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
      return 'ended';
    } catch {
      return 'broken';
    }
  })();
  const until = (count: number): Promise<string[]> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (ids.length >= count) resolve(ids);
      };
      waiting.add(check);
      check();
    });
  return { ids, until, ended, close: () => abort.abort() };
}

describe('streams', () => {
  test('one that was open before falls silent and stays open; another one goes on', async () => {
    const [stalled, alive] = [await listen('/payments?cursor=now&limit=1'), await listen('/operations?cursor=now')];
    await Promise.all([stalled.until(1), alive.until(1)]);
    await the.fault({ name: 'stream_stall', count: 1, match: { path: '/payments' } });
    await wallet();
    await wallet();
    await alive.until(3);
    // not even the goodbye that follows the last event of a connection
    expect(stalled.ids).toHaveLength(1);
    expect(await the.last()).toMatchObject({ name: 'stream_stall', request: { path: '/payments', face: 'horizon' } });
    stalled.close();
    alive.close();
    expect(await stalled.ended).toBe('broken');
  });

  test('one is cut in the middle; whoever comes again misses nothing', async () => {
    const stream = await listen('/payments?cursor=now');
    await wallet();
    const seen = (await stream.until(2)).at(-1) ?? '';
    await the.fault({ name: 'stream_drop', count: 1 });
    await wallet();
    expect(await stream.ended).toBe('broken');
    const again = await listen(`/payments?cursor=${seen}`);
    await again.until(2);
    expect(again.ids).toHaveLength(2);
    again.close();
  });

  test('an event comes twice, with the same id', async () => {
    const stream = await listen('/payments?cursor=now');
    await stream.until(1);
    await the.fault({ name: 'duplicate_events', count: 1 });
    await wallet();
    await wallet();
    const [, first, second, third] = await stream.until(4);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    stream.close();
  });
});

describe('what happens to the network when a request arrives', () => {
  test('history is forgotten: an ascending cursor jumps silently, RPC says so', async () => {
    const cursor = String(BigInt(sandbox.core.latest().sequence) << 32n);
    await wallet();
    const { sequence } = sandbox.core.latest();
    await wallet();
    await wallet();
    await the.fault({ name: 'pruned_history', ledgers: 2, match: { path: '/payments' } });
    const { records } = await horizon.payments().cursor(cursor).call();
    expect(records).toHaveLength(2);
    await horizon.payments().call();
    await expect(rpc.getEvents({ startLedger: sequence, filters: [] })).rejects.toMatchObject({ code: -32600 });
    expect((await the.call('GET', '/faults')).body['faults']).toMatchObject([
      { name: 'pruned_history', count: 1, fired: 1 },
    ]);
  });

  test('a trustline is frozen between building and sending', async () => {
    const [from, to] = [await holder('10'), await holder('1')];
    const usdc = new Asset('USDC', sandbox.accounts.issuer.publicKey());
    const pay = Operation.payment({ destination: to.publicKey(), asset: usdc, amount: '5' });
    const envelope = await signed(from, pay);
    await the.fault({ name: 'frozen_trustline', address: to.publicKey(), match: { source: from.publicKey() } });
    const { hash } = await send(envelope);
    sandbox.core.closeLedger();
    expect(resultCodes(sandbox.core.transaction(String(hash))?.resultXdr ?? '').operations).toEqual([
      'op_not_authorized',
    ]);
    expect(line(to)).toMatchObject({ balance: 10_000_000n, flags: 4 });
  });

  test.each([
    ['all of it', {}, 0n],
    ['as much as asked', { amount: '4' }, 60_000_000n],
  ])('money is taken back: %s', async (_, amount, left) => {
    const key = await holder('10');
    await the.fault({ name: 'clawback', address: key.publicKey(), match: { path: '/fee_stats' }, ...amount });
    expect(line(key)?.balance).toBe(100_000_000n);
    await horizon.feeStats();
    expect(line(key)?.balance).toBe(left);
  });

  test('fees surge: cheap bids wait, dear ones pay the price, and it passes', async () => {
    const [cheap, dear] = [await wallet(), await wallet()];
    const envelopes = [await signed(cheap, note()), await signed(dear, note(), '50000')];
    await the.fault({ name: 'fee_surge', fee: 20_000, ledgers: 2 });
    expect((await horizon.feeStats()).last_ledger_base_fee).toBe('20000');
    const [first, second] = await Promise.all(envelopes.map(send));
    sandbox.core.closeLedger();
    expect(sandbox.core.transaction(String(first?.['hash']))).toBeUndefined();
    expect(sandbox.core.transaction(String(second?.['hash']))?.feeCharged).toBe(20_000n);
    sandbox.core.closeLedger();
    sandbox.core.closeLedger();
    expect(sandbox.core.transaction(String(first?.['hash']))?.feeCharged).toBe(100n);
  });

  test('the network starts over under a submission', async () => {
    const key = await wallet();
    const envelope = await signed(key, note());
    await the.fault({ name: 'network_reset', match: { path: '/transactions_async' } });
    const { error_result_xdr: result } = await send(envelope);
    expect(resultCodes(String(result)).transaction).toBe('tx_no_source_account');
    expect(sandbox.core.latest().sequence).toBe(1);
    const asked = await fetch(`${sandbox.url}/horizon/accounts/${key.publicKey()}`);
    expect(asked.status).toBe(404);
  });

  test('a fault that strikes an account is refused without one', async () => {
    expect((await the.call('POST', '/faults', { name: 'clawback' })).status).toBe(422);
    expect((await the.call('POST', '/faults', { name: 'archived_entry', address: someone() })).status).toBe(422);
  });
});
