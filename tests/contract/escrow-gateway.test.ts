/** The escrow gateway over REST: what it builds passes verification, lands, and moves exactly what was meant. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EscrowCall, EscrowTerms, EscrowType } from '../../domain/chain.ts';
import { createTrustlessWork } from '../../providers/escrow/trustless-work.ts';
import type { Verdict, VerifiedEnvelope, VerifyContext } from '../../providers/escrow/port.ts';
import { verifyEnvelope } from '../../providers/escrow/verify.ts';
import { type Landed, type Network, startNetwork, withServer } from './network.ts';

interface Info {
  readonly asset: { readonly contract: string };
  readonly fee_wallet: string;
  readonly fee_wallet_as_argument: boolean;
  readonly factories: { readonly single: string; readonly multi: string };
  readonly wasm_hashes: { readonly single: string; readonly multi: string };
}

const WALLETS = ['channel', 'buyer', 'seller', 'other seller', 'fees', 'operator', 'resolver'];

/** Drives calls through build, verify, sign, land, as the on-chain step does. */
function createDriver(net: Network, info: Info) {
  const context = async (call: EscrowCall): Promise<VerifyContext> => {
    const type = call.fn === 'deploy' ? call.terms.type : call.type;
    const build = type === 'SINGLE_RELEASE' ? 'single' : 'multi';
    const account = await net.rpc.account(call.source);
    return {
      networkPassphrase: net.passphrase,
      factory: { contractId: info.factories[build], wasmHash: info.wasm_hashes[build] },
      feeWalletArgument: info.fee_wallet_as_argument ? info.fee_wallet : null,
      assetContract: info.asset.contract,
      sequence: account.value?.sequence ?? -1n,
      chainTime: (await net.rpc.latestLedger()).closedAt,
      escrowState: call.fn === 'deploy' ? null : (await net.rpc.escrowState(call.contractId)).value,
      feeCap: 10_000_000n,
    };
  };
  const judge = async (envelope: string, call: EscrowCall): Promise<Verdict> =>
    verifyEnvelope(envelope, call, await context(call));
  const run = async (call: EscrowCall): Promise<{ verified: VerifiedEnvelope; landed: Landed }> => {
    const envelope = await net.gateway.build(call);
    const verdict = await judge(envelope, call);
    if (verdict.verdict !== 'OK') throw new Error(JSON.stringify(verdict));
    const signer = WALLETS.find((name) => net.address(name) === call.source) ?? '';
    const landed = await net.land(envelope, [signer]);
    await net.gateway.nudge(landed.hash);
    expect(landed.successful).toBe(true);
    return { verified: verdict, landed };
  };
  return { judge, run };
}

async function setUp(line: 'mainnet' | 'testnet') {
  const net = await startNetwork({ line });
  await net.provision(WALLETS);
  await net.faucet('buyer', '1000');
  const info = (await (await fetch(`${net.sandbox.url}/control/info`)).json()) as Info;
  const terms = (type: EscrowType): EscrowTerms => ({
    type,
    engagementId: `esc_${type}`,
    title: 'Logo',
    description: 'Three drafts — é',
    roles: {
      approver: net.address('buyer'),
      serviceProvider: net.address('seller'),
      platform: net.address('fees'),
      releaseSigner: net.address('operator'),
      disputeResolver: net.address('resolver'),
    },
    receiver: net.address('seller'),
    amount: 2_500_000_007n,
    platformFeeBps: 125,
    asset: net.asset,
    milestones:
      type === 'SINGLE_RELEASE'
        ? [{ description: 'all of it', amount: 2_500_000_007n, receiver: net.address('seller') }]
        : [
            { description: 'first', amount: 1_000_000_003n, receiver: net.address('seller') },
            { description: 'second', amount: 1_500_000_004n, receiver: net.address('other seller') },
          ],
  });
  return { net, terms, info, ...createDriver(net, info) };
}

describe.each(['mainnet', 'testnet'] as const)('on the %s line', (line) => {
  let world: Awaited<ReturnType<typeof setUp>>;
  beforeAll(async () => {
    world = await setUp(line);
  });
  afterAll(() => world.net.close());

  test('a single-release escrow is deployed where we said, funded exactly, and pays seller, platform and protocol', async () => {
    const { net, run, terms, info } = world;
    const wanted = terms('SINGLE_RELEASE');
    const deployed = await run({ fn: 'deploy', source: net.address('channel'), terms: wanted });
    const { contractId } = deployed.verified;
    expect((await net.rpc.escrowState(contractId)).value).not.toBeNull();
    const call = { type: 'SINGLE_RELEASE', contractId } as const;

    const funded = await run({ ...call, fn: 'fund', source: net.address('buyer'), amount: wanted.amount });
    expect(funded.landed.movements).toMatchObject([
      {
        kind: 'TRANSFER',
        from: net.address('buyer'),
        to: contractId,
        amount: wanted.amount,
        asset: net.asset,
        index: 0,
      },
    ]);
    expect((await net.rpc.assetBalance(contractId, net.asset)).value).toBe(wanted.amount);

    const milestone = { ...call, milestoneIndex: 0 };
    const status = { fn: 'change_milestone_status', status: 'completed', evidence: '' } as const;
    await run({ ...milestone, ...status, source: net.address('seller') });
    await run({ ...milestone, fn: 'approve_milestone', source: net.address('buyer') });
    const released = await run({ ...call, fn: 'release', source: net.address('operator'), milestoneIndex: null });
    const [protocol, platform] = [7_500_000n, 31_250_000n];
    expect(released.landed.movements.map(({ from, to, amount, index }) => [from, to, amount, index])).toEqual([
      [contractId, info.fee_wallet, protocol, 0],
      [contractId, net.address('fees'), platform, 1],
      [contractId, net.address('seller'), wanted.amount - protocol - platform, 2],
    ]);
    const seen = await net.history.movements({ account: net.address('seller'), cursor: '0', limit: 200 });
    expect(seen.movements.filter(({ transactionHash }) => transactionHash === released.landed.hash)).toEqual(
      released.landed.movements,
    );
    expect((await net.rpc.assetBalance(contractId, net.asset)).value).toBe(0n);
  });

  test('a multi-release escrow pays each milestone to its own receiver', async () => {
    const { net, run, terms } = world;
    const wanted = terms('MULTI_RELEASE');
    const deployed = await run({ fn: 'deploy', source: net.address('channel'), terms: wanted });
    const call = { type: 'MULTI_RELEASE', contractId: deployed.verified.contractId } as const;
    await run({ ...call, fn: 'fund', source: net.address('buyer'), amount: wanted.amount });
    for (const [milestoneIndex, receiver] of [
      [1, 'other seller'],
      [0, 'seller'],
    ] as const) {
      const milestone = { ...call, milestoneIndex };
      const status = { fn: 'change_milestone_status', status: 'done', evidence: 'ipfs://x' } as const;
      await run({ ...milestone, ...status, source: net.address('seller') });
      await run({ ...milestone, fn: 'approve_milestone', source: net.address('buyer') });
      const { landed } = await run({ ...milestone, fn: 'release', source: net.address('operator') });
      expect(landed.movements.at(-1)?.to).toBe(net.address(receiver));
    }
    expect((await net.rpc.assetBalance(call.contractId, net.asset)).value).toBe(0n);
  });

  test('an envelope built before a change is stale, not different', async () => {
    const { net, run, terms, judge } = world;
    const deployed = await run({ fn: 'deploy', source: net.address('channel'), terms: terms('SINGLE_RELEASE') });
    const call = { type: 'SINGLE_RELEASE', contractId: deployed.verified.contractId } as const;
    const fund: EscrowCall = { ...call, fn: 'fund', source: net.address('buyer'), amount: 5n };
    const envelope = await net.gateway.build(fund);
    expect(await judge(envelope, fund)).toMatchObject({ verdict: 'OK' });
    const milestone = { ...call, milestoneIndex: 0 };
    const status = { fn: 'change_milestone_status', status: 'started', evidence: '' } as const;
    await run({ ...milestone, ...status, source: net.address('seller') });
    expect(await judge(envelope, fund)).toMatchObject({ verdict: 'STALE' });
    expect(await judge(envelope, { ...fund, amount: 6n })).toMatchObject({ verdict: 'DIFFERENT' });
  });
});

describe('trouble', () => {
  let world: Awaited<ReturnType<typeof setUp>>;
  beforeAll(async () => {
    world = await setUp('mainnet');
  });
  afterAll(() => world.net.close());

  const release = (): EscrowCall => ({
    fn: 'release',
    type: 'SINGLE_RELEASE',
    source: world.net.address('operator'),
    contractId: world.info.factories.single,
    milestoneIndex: null,
  });

  test('an escrow the index does not know is REFUSED, and so is a hash it cannot find', async () => {
    await expect(world.net.gateway.build(release())).rejects.toMatchObject({ kind: 'REFUSED', status: 404 });
    await expect(world.net.gateway.nudge('0'.repeat(64))).rejects.toMatchObject({ kind: 'REFUSED', status: 404 });
  });

  test.each<[string, object, object]>([
    ['an outage', { name: 'http_503' }, { kind: 'UNAVAILABLE', status: 503 }],
    ['a rate limit', { name: 'http_429', retryAfter: 3 }, { kind: 'UNAVAILABLE', status: 429, retryAfterMs: 3_000 }],
    [
      'a rate limit without a hint',
      { name: 'http_429', retryAfter: null },
      { kind: 'UNAVAILABLE', retryAfterMs: null },
    ],
    ['a broken connection', { name: 'timeout', delayMs: 1 }, { kind: 'UNAVAILABLE', status: null }],
  ])('%s is UNAVAILABLE', async (_name, rule, expected) => {
    world.net.sandbox.faults.set(rule as Parameters<typeof world.net.sandbox.faults.set>[0]);
    try {
      await expect(world.net.gateway.build(release())).rejects.toMatchObject({
        provider: 'trustless-work',
        ...expected,
      });
    } finally {
      world.net.sandbox.faults.clear();
    }
  });

  test.each<[string, number, unknown, object]>([
    ['FAILED with HTTP 200 (F11)', 200, { status: 'FAILED', message: 'no' }, { kind: 'REFUSED' }],
    ['FAILED beside an envelope', 201, { status: 'FAILED', unsignedTransaction: 'AAAA' }, { kind: 'REFUSED' }],
    ['success without an envelope (F12)', 201, { status: 'SUCCESS' }, { kind: 'MALFORMED' }],
    ['an empty envelope', 201, { status: 'SUCCESS', unsignedTransaction: '' }, { kind: 'MALFORMED' }],
    ['a list', 201, [], { kind: 'MALFORMED' }],
    ['a bad key', 401, { statusCode: 401 }, { kind: 'UNAVAILABLE', status: 401 }],
  ])('%s is no success', async (_name, status, body, expected) => {
    await withServer({ status, body: JSON.stringify(body) }, async (url) => {
      const gateway = createTrustlessWork({ url: `${url}/`, apiKey: 'our.key' });
      await expect(gateway.build(release())).rejects.toMatchObject({ name: 'ProviderError', ...expected });
    });
  });
});
