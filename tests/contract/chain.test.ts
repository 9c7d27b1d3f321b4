/** The chain adapters against the local network: state, submission, outcome, history. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Account, Asset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { MAX_WALLETS, buildProvisioning } from '../../providers/chain/classic.ts';
import { feeBump, hashes, signEnvelope } from '../../providers/chain/envelope.ts';
import { createChainHistory } from '../../providers/chain/horizon.ts';
import { createChainRpc } from '../../providers/chain/rpc.ts';
import { type Network, startNetwork, withServer } from './network.ts';

let net: Network;
let usdc: Asset;

beforeAll(async () => {
  net = await startNetwork();
  usdc = new Asset(net.asset.code, net.asset.issuer);
  await net.provision(['alice', 'bob']);
  await net.faucet('alice', '100.0000001');
});
afterAll(() => net.close());

/** An unsigned payment envelope of `from` with one operation per amount. */
async function payments(from: string, to: string, amounts: readonly string[]): Promise<string> {
  const { value } = await net.rpc.account(net.address(from));
  const { closedAt } = await net.rpc.latestLedger();
  const builder = new TransactionBuilder(new Account(net.address(from), String(value?.sequence)), {
    fee: '0',
    networkPassphrase: net.passphrase,
    timebounds: { minTime: 0, maxTime: closedAt + 120 },
  });
  for (const amount of amounts)
    builder.addOperation(Operation.payment({ destination: net.address(to), asset: usdc, amount }));
  return builder.build().toXdr();
}

describe('provisioning', () => {
  test('nineteen sponsored wallets fit into one transaction and hold no XLM', async () => {
    const names = Array.from({ length: MAX_WALLETS }, (_, index) => `wallet ${index}`);
    const landed = await net.provision(names);
    expect(landed.successful).toBe(true);
    expect(landed.movements.map(({ kind }) => kind)).toEqual(names.map(() => 'CREATE_ACCOUNT'));
    for (const name of names) {
      expect((await net.rpc.account(net.address(name))).value?.balance).toBe(0n);
      expect((await net.rpc.trustline(net.address(name), net.asset)).value).toMatchObject({
        balance: 0n,
        authorized: true,
      });
    }
  });

  test('a channel account gets no trustline; too many wallets are refused', async () => {
    const { value } = await net.rpc.account(net.sponsor.publicKey);
    const options = {
      networkPassphrase: net.passphrase,
      source: net.sponsor.publicKey,
      sequence: value?.sequence ?? 0n,
      sponsor: net.sponsor.publicKey,
      assets: [],
      maxTime: (await net.rpc.latestLedger()).closedAt + 120,
    };
    await net.land(buildProvisioning({ ...options, wallets: [net.address('channel')] }), ['sponsor', 'channel']);
    expect((await net.rpc.account(net.address('channel'))).value).not.toBeNull();
    expect((await net.rpc.trustline(net.address('channel'), net.asset)).value).toBeNull();
    const wallets = Array.from({ length: MAX_WALLETS + 1 }, (_, index) => net.address(`w${index}`));
    expect(() => buildProvisioning({ ...options, wallets })).toThrow(RangeError);
  });
});

describe('state', () => {
  test('of what does not exist is null, its balance 0', async () => {
    const nobody = net.address('nobody');
    expect((await net.rpc.account(nobody)).value).toBeNull();
    expect((await net.rpc.trustline(nobody, net.asset)).value).toBeNull();
    expect((await net.rpc.assetBalance(nobody, net.asset)).value).toBe(0n);
    const contract = usdc.contractId(net.passphrase);
    expect((await net.rpc.assetBalance(contract, net.asset)).value).toBe(0n);
    expect((await net.rpc.escrowState(contract)).value).toBeNull();
  });

  test('is exact to the stroop and names its ledger', async () => {
    const { value, ledger } = await net.rpc.assetBalance(net.address('alice'), net.asset);
    expect(value).toBe(1_000_000_001n);
    expect(ledger).toBe(net.sandbox.core.latest().sequence);
    const native = { code: 'XLM', issuer: null };
    expect((await net.rpc.assetBalance(net.sponsor.publicKey, native)).value).toBeGreaterThan(0n);
  });

  test('a frozen trustline is seen', async () => {
    await net.provision(['frozen']);
    const flags = async (path: string): Promise<unknown> =>
      fetch(`${net.sandbox.url}/control/${path}`, {
        method: 'POST',
        body: JSON.stringify({ address: net.address('frozen') }),
      });
    await flags('freeze');
    expect((await net.rpc.trustline(net.address('frozen'), net.asset)).value?.authorized).toBe(false);
  });
});

describe('submission', () => {
  test('the sponsor pays: the inner transaction offers no fee, both hashes find it, the fee is real', async () => {
    const envelope = await payments('alice', 'bob', ['1']);
    const signed = signEnvelope(envelope, net.passphrase, [net.key('alice')]);
    const bumped = feeBump(signed, net.passphrase, net.sponsor, { maxFeePerOp: 1_000n });
    const inner = hashes(signed, net.passphrase);
    expect(inner.innerHash).toBeNull();
    expect(hashes(bumped.envelope, net.passphrase)).toEqual({ hash: bumped.hash, innerHash: inner.hash });
    expect(await net.rpc.transaction(inner.hash)).toMatchObject({
      status: 'ABSENT',
      latestLedger: net.sandbox.core.latest().sequence,
    });

    expect(await net.rpc.submit(bumped.envelope)).toEqual({ status: 'PENDING' });
    expect(await net.rpc.submit(bumped.envelope)).toEqual({ status: 'DUPLICATE' });
    net.sandbox.core.closeLedger();
    const byInner = await net.rpc.transaction(inner.hash);
    expect(await net.rpc.transaction(bumped.hash)).toEqual(byInner);
    expect(byInner).toMatchObject({
      status: 'LANDED',
      successful: true,
      hash: bumped.hash,
      returnValue: null,
      feeCharged: 200n,
    });
  });

  test('a refusal before any ledger names the code, of the inner transaction if that was it', async () => {
    const envelope = await payments('alice', 'bob', ['1']);
    const unsigned = feeBump(envelope, net.passphrase, net.sponsor, { maxFeePerOp: 1_000n });
    expect(await net.rpc.submit(unsigned.envelope)).toMatchObject({ status: 'ERROR', code: 'txBadAuth' });
    await net.land(envelope, ['alice']);
    const again = feeBump(signEnvelope(envelope, net.passphrase, [net.key('alice')]), net.passphrase, net.sponsor, {
      maxFeePerOp: 2_000n,
    });
    expect(await net.rpc.submit(again.envelope)).toMatchObject({ status: 'ERROR', code: 'txBadSeq' });
    await expect(net.rpc.submit('nonsense')).rejects.toMatchObject({ name: 'ProviderError', kind: 'REFUSED' });
  });

  test('a transaction that failed on chain landed, unsuccessfully, and moved nothing', async () => {
    const landed = await net.land(await payments('alice', 'bob', ['5', '100000']), ['alice']);
    expect(landed).toMatchObject({ successful: false, movements: [] });
    expect(landed.feeCharged).toBeGreaterThan(0n);
  });
});

describe('movements', () => {
  test('two payments in one transaction are two movements, equal from both sources (F27)', async () => {
    const cursor = await net.history.nowCursor();
    const landed = await net.land(await payments('alice', 'bob', ['0.0000001', '2.5']), ['alice']);
    expect(landed.movements.map(({ amount, index }) => [amount, index])).toEqual([
      [1n, 0],
      [25_000_000n, 0],
    ]);
    expect(new Set(landed.movements.map(({ operationId }) => operationId)).size).toBe(2);
    for (const account of [net.address('alice'), net.address('bob')]) {
      const page = await net.history.movements({ account, cursor, limit: 200 });
      expect(page.movements.filter(({ transactionHash }) => transactionHash === landed.hash)).toEqual(landed.movements);
      expect(page.complete).toBe(true);
    }
  });

  test('are paged without loss: the cursor is the last operation seen', async () => {
    const start = await net.history.nowCursor();
    const account = net.address('bob');
    await net.land(await payments('alice', 'bob', ['1', '2', '3']), ['alice']);
    const whole = await net.history.movements({ account, cursor: start, limit: 200 });
    const seen = [];
    let cursor = start;
    for (let complete = false; !complete; ) {
      const page = await net.history.movements({ account, cursor, limit: 2 });
      seen.push(...page.movements);
      ({ cursor, complete } = page);
    }
    expect(seen).toEqual(whole.movements);
    expect(cursor).toBe(whole.cursor);
  });

  test('of an account without any payment are none', async () => {
    const page = await net.history.movements({ account: net.address('nobody'), cursor: '0', limit: 10 });
    expect(page).toEqual({ movements: [], cursor: '0', complete: true });
  });

  test('of the whole network come without an account', async () => {
    const cursor = await net.history.nowCursor();
    const landed = await net.land(await payments('alice', 'bob', ['4']), ['alice']);
    const page = await net.history.movements({ cursor, limit: 200 });
    expect(page.movements).toEqual(expect.arrayContaining([...landed.movements]));
  });
});

describe('history', () => {
  test('tells network, latest and oldest ledger', async () => {
    const head = await net.history.head();
    const latest = net.sandbox.core.latest();
    expect(head).toMatchObject({
      networkPassphrase: net.passphrase,
      latestLedger: latest.sequence,
      latestClosedAt: latest.closedAt,
    });
    expect(head.oldestLedger).toBeLessThanOrEqual(latest.sequence);
  });

  test('waiting ends when a movement comes', async () => {
    const cursor = (await net.history.movements({ account: net.address('bob'), cursor: '0', limit: 200 })).cursor;
    const { signal } = new AbortController();
    const waiting = net.history.waitForMovement({ account: net.address('bob'), cursor, holdMs: 30_000, signal });
    await net.land(await payments('alice', 'bob', ['1']), ['alice']);
    await waiting;
    expect((await net.history.movements({ account: net.address('bob'), cursor, limit: 10 })).movements).toHaveLength(1);
  });

  test('waiting ends after the hold, also for an account that nothing ever reached', async () => {
    const { signal } = new AbortController();
    const cursor = await net.history.nowCursor();
    for (const account of [net.address('bob'), net.address('nobody')]) {
      await expect(net.history.waitForMovement({ account, cursor, holdMs: 50, signal })).resolves.toBeUndefined();
    }
  });

  test('an abort ends the wait with its reason', async () => {
    const controller = new AbortController();
    const cursor = await net.history.nowCursor();
    const waiting = net.history.waitForMovement({ cursor, holdMs: 30_000, signal: controller.signal });
    const reason = new Error('shutdown');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe('errors are classified by status and shape, never by text (F21)', () => {
  test.each<[string, number, string, Record<string, string>, object]>([
    ['rate limit', 429, 'slow down', { 'retry-after': '7' }, { kind: 'UNAVAILABLE', status: 429, retryAfterMs: 7_000 }],
    ['outage', 503, '<html>', {}, { kind: 'UNAVAILABLE', status: 503, retryAfterMs: null }],
    ['refusal', 400, '{}', {}, { kind: 'REFUSED', status: 400 }],
    ['no JSON', 200, '<html>success</html>', {}, { kind: 'MALFORMED' }],
    ['another shape', 200, '{"result":{}}', {}, { kind: 'MALFORMED' }],
  ])('%s', async (_name, status, body, headers, expected) => {
    await withServer({ status, body, headers }, async (url) => {
      const rpc = createChainRpc({ url, networkPassphrase: net.passphrase });
      const history = createChainHistory({ url });
      await expect(rpc.latestLedger()).rejects.toMatchObject({ name: 'ProviderError', provider: 'rpc', ...expected });
      await expect(history.head()).rejects.toMatchObject({ name: 'ProviderError', provider: 'horizon', ...expected });
    });
  });

  test.each([
    [-32603, 'UNAVAILABLE'],
    [-32602, 'REFUSED'],
  ])('JSON-RPC error %i: the server’s own trouble is told from a bad request', async (code, kind) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message: 'x' } });
    await withServer({ status: 200, body }, async (url) => {
      const rpc = createChainRpc({ url, networkPassphrase: net.passphrase });
      await expect(rpc.latestLedger()).rejects.toMatchObject({ kind });
    });
  });

  test('what became of another transaction is no answer: money is booked from it', async () => {
    const landed = await net.provision(['carol']);
    const hash = 'a'.repeat(64);
    const question = { jsonrpc: '2.0', id: 1, method: 'getTransaction', params: { hash: landed.hash } };
    const response = await fetch(`${net.sandbox.url}/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    });
    await withServer({ status: 200, body: await response.text() }, async (url) => {
      const rpc = createChainRpc({ url, networkPassphrase: net.passphrase });
      expect(await rpc.transaction(landed.hash)).toMatchObject({ status: 'LANDED' });
      await expect(rpc.transaction(hash)).rejects.toMatchObject({ kind: 'MALFORMED' });
    });
  });

  test('silence and a closed port', async () => {
    let gone = '';
    const silent = { kind: 'UNAVAILABLE', status: null };
    await withServer(null, async (url) => {
      gone = url;
      const rpc = createChainRpc({ url, networkPassphrase: net.passphrase, timeoutMs: 50 });
      await expect(rpc.latestLedger()).rejects.toMatchObject(silent);
    });
    const rpc = createChainRpc({ url: gone, networkPassphrase: net.passphrase });
    await expect(rpc.latestLedger()).rejects.toMatchObject(silent);
  });
});
