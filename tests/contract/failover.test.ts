/** Several providers of one network behind one port: who is asked, who is believed, and what they say together. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Account, Asset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { type Look, findOut, findOutAnywhere } from '../../activities/chain/look.ts';
import { asAttempt, currentAttempt, timeLeft } from '../../providers/attempt.ts';
import { createChainHistory } from '../../providers/chain/horizon.ts';
import { attemptInterceptor } from '../../worker/attempts.ts';
import { endpointNames } from '../../domain/providers.ts';
import { feeBump, hashes, signEnvelope } from '../../providers/chain/envelope.ts';
import { createNetworkHistory, createNetworkRpc } from '../../providers/chain/network.ts';
import type { ProviderWatch } from '../../providers/limits/watch.ts';
import { type Network, startNetwork, withServer } from './network.ts';

let net: Network;
/** Two nodes of one network: faults tell them apart by path. */
let nodes: [string, string];
let names: [string, string];
let heard: { name: string; well: boolean }[];
const watch: ProviderWatch = {
  answered: (name) => heard.push({ name, well: true }),
  failed: (name) => heard.push({ name, well: false }),
};

beforeAll(async () => {
  net = await startNetwork();
  nodes = [`${net.sandbox.url}/rpc/one`, `${net.sandbox.url}/rpc/two`];
  names = endpointNames('rpc', nodes) as [string, string];
  await net.provision(['alice', 'bob']);
  await net.faucet('alice', '100');
});
afterAll(() => net.close());
beforeEach(() => {
  heard = [];
});
afterEach(() => net.sandbox.faults.clear());

const rpcOf = (urls: readonly string[], perMinute = 0, networkPassphrase = net.passphrase) =>
  createNetworkRpc({ urls, networkPassphrase, perMinute, watch });
const fault = (
  path: string,
  rule: Partial<Parameters<typeof net.sandbox.faults.set>[0]> & { name: 'http_503' | 'http_429' | 'stale_index' },
) => net.sandbox.faults.set({ ...rule, match: { face: 'rpc', path, ...rule.match } });
const close = (count: number): void => {
  for (let closed = 0; closed < count; closed += 1) net.sandbox.core.closeLedger();
};
const answering = (): string[] => heard.filter(({ well }) => well).map(({ name }) => name);

describe('a call', () => {
  test('goes to the first provider while that one is well', async () => {
    const rpc = rpcOf(nodes);
    for (let asked = 0; asked < 5; asked += 1) await rpc.latestLedger();
    // Both were looked at once.
    expect(answering().filter((name) => name === names[1])).toHaveLength(1);
    expect(answering().filter((name) => name === names[0])).toHaveLength(6);
  });

  test('goes to the next one when the first is in trouble, and stays there', async () => {
    const rpc = rpcOf(nodes);
    fault('/one', { name: 'http_503' });
    await rpc.latestLedger();
    expect(heard).toContainEqual({ name: names[0], well: false });
    net.sandbox.faults.clear();
    heard = [];
    for (let asked = 0; asked < 3; asked += 1) await rpc.latestLedger();
    expect(answering()).toEqual([names[1], names[1], names[1]]);
  });

  test('is answered also when the one in use dies between two calls', async () => {
    const rpc = rpcOf(nodes);
    await rpc.latestLedger();
    fault('/one', { name: 'http_503' });
    expect(await rpc.latestLedger()).toMatchObject({ sequence: net.sandbox.core.latest().sequence });
  });

  test('fails with the trouble of the provider when no other is left', async () => {
    const rpc = rpcOf(nodes);
    fault('', { name: 'http_503' });
    await expect(rpc.latestLedger()).rejects.toMatchObject({ name: 'ProviderError', kind: 'UNAVAILABLE' });
    net.sandbox.faults.clear();
    expect(await rpc.latestLedger()).toBeDefined();
  });

  test('that is refused is not asked of anybody else: a refusal is an answer', async () => {
    const rpc = rpcOf(nodes);
    await expect(rpc.submit('nonsense')).rejects.toMatchObject({ kind: 'REFUSED' });
    expect(heard.filter(({ name }) => name === names[1])).toHaveLength(1);
    expect(heard.every(({ well }) => well)).toBe(true);
  });

  test('does not go to one that is far behind the others', async () => {
    close(20);
    fault('/one', { name: 'stale_index', ledgers: 15 });
    const rpc = rpcOf(nodes);
    expect((await rpc.latestLedger()).sequence).toBe(net.sandbox.core.latest().sequence);
    expect(heard).toContainEqual({ name: names[0], well: false });
    // Better one that is behind than none.
    fault('/two', { name: 'http_503' });
    expect((await rpc.latestLedger()).sequence).toBe(net.sandbox.core.latest().sequence - 15);
  });
});

describe('a provider of another network', () => {
  let other: Network;
  beforeAll(async () => {
    other = await startNetwork({ networkPassphrase: 'Another network ; 2026' });
  });
  afterAll(() => other.close());

  test('is never believed, whatever its place in the list', async () => {
    const rpc = rpcOf([`${other.sandbox.url}/rpc`, nodes[0]]);
    expect((await rpc.account(net.address('alice'))).value).not.toBeNull();
    const alone = rpcOf([`${other.sandbox.url}/rpc`]);
    await expect(alone.transaction('0'.repeat(64))).rejects.toMatchObject({ kind: 'UNAVAILABLE' });
    const history = createNetworkHistory({
      urls: [`${other.sandbox.url}/horizon`],
      networkPassphrase: net.passphrase,
      perMinute: 0,
      watch,
    });
    await expect(history.movements({ cursor: '0', limit: 1 })).rejects.toMatchObject({ kind: 'UNAVAILABLE' });
  });
});

describe('limits', () => {
  test('a provider that wants to be left alone is left alone for so long; the other one serves', async () => {
    const rpc = rpcOf(nodes);
    await rpc.latestLedger();
    fault('/one', { name: 'http_429', count: 1, retryAfter: 30 });
    for (let asked = 0; asked < 4; asked += 1) await rpc.latestLedger();
    // It would answer again now, but it was promised half a minute.
    heard = [];
    fault('/two', { name: 'http_503' });
    await expect(rpc.latestLedger()).rejects.toMatchObject({ name: 'ProviderError' });
    expect(answering()).not.toContain(names[0]);
  });

  test('alone, it is not asked before its time, and the time is told', async () => {
    const rpc = rpcOf([nodes[0]]);
    fault('/one', { name: 'http_429', count: 1, retryAfter: 30 });
    await expect(rpc.latestLedger()).rejects.toMatchObject({ status: 429, retryAfterMs: 30_000 });
    const again: unknown = await rpc.latestLedger().catch((error: unknown) => error);
    expect(again).toMatchObject({ kind: 'THROTTLED' });
    expect((again as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(20_000);
  });

  test('of our own are kept per provider: when one’s minute is used up, the other one is asked', async () => {
    const rpc = rpcOf(nodes, 4);
    // One look each, then three calls of each.
    for (let asked = 0; asked < 6; asked += 1) await rpc.latestLedger();
    await expect(rpc.latestLedger()).rejects.toMatchObject({ kind: 'THROTTLED', retryAfterMs: expect.any(Number) });
    for (const name of names) expect(answering().filter((one) => one === name)).toHaveLength(4);
    expect(heard.every(({ well }) => well)).toBe(true);
  });
});

describe('the calls of one attempt', () => {
  test('together have no more time than the attempt, whatever each would be given alone', async () => {
    await withServer(null, async (url) => {
      const history = createChainHistory({ url });
      const attempt = { owner: 'order/1', priority: 1, limitMs: 50 };
      await asAttempt(attempt, async () => {
        await expect(history.head()).rejects.toMatchObject({ kind: 'UNAVAILABLE' });
        while (timeLeft(1) > 0) await Promise.resolve();
        // Nothing is left: nobody is asked, and nobody is blamed.
        await expect(history.head()).rejects.toMatchObject({ kind: 'THROTTLED' });
      });
    });
  });

  test('are those of the activity: its limit, its urgency, its place in a queue', async () => {
    const info = {
      activityId: 'fund:prepare',
      workflowExecution: { workflowId: 'order/1' },
      startToCloseTimeoutMs: 10_000,
    };
    const interceptor = attemptInterceptor({ info } as never);
    await interceptor.inbound?.execute?.({ args: [{ priority: 1 }], headers: {} }, async () => {
      expect(currentAttempt()).toMatchObject({ owner: 'order/1/fund:prepare', priority: 1 });
      expect(timeLeft(60_000)).toBeLessThanOrEqual(9_000);
      return null;
    });
  });
});

describe('what one provider says', () => {
  test('comes from one provider alone, also when that one fails half way', async () => {
    const rpc = rpcOf(nodes);
    const pinned = await rpc.pinned();
    heard = [];
    await pinned.account(net.address('alice'));
    await pinned.latestLedger();
    expect(new Set(answering())).toEqual(new Set([names[0]]));
    fault('/one', { name: 'http_503' });
    await expect(pinned.latestLedger()).rejects.toMatchObject({ kind: 'UNAVAILABLE' });
    expect(answering()).not.toContain(names[1]);
    expect(await (await rpc.pinned()).latestLedger()).toBeDefined();
  });
});

describe('history', () => {
  test('is read from the next Horizon when the first is down, from the same cursor', async () => {
    let gone = '';
    await withServer(null, async (url) => {
      gone = url;
    });
    const urls = [gone, `${net.sandbox.url}/horizon`];
    const history = createNetworkHistory({ urls, networkPassphrase: net.passphrase, perMinute: 0, watch });
    const whole = await net.history.movements({ account: net.address('alice'), cursor: '0', limit: 200 });
    expect(await history.movements({ account: net.address('alice'), cursor: '0', limit: 200 })).toEqual(whole);
    expect(heard).toContainEqual({ name: endpointNames('horizon', urls)[0], well: false });
  });

  test('knows a transaction by both hashes as RPC does, and absence with the ledger it is sure of', async () => {
    const { inner, landed } = await pay();
    for (const hash of [inner, landed.hash])
      expect(await net.history.transaction(hash)).toEqual({ ...landed, returnValue: null });
    expect(await net.history.transaction('0'.repeat(64))).toMatchObject({
      status: 'ABSENT',
      latestLedger: net.sandbox.core.latest().sequence,
      latestClosedAt: net.sandbox.core.latest().closedAt,
    });
  });
});

/** A signed payment of alice's, valid for `seconds` of chain time. */
async function signed(seconds: number) {
  const { value } = await net.rpc.account(net.address('alice'));
  const { closedAt, sequence: signedLedger } = await net.rpc.latestLedger();
  const asset = new Asset(net.asset.code, net.asset.issuer);
  const maxTime = closedAt + seconds;
  const envelope = new TransactionBuilder(new Account(net.address('alice'), String(value?.sequence)), {
    fee: '0',
    networkPassphrase: net.passphrase,
    timebounds: { minTime: 0, maxTime },
  })
    .addOperation(Operation.payment({ destination: net.address('bob'), asset, amount: '0.5' }))
    .build()
    .toXdr();
  const inner = signEnvelope(envelope, net.passphrase, [net.key('alice')]);
  const outer = feeBump(inner, net.passphrase, net.sponsor, { maxFeePerOp: 1_000n });
  const innerHash = hashes(inner, net.passphrase).hash;
  const sequence = (value?.sequence ?? 0n) + 1n;
  return {
    outer,
    sought: {
      innerHash,
      source: net.address('alice'),
      sequence,
      maxTime: BigInt(maxTime),
      maxLedger: null,
      signedLedger,
    },
  };
}

async function pay() {
  const { outer, sought } = await signed(60);
  await net.rpc.submit(outer.envelope);
  close(1);
  const landed = await net.rpc.transaction(sought.innerHash);
  if (landed.status !== 'LANDED') throw new Error('it did not land');
  return { inner: sought.innerHash, landed, sought };
}

/** A node whose history begins at its latest ledger, in front of the real one. */
async function withForgetfulNode(run: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      void fetch(nodes[0], { method: 'POST', headers: { 'content-type': 'application/json' }, body })
        .then(async (answer) => (await answer.json()) as { result: Record<string, unknown> })
        .then(({ result }) => {
          const { latestLedger, latestLedgerCloseTime } = result;
          const forgotten = { status: 'NOT_FOUND', latestLedger, latestLedgerCloseTime };
          const told = body.includes('"getTransaction"') ? forgotten : result;
          const oldest = 'oldestLedger' in result ? { oldestLedger: latestLedger } : {};
          res.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { ...told, ...oldest } }));
        });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('two providers at different ledgers', () => {
  const deps = (urls: readonly string[]) => ({
    rpc: rpcOf(urls),
    history: createNetworkHistory({
      urls: [`${net.sandbox.url}/horizon`],
      networkPassphrase: net.passphrase,
      perMinute: 0,
      watch,
    }),
    network: { passphrase: net.passphrase } as Parameters<typeof findOutAnywhere>[0]['network'],
  });

  test.each([1, 3, 9])('never make a transaction dead that landed: %i ledgers apart', async (apart) => {
    const { outer, sought } = await signed(15);
    await net.rpc.submit(outer.envelope);
    fault('/one', { name: 'stale_index', ledgers: apart });
    const parts = deps(nodes);
    const both = await Promise.all(nodes.map((url) => rpcOf([url]).pinned()));
    const seen: Look['status'][] = [];
    for (let ledger = 0; ledger < 14; ledger += 1) {
      close(1);
      // Whoever is asked now, and each of them by itself.
      seen.push((await findOutAnywhere(parts, sought)).status);
      for (const one of both) seen.push((await findOut(one, sought)).status);
      net.sandbox.faults.clear();
      // They change places: the one that was ahead is behind now.
      fault(ledger % 2 === 0 ? '/two' : '/one', { name: 'stale_index', ledgers: apart });
    }
    expect(seen).not.toContain('DEAD');
    expect(seen.at(-1)).toBe('LANDED');
  });

  test('never make one landed that did not, and find out that it is dead', async () => {
    const { sought } = await signed(12);
    fault('/one', { name: 'stale_index', ledgers: 5 });
    const parts = deps(nodes);
    const seen: Look['status'][] = [];
    while (seen.at(-1) !== 'DEAD' && seen.length < 40) {
      close(1);
      seen.push((await findOutAnywhere(parts, sought)).status);
    }
    expect(new Set(seen)).toEqual(new Set(['PENDING', 'DEAD']));
  });

  test('what one has forgotten the other one is asked for, and history when all have', async () => {
    const { sought, landed } = await pay();
    close(200);
    await withForgetfulNode(async (forgetful) => {
      expect(await findOut(rpcOf([forgetful]), sought)).toEqual({ status: 'UNKNOWABLE' });
      expect(await findOutAnywhere(deps([forgetful, nodes[0]]), sought)).toEqual({ status: 'LANDED', landed });
      expect(await findOutAnywhere(deps([forgetful]), sought)).toEqual({ status: 'LANDED', landed });
      const never = { ...sought, innerHash: '0'.repeat(64) };
      expect(await findOutAnywhere(deps([forgetful]), never)).toEqual({ status: 'DEAD' });
    });
  });

  test('a proof by one is not taken while another one has the transaction in its history', async () => {
    const { sought, landed } = await pay();
    close(200);
    const { rpc, ...rest } = deps([nodes[0]]);
    const liar = { ...(await rpc.pinned()), transaction: () => net.rpc.transaction('0'.repeat(64)) };
    const parts = { ...rest, rpc: { ...liar, pinned: async () => liar } };
    expect(await findOut(liar, sought)).toEqual({ status: 'DEAD' });
    expect(await findOutAnywhere(parts, sought)).toEqual({ status: 'LANDED', landed });
  });
});
