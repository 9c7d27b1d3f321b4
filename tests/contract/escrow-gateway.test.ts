/** Both escrow gateways: what they build passes verification, lands, and moves exactly what was meant. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EscrowCall, EscrowTerms, EscrowType } from '../../domain/chain.ts';
import type { EscrowGateway, Verdict, VerifiedEnvelope } from '../../providers/escrow/port.ts';
import { openParts } from '../../providers/escrow/stored.ts';
import { verifyEnvelope } from '../../providers/escrow/verify.ts';
import { type Landed, type Network, startNetwork } from './network.ts';

const WALLETS = ['channel', 'buyer', 'seller', 'other seller', 'fees', 'operator', 'resolver'];
/** Calls' common part once the contract is there. */
type Contract = { readonly type: EscrowType; readonly contractId: string };

/** Drives calls through build, verify, sign, land, as the on-chain step does. */
function createDriver(net: Network, gateway: EscrowGateway) {
  const judge = async (envelope: string, call: EscrowCall): Promise<Verdict> => {
    const { value: account } = await net.rpc.account(call.source);
    return verifyEnvelope(envelope, call, {
      ...(await net.contracts(call)),
      networkPassphrase: net.passphrase,
      assetContract: net.info.asset.contract,
      sequence: account?.sequence ?? -1n,
      chainTime: (await net.rpc.latestLedger()).closedAt,
      escrowState: call.fn === 'fund' ? (await net.rpc.escrowState(call.contractId)).value : null,
      feeCap: 10_000_000n,
    });
  };
  const run = async (call: EscrowCall): Promise<{ verified: VerifiedEnvelope; landed: Landed }> => {
    const envelope = await gateway.build(call);
    const verdict = await judge(envelope, call);
    if (verdict.verdict !== 'OK') throw new Error(JSON.stringify(verdict));
    const signer = WALLETS.find((name) => net.address(name) === call.source) ?? '';
    const landed = await net.land(envelope, [signer]);
    await gateway.nudge(landed.hash);
    expect(landed.successful).toBe(true);
    return { verified: verdict, landed };
  };
  return { judge, run };
}

async function setUp(line: 'mainnet' | 'testnet', name: EscrowGateway['name']) {
  const net = await startNetwork({ line });
  await net.provision(WALLETS);
  await net.faucet('buyer', '5000');
  const gateway = net.gateways[name];
  const { judge, run } = createDriver(net, gateway);
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
  const deploy = async (type: EscrowType): Promise<Contract> => {
    const { verified } = await run({ fn: 'deploy', source: net.address('channel'), terms: terms(type) });
    return { type, contractId: verified.contractId };
  };
  const fund = (contract: Contract, amount: bigint) =>
    run({ ...contract, fn: 'fund', source: net.address('buyer'), amount });
  const balance = async (holder: string): Promise<bigint> => (await net.rpc.assetBalance(holder, net.asset)).value;
  return { net, gateway, terms, judge, run, deploy, fund, balance };
}

const WORLDS = (['trustless-work', 'direct'] as const).flatMap((name) =>
  (['mainnet', 'testnet'] as const).map((line) => [name, line] as const),
);

describe.each(WORLDS)('%s on the %s line', (name, line) => {
  let world: Awaited<ReturnType<typeof setUp>>;
  beforeAll(async () => {
    world = await setUp(line, name);
  });
  afterAll(() => world.net.close());

  test('a single-release escrow is deployed where we said, funded exactly, and pays seller, platform and protocol', async () => {
    const { net, run, terms, deploy, fund, balance } = world;
    const { amount } = terms('SINGLE_RELEASE');
    const contract = await deploy('SINGLE_RELEASE');
    const { contractId } = contract;
    expect((await net.rpc.escrowState(contractId)).value).not.toBeNull();

    const funded = await fund(contract, amount);
    expect(funded.landed.movements).toMatchObject([
      { kind: 'TRANSFER', from: net.address('buyer'), to: contractId, amount, asset: net.asset, index: 0 },
    ]);
    expect(await balance(contractId)).toBe(amount);

    const milestone = { ...contract, milestoneIndex: 0 };
    const status = { fn: 'change_milestone_status', status: 'completed', evidence: '' } as const;
    await run({ ...milestone, ...status, source: net.address('seller') });
    await run({ ...milestone, fn: 'approve_milestone', source: net.address('buyer') });
    const released = await run({ ...contract, fn: 'release', source: net.address('operator'), milestoneIndex: null });
    const [protocol, platform] = [7_500_000n, 31_250_000n];
    expect(released.landed.movements.map(({ from, to, amount: moved, index }) => [from, to, moved, index])).toEqual([
      [contractId, net.info.fee_wallet, protocol, 0],
      [contractId, net.address('fees'), platform, 1],
      [contractId, net.address('seller'), amount - protocol - platform, 2],
    ]);
    const seen = await net.history.movements({ account: net.address('seller'), cursor: '0', limit: 200 });
    expect(seen.movements.filter(({ transactionHash }) => transactionHash === released.landed.hash)).toEqual(
      released.landed.movements,
    );
    expect(await balance(contractId)).toBe(0n);
  });

  test('a multi-release escrow pays each milestone to its own receiver', async () => {
    const { net, run, terms, deploy, fund, balance } = world;
    const contract = await deploy('MULTI_RELEASE');
    await fund(contract, terms('MULTI_RELEASE').amount);
    for (const [milestoneIndex, receiver] of [
      [1, 'other seller'],
      [0, 'seller'],
    ] as const) {
      const milestone = { ...contract, milestoneIndex };
      const status = { fn: 'change_milestone_status', status: 'done', evidence: 'ipfs://x' } as const;
      await run({ ...milestone, ...status, source: net.address('seller') });
      await run({ ...milestone, fn: 'approve_milestone', source: net.address('buyer') });
      const { landed } = await run({ ...milestone, fn: 'release', source: net.address('operator') });
      expect(landed.movements.at(-1)?.to).toBe(net.address(receiver));
    }
    expect(await balance(contract.contractId)).toBe(0n);
  });

  test('a disputed single-release escrow is split to the last stroop, equal addresses added up', async () => {
    const { net, run, deploy, fund, balance } = world;
    const contract = await deploy('SINGLE_RELEASE');
    await fund(contract, 1_000n);
    await run({ ...contract, fn: 'dispute', source: net.address('buyer'), milestoneIndex: null });
    const resolved = await run({
      ...contract,
      fn: 'resolve_dispute',
      source: net.address('resolver'),
      milestoneIndex: null,
      distributions: [
        { address: net.address('seller'), amount: 300n },
        { address: net.address('buyer'), amount: 400n },
        { address: net.address('seller'), amount: 300n },
      ],
    });
    // 3 and 12 stroops of fees, taken from each payee in proportion and rounded in his favour.
    const paid = new Map(resolved.landed.movements.map(({ to, amount }) => [to, amount]));
    expect([paid.get(net.address('seller')), paid.get(net.address('buyer'))]).toEqual([592n, 395n]);
    expect(await balance(contract.contractId)).toBe(0n);
  });

  test('a disputed milestone is settled alone; what it leaves can be withdrawn', async () => {
    const { net, run, deploy, fund, balance } = world;
    const contract = await deploy('MULTI_RELEASE');
    await fund(contract, 2_500_000_007n);
    for (const [milestoneIndex, amount] of [
      [0, 1_000_000_003n],
      [1, 1_500_000_000n],
    ] as const) {
      const milestone = { ...contract, milestoneIndex };
      await run({ ...milestone, fn: 'dispute', source: net.address('buyer') });
      const distributions = [{ address: net.address('buyer'), amount }];
      await run({ ...milestone, fn: 'resolve_dispute', source: net.address('resolver'), distributions });
    }
    expect(await balance(contract.contractId)).toBe(4n);
    const distributions = [{ address: net.address('buyer'), amount: 4n }];
    await run({ ...contract, fn: 'withdraw_remaining_funds', source: net.address('resolver'), distributions });
    expect(await balance(contract.contractId)).toBe(0n);
  });

  test('what stays in a settled single-release escrow can be withdrawn, though the REST API has no route for it', async () => {
    const { net, run, deploy, fund, balance } = world;
    const contract = await deploy('SINGLE_RELEASE');
    await fund(contract, 10n);
    await run({ ...contract, fn: 'dispute', source: net.address('seller'), milestoneIndex: null });
    const distributions = [{ address: net.address('seller'), amount: 10n }];
    const resolver = net.address('resolver');
    await run({ ...contract, fn: 'resolve_dispute', source: resolver, milestoneIndex: null, distributions });
    await fund(contract, 7n);
    const rest = [{ address: net.address('buyer'), amount: 7n }];
    await run({ ...contract, fn: 'withdraw_remaining_funds', source: resolver, distributions: rest });
    expect(await balance(contract.contractId)).toBe(0n);
  });

  test.each(['SINGLE_RELEASE', 'MULTI_RELEASE'] as const)(
    'what came into a %s escrow that nobody released comes out when its parts are in dispute, and not before',
    async (type) => {
      const { net, gateway, run, deploy, fund, balance } = world;
      const contract = await deploy(type);
      await fund(contract, 1_000n);
      const distributions = [{ address: net.address('buyer'), amount: 600n }];
      const withdrawal = { ...contract, fn: 'withdraw_remaining_funds', source: net.address('resolver') } as const;
      await expect(gateway.build({ ...withdrawal, distributions })).rejects.toMatchObject({ kind: 'REFUSED' });
      const stored = async () => (await net.rpc.escrowState(contract.contractId)).value ?? '';
      for (const milestoneIndex of openParts(await stored(), type))
        await run({ ...contract, fn: 'dispute', source: net.address('operator'), milestoneIndex });
      expect(openParts(await stored(), type)).toEqual([]);
      await run({ ...withdrawal, distributions });
      expect(await balance(contract.contractId)).toBe(400n);
    },
  );

  test('an envelope built before a change is stale, not different', async () => {
    const { net, gateway, run, deploy, judge } = world;
    const contract = await deploy('SINGLE_RELEASE');
    const fund: EscrowCall = { ...contract, fn: 'fund', source: net.address('buyer'), amount: 5n };
    const envelope = await gateway.build(fund);
    expect(await judge(envelope, fund)).toMatchObject({ verdict: 'OK' });
    const status = { fn: 'change_milestone_status', status: 'started', evidence: '' } as const;
    await run({ ...contract, ...status, milestoneIndex: 0, source: net.address('seller') });
    expect(await judge(envelope, fund)).toMatchObject({ verdict: 'STALE' });
    expect(await judge(envelope, { ...fund, amount: 6n })).toMatchObject({ verdict: 'DIFFERENT' });
  });

  test('a contract that is not there, and a call that the contract refuses, are REFUSED', async () => {
    const { net, gateway, deploy } = world;
    const nowhere = { type: 'SINGLE_RELEASE', contractId: net.info.asset.contract } as const;
    const release = { fn: 'release', source: net.address('operator'), milestoneIndex: null } as const;
    await expect(gateway.build({ ...nowhere, ...release })).rejects.toMatchObject({ kind: 'REFUSED' });
    const contract = await deploy('SINGLE_RELEASE');
    await expect(gateway.build({ ...contract, ...release })).rejects.toMatchObject({ kind: 'REFUSED' });
  });
});
