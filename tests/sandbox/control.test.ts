import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Account, Asset, BASE_FEE, Keypair, Operation, TransactionBuilder } from '@stellar/stellar-sdk';
import { z } from 'zod';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
});

afterAll(() => sandbox.close());

async function call(path: string, body?: object, base = sandbox.url, method = body === undefined ? 'GET' : 'POST') {
  const response = await fetch(`${base}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

async function wallet(base = sandbox.url): Promise<Keypair> {
  const key = Keypair.random();
  await call(`/horizon/friendbot?addr=${key.publicKey()}`, undefined, base);
  return key;
}

function signed(one: Sandbox, source: Keypair, operation: Parameters<TransactionBuilder['addOperation']>[0]): string {
  const { sequence = 0n } = one.core.view().account(source.publicKey()) ?? {};
  const transaction = new TransactionBuilder(new Account(source.publicKey(), String(sequence)), {
    fee: BASE_FEE,
    networkPassphrase: one.core.networkPassphrase,
    timebounds: { minTime: 0, maxTime: 0 },
  })
    .addOperation(operation)
    .build();
  transaction.sign(source);
  return transaction.toXdr();
}

const usdc = () => new Asset('USDC', sandbox.accounts.issuer.publicKey());

async function holder(): Promise<Keypair> {
  const key = await wallet();
  sandbox.core.submit(signed(sandbox, key, Operation.changeTrust({ asset: usdc() })));
  sandbox.core.closeLedger();
  return key;
}

const balance = (key: Keypair) => sandbox.core.view().trustline(key.publicKey(), sandbox.accounts.usdc)?.balance;

describe('money', () => {
  test('the faucet pays what is asked and names transaction and ledger', async () => {
    const key = await holder();
    const { status, body } = await call('/control/faucet', { address: key.publicKey(), amount: '12.5' });
    expect([status, body['ledger']]).toEqual([200, sandbox.core.latest().sequence]);
    expect(sandbox.core.transaction(String(body['transaction_hash']))?.successful).toBe(true);
    expect(balance(key)).toBe(125_000_000n);
  });

  test('many at once share ledgers, and one that cannot be paid does not harm the others', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, holder));
    const poor = await wallet();
    const asked = [...keys, poor].map((key) => call('/control/faucet', { address: key.publicKey(), amount: '1' }));
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([...keys.map(() => 200), 400]);
    expect(answers.at(-1)?.body).toMatchObject({ code: 'op_no_trust' });
    expect(keys.map(balance)).toEqual(keys.map(() => 10_000_000n));
    expect(new Set(answers.map(({ body }) => body['ledger'])).size).toBeLessThan(6);
  });

  const somebody = Keypair.random().publicKey();
  test.each([
    ['no address', { address: 'GABC', amount: '1' }],
    ['an exponent', { address: somebody, amount: '1e3' }],
    ['nothing', { address: somebody, amount: '0' }],
    ['eight decimals', { address: somebody, amount: '1.00000001' }],
    ['an unknown field', { address: somebody, amount: '1', more: true }],
    ['an asset that nobody here issues', { address: somebody, amount: '1', asset: `EUR:${somebody}` }],
  ])('a request with %s is refused and moves nothing', async (_, body) => {
    const { sequence } = sandbox.core.latest();
    expect((await call('/control/faucet', body)).status).toBe(422);
    expect(sandbox.core.latest().sequence).toBe(sequence);
  });

  test('a trustline can be frozen and thawed, and money clawed back', async () => {
    const key = await holder();
    await call('/control/faucet', { address: key.publicKey(), amount: '10' });
    await call('/control/freeze', { address: key.publicKey() });
    expect((await call('/control/faucet', { address: key.publicKey(), amount: '1' })).body).toMatchObject({
      code: 'op_not_authorized',
    });
    await call('/control/unfreeze', { address: key.publicKey() });
    await call('/control/clawback', { address: key.publicKey(), amount: '4' });
    expect(balance(key)).toBe(60_000_000n);
  });
});

describe('the clock', () => {
  test('by hand, nothing closes by itself; closing states what was in the ledger', async () => {
    const { sequence } = sandbox.core.latest();
    const { body } = await call('/control/ledgers/close', { count: 3 });
    expect(body).toMatchObject({ ledger: sequence + 3, transactions: [] });
    expect((await call('/control/clock')).body).toMatchObject({ mode: 'manual', latest_ledger: sequence + 3 });
  });

  test('automatic and on demand', async () => {
    const key = await wallet();
    await call('/control/clock', { ledger_ms: 20 });
    const closed = await new Promise<number>((resolve) => {
      const from = sandbox.core.latest().sequence;
      const stop = sandbox.core.onClose(({ sequence }) => {
        if (sequence < from + 3) return;
        stop();
        resolve(sequence - from);
      });
    });
    expect(closed).toBe(3);
    await call('/control/clock', { mode: 'on_demand' });
    const note = Operation.manageData({ name: 'n', value: 'v' });
    const { hash } = sandbox.core.submit(signed(sandbox, key, note));
    const applied = await new Promise<boolean>((resolve) => {
      const stop = sandbox.core.onClose(() => {
        const record = sandbox.core.transaction(hash);
        if (record === undefined) return;
        stop();
        resolve(record.successful);
      });
    });
    expect(applied).toBe(true);
    expect((await call('/control/clock', { ledger_ms: 0 })).body).toMatchObject({ mode: 'manual' });
  });

  test('a reset starts a new network with the same accounts of the seed', async () => {
    const own = await startSandbox({ ledgerMs: 0 });
    const { hash } = own.core.latest();
    const key = await wallet(own.url);
    expect((await call('/control/reset', {}, own.url)).body).toEqual({ ledger: 1 });
    expect(own.core.view().account(key.publicKey())).toBeUndefined();
    expect(own.core.latest().hash).toBe(hash);
    await own.close();
  });

  test('the same seed and the same calls give the same ledger', async () => {
    const keys = [Keypair.random(), Keypair.random()];
    const run = async (seed: string): Promise<unknown> => {
      const own = await startSandbox({ ledgerMs: 0, seed });
      for (const key of keys) await call(`/horizon/friendbot?addr=${key.publicKey()}`, undefined, own.url);
      const { body } = await call('/control/dump', undefined, own.url);
      await own.close();
      return body;
    };
    const first = await run('one');
    expect(await run('one')).toEqual(first);
    expect(await run('two')).not.toEqual(first);
  });
});

describe('faults', () => {
  afterEach(() => call('/control/faults', undefined, sandbox.url, 'DELETE'));

  const fault = async (body: object): Promise<void> => {
    expect((await call('/control/faults', body)).status).toBe(200);
  };
  const send = (envelope: string) =>
    fetch(`${sandbox.url}/horizon/transactions_async`, { method: 'POST', body: new URLSearchParams({ tx: envelope }) });

  test('503 and 429 come before anything happens, as often as asked', async () => {
    await fault({ name: 'http_503', count: 1, match: { face: 'horizon' } });
    await fault({ name: 'http_429', count: 2, retry_after: 7 });
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1) statuses.push((await fetch(`${sandbox.url}/horizon/`)).status);
    expect(statuses).toEqual([503, 429, 429, 200]);
    await fault({ name: 'http_429', count: 1, retry_after: null });
    expect((await fetch(`${sandbox.url}/horizon/`)).headers.get('retry-after')).toBeNull();
  });

  test('an answer is lost after the transaction was accepted', async () => {
    const key = await wallet();
    await fault({ name: 'answer_lost_after_accept', count: 1 });
    const envelope = signed(sandbox, key, Operation.manageData({ name: 'n', value: 'v' }));
    await expect(send(envelope)).rejects.toThrow();
    sandbox.core.closeLedger();
    expect(sandbox.core.view().account(key.publicKey())?.data['n']).toBeDefined();
    const journal = z.object({
      fired: z.array(z.object({ name: z.string(), request: z.object({ path: z.string().optional() }) })),
    });
    const { fired } = journal.parse((await call('/control/journal')).body);
    expect(fired.at(-1)).toMatchObject({ name: 'answer_lost_after_accept', request: { path: '/transactions_async' } });
  });

  test('one RPC method can be struck alone, by what the body says', async () => {
    const rpc = (method: string) =>
      fetch(`${sandbox.url}/rpc`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method }),
      });
    await fault({ name: 'http_503', match: { face: 'rpc', body: '"getHealth"' } });
    expect((await rpc('getHealth')).status).toBe(503);
    expect(await (await rpc('getLatestLedger')).json()).toMatchObject({
      result: { sequence: sandbox.core.latest().sequence },
    });
  });

  test('TRY_AGAIN_LATER queues nothing', async () => {
    const key = await wallet();
    await fault({ name: 'try_again_later', count: 1 });
    const envelope = signed(sandbox, key, Operation.manageData({ name: 'n', value: 'v' }));
    expect(await (await send(envelope)).json()).toMatchObject({ tx_status: 'TRY_AGAIN_LATER' });
    expect(sandbox.core.pending()).toBe(0);
    expect((await send(envelope)).status).toBe(201);
    sandbox.core.closeLedger();
  });

  test('a timeout leaves the client without any answer', async () => {
    await fault({ name: 'timeout', count: 1 });
    const abort = new AbortController();
    const asked = fetch(`${sandbox.url}/horizon/`, { signal: abort.signal });
    const others = await Promise.race([asked.then(() => 'answered'), call('/control/health').then(() => 'silent')]);
    expect(others).toBe('silent');
    abort.abort();
    await expect(asked).rejects.toThrow();
  });

  test('chance is seeded: the same rule strikes the same requests', async () => {
    const run = async (): Promise<number[]> => {
      const own = await startSandbox({ ledgerMs: 0, seed: 'chance' });
      await call('/control/faults', { name: 'http_503', probability: 0.5 }, own.url);
      const statuses: number[] = [];
      for (let index = 0; index < 12; index += 1) statuses.push((await fetch(`${own.url}/horizon/`)).status);
      await own.close();
      return statuses;
    };
    const first = await run();
    expect(new Set(first)).toEqual(new Set([200, 503]));
    expect(await run()).toEqual(first);
  });

  test('a fault that does not exist is refused', async () => {
    expect((await call('/control/faults', { name: 'gremlins' })).status).toBe(422);
  });
});

describe('the process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-process-'));
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const start = async (port: number): Promise<{ child: ChildProcess; url: string }> => {
    const main = new URL('../../sandbox/main.ts', import.meta.url).pathname;
    const flags = ['--port', String(port), '--ledger-ms', '20', '--data', join(folder, 'journal')];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    for await (const line of createInterface({ input: child.stdout })) {
      const ready = z.object({ event: z.literal('sandbox.ready'), url: z.string() }).parse(JSON.parse(line));
      return { child, url: ready.url };
    }
    throw new Error('the sandbox ended before it was ready');
  };
  const exit = (child: ChildProcess): Promise<number | null> =>
    new Promise((resolve) => child.once('exit', (code) => resolve(code)));

  test('comes back after SIGKILL, on the same port, with everything anybody had seen; SIGTERM ends it with 0', async () => {
    const first = await start(0);
    const key = await wallet(first.url);
    await call('/control/faucet', { address: key.publicKey(), amount: '3', asset: 'native' }, first.url);
    const path = `/horizon/accounts/${key.publicKey()}/payments`;
    const before = (await call(path, undefined, first.url)).body;
    const killed = exit(first.child);
    first.child.kill('SIGKILL');
    await killed;
    const second = await start(Number(new URL(first.url).port));
    expect(second.url).toBe(first.url);
    expect((await call(path, undefined, second.url)).body).toEqual(before);
    await call('/control/faucet', { address: key.publicKey(), amount: '1', asset: 'native' }, second.url);
    const ended = exit(second.child);
    second.child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
