/** What is believed is the chain: which code a contract runs, what it stores, whether its factory is still a factory. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Account, Address, Operation, SorobanDataBuilder, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import type { EscrowCall, EscrowTerms, EscrowType } from '../../domain/chain.ts';
import type { ChainRpc, Simulation } from '../../providers/chain/port.ts';
import { type ContractBuild, createContractBook } from '../../providers/escrow/contracts.ts';
import { createDirect } from '../../providers/escrow/direct.ts';
import { initialEscrow } from '../../providers/escrow/invocation.ts';
import type { EscrowGateway, Verdict } from '../../providers/escrow/port.ts';
import { createTrustlessWork } from '../../providers/escrow/trustless-work.ts';
import { verifyEnvelope } from '../../providers/escrow/verify.ts';
import { deploymentOf } from '../../sandbox/contracts/index.ts';
import { DEFAULT_SEED } from '../../sandbox/server.ts';
import { type Network, startNetwork, withServer } from './network.ts';

let net: Network;
let lines: Record<Line, ReturnType<typeof bookOf>>;

type Line = 'mainnet' | 'testnet';
const WALLETS = ['channel', 'buyer', 'seller', 'fees', 'operator', 'resolver', 'stranger', 'trustless-work'];

/** Factories and builds of one line; both exist on the local network. */
function pinsOf(line: Line) {
  const feeWallet = net.address('trustless-work');
  const network = { networkPassphrase: net.passphrase, seed: DEFAULT_SEED, line, feeWallet };
  const { factories, wasmHashes, feeWalletAsArgument: feeWalletIsArgument } = deploymentOf(network);
  return {
    factories: {
      SINGLE_RELEASE: { contractId: factories.single, wasmHash: wasmHashes.single },
      MULTI_RELEASE: { contractId: factories.multi, wasmHash: wasmHashes.multi },
    },
    builds: [
      { type: 'SINGLE_RELEASE', wasmHash: wasmHashes.single, feeWalletIsArgument },
      { type: 'MULTI_RELEASE', wasmHash: wasmHashes.multi, feeWalletIsArgument },
    ] satisfies ContractBuild[],
  };
}

/** A deployment that deploys through the factories of one line and accepts the code of both. */
function bookOf(line: Line, changed: { rpc?: ChainRpc; builds?: ContractBuild[] } = {}) {
  const { factories } = pinsOf(line);
  const { rpc = net.rpc, builds = [...pinsOf('mainnet').builds, ...pinsOf('testnet').builds] } = changed;
  const contracts = createContractBook({ rpc, factories, builds, feeWallet: net.address('trustless-work') });
  return { contracts, factories, gateway: createDirect({ rpc, networkPassphrase: net.passphrase, contracts }) };
}

beforeAll(async () => {
  net = await startNetwork();
  await net.provision(WALLETS);
  await net.faucet('buyer', '1000');
  lines = { mainnet: bookOf('mainnet'), testnet: bookOf('testnet') };
});
afterAll(() => net.close());

const terms = (type: EscrowType): EscrowTerms => ({
  type,
  engagementId: 'esc_1',
  title: 'Logo',
  description: 'Three drafts',
  roles: {
    approver: net.address('buyer'),
    serviceProvider: net.address('seller'),
    platform: net.address('fees'),
    releaseSigner: net.address('operator'),
    disputeResolver: net.address('resolver'),
  },
  receiver: net.address('seller'),
  amount: 1_000n,
  platformFeeBps: 50,
  asset: net.asset,
  milestones: [{ description: 'all of it', amount: 1_000n, receiver: net.address('seller') }],
});

async function judge(envelope: string, call: EscrowCall, book = lines.mainnet): Promise<Verdict> {
  return verifyEnvelope(envelope, call, {
    ...(await book.contracts(call)),
    networkPassphrase: net.passphrase,
    assetContract: net.info.asset.contract,
    sequence: (await net.rpc.account(call.source)).value?.sequence ?? -1n,
    chainTime: (await net.rpc.latestLedger()).closedAt,
    escrowState: call.fn === 'fund' ? (await net.rpc.escrowState(call.contractId)).value : null,
    feeCap: 10_000_000n,
  });
}

async function run(call: EscrowCall, book = lines.mainnet): Promise<string> {
  const envelope = await book.gateway.build(call);
  const verdict = await judge(envelope, call, book);
  if (verdict.verdict !== 'OK') throw new Error(JSON.stringify(verdict));
  const landed = await net.land(
    envelope,
    WALLETS.filter((name) => net.address(name) === call.source),
  );
  expect(landed.successful).toBe(true);
  return verdict.contractId;
}

const deploy = (type: EscrowType = 'SINGLE_RELEASE') =>
  ({ fn: 'deploy', source: net.address('channel'), terms: terms(type) }) as const;

const fund = (contractId: string): Extract<EscrowCall, { fn: 'fund' }> => ({
  fn: 'fund',
  type: 'SINGLE_RELEASE',
  contractId,
  source: net.address('buyer'),
  amount: 1_000n,
});

/** Drives a fresh contract of a line to its release through `book`, and answers who got the protocol's fee. */
async function release(line: Line, book = lines[line]): Promise<string | null | undefined> {
  const contract = { type: 'SINGLE_RELEASE', contractId: await run(deploy(), lines[line]) } as const;
  await run(fund(contract.contractId), book);
  const milestone = { ...contract, milestoneIndex: 0 };
  await run({ ...milestone, fn: 'approve_milestone', source: net.address('buyer') }, book);
  const call = { ...contract, fn: 'release', source: net.address('operator'), milestoneIndex: null } as const;
  const envelope = await book.gateway.build(call);
  expect(await judge(envelope, call, book)).toMatchObject({ verdict: 'OK' });
  return (await net.land(envelope, ['operator'])).movements[0]?.to;
}

describe('the code a contract runs', () => {
  test('decides how it is called: contracts of both lines side by side', async () => {
    expect(await release('mainnet', lines.testnet)).toBe(net.info.fee_wallet);
    expect(await release('testnet', lines.mainnet)).toBe(net.address('trustless-work'));
  });

  test('is accepted or the contract is not called; neither is one of the other type', async () => {
    const contractId = await run(deploy());
    const actual = lines.mainnet.factories.SINGLE_RELEASE.wasmHash;
    const { contracts, gateway } = bookOf('mainnet', { builds: pinsOf('testnet').builds });
    const refused = { name: 'ContractRefused', difference: { field: 'contract code', actual } };
    await expect(gateway.build(fund(contractId))).rejects.toMatchObject(refused);
    await expect(contracts(fund(contractId))).rejects.toMatchObject(refused);
    const asMulti = { ...fund(contractId), type: 'MULTI_RELEASE' } as const;
    await expect(lines.mainnet.contracts(asMulti)).rejects.toMatchObject(refused);
  });

  test('is asked once per contract: an accepted build cannot replace its own code', async () => {
    let looks = 0;
    const counting: ChainRpc = {
      ...net.rpc,
      contractCode: (id) => {
        looks += 1;
        return net.rpc.contractCode(id);
      },
    };
    const { contracts } = bookOf('mainnet', { rpc: counting });
    const call = fund(await run(deploy()));
    await contracts(call);
    await contracts(call);
    expect(looks).toBe(1);
  });

  test('a contract that does not exist is REFUSED: a node that is behind may know it soon', async () => {
    const nowhere = fund(net.info.asset.contract);
    await expect(lines.mainnet.contracts(nowhere)).rejects.toMatchObject({ name: 'ProviderError', kind: 'REFUSED' });
  });
});

describe('a provider that lies', () => {
  /** The REST gateway in front of an API that answers with this envelope. */
  const told = async (envelope: string, call: EscrowCall): Promise<Verdict> => {
    let verdict: Verdict | undefined;
    const body = JSON.stringify({ status: 'SUCCESS', unsignedTransaction: envelope });
    await withServer({ status: 201, body }, async (url) => {
      const liar = createTrustlessWork({ url, apiKey: 'our.key', beyond: lines.mainnet.gateway });
      verdict = await judge(await liar.build(call), call);
    });
    if (verdict === undefined) throw new Error('no verdict');
    return verdict;
  };

  type Lie = (truth: Extract<Simulation, { status: 'OK' }>) => Simulation;
  const resources =
    (change: (data: SorobanDataBuilder) => SorobanDataBuilder): Lie =>
    (truth) => ({ ...truth, data: change(new SorobanDataBuilder(truth.data)).build().toXdr('base64') });

  /** The direct gateway on an RPC whose simulation is changed on its way. */
  const simulating = (change: Lie): EscrowGateway =>
    bookOf('mainnet', {
      rpc: {
        ...net.rpc,
        simulate: async (envelope) => {
          const truth = await net.rpc.simulate(envelope);
          return truth.status === 'OK' ? change(truth) : truth;
        },
      },
    }).gateway;

  test('about what the contract stores: its storage is read, and an envelope over another state is not signed', async () => {
    const contractId = await run(deploy());
    const call = fund(contractId);
    const before = await lines.mainnet.gateway.build(call);
    const status = { fn: 'change_milestone_status', status: 'started', evidence: '', milestoneIndex: 0 } as const;
    await run({ ...status, type: 'SINGLE_RELEASE', contractId, source: net.address('seller') });
    expect(await told(before, call)).toEqual({
      verdict: 'STALE',
      reason: 'expected_escrow is not what the contract stores now',
    });
  });

  test('by handing out a call of another escrow', async () => {
    const [mine, other] = [fund(await run(deploy())), fund(await run(deploy()))];
    const verdict = await told(await lines.mainnet.gateway.build(other), mine);
    expect(verdict).toMatchObject({ verdict: 'DIFFERENT' });
    expect(verdict.verdict === 'DIFFERENT' && verdict.differences[0]).toEqual({
      field: 'contract',
      expected: mine.contractId,
      actual: other.contractId,
    });
  });

  test('by deploying other code through another factory', async () => {
    const verdict = await told(await lines.testnet.gateway.build(deploy()), deploy());
    const fields = verdict.verdict === 'DIFFERENT' ? verdict.differences.map(({ field }) => field) : [];
    expect(fields).toEqual(expect.arrayContaining(['contract', 'argument 1']));
  });

  test('in a simulation: a wider authorisation or none, a foreign write, a fee without measure', async () => {
    const call = fund(await run(deploy()));
    const foreign = xdr.LedgerKey.contractData(
      new xdr.LedgerKeyContractData({
        contract: new Address(net.info.factories.multi).toScAddress(),
        key: xdr.ScVal.scvSymbol('x'),
        durability: xdr.ContractDataDurability.persistent,
      }),
    );
    const lies: [string, Lie][] = [
      ['authorisation', (truth) => ({ ...truth, auth: [...truth.auth, ...truth.auth] })],
      ['authorisation', (truth) => ({ ...truth, auth: [] })],
      ['footprint', resources((data) => data.setReadWrite([...data.getReadWrite(), foreign]))],
      ['fee', resources((data) => data.setResourceFee(10_000_001n))],
    ];
    for (const [field, lie] of lies) {
      const verdict = await judge(await simulating(lie).build(call), call);
      expect(verdict.verdict === 'DIFFERENT' && verdict.differences.map((found) => found.field)).toEqual([field]);
    }
  });

  test('or talks nonsense: MALFORMED', async () => {
    const call = fund(await run(deploy()));
    const nonsense = simulating((truth) => ({ ...truth, data: 'AAAA' }));
    await expect(nonsense.build(call)).rejects.toMatchObject({ kind: 'MALFORMED' });
  });
});

describe('a factory', () => {
  /** Anybody may do this: it needs no authorisation. */
  async function initialise(factory: string): Promise<void> {
    const source = net.address('stranger');
    const call = new xdr.InvokeContractArgs({
      contractAddress: new Address(factory).toScAddress(),
      functionName: 'initialize_escrow',
      args: [initialEscrow(terms('SINGLE_RELEASE'), net.info.asset.contract)],
    });
    const { value } = await net.rpc.account(source);
    const transaction = (data?: string): string => {
      const builder = new TransactionBuilder(new Account(source, String(value?.sequence)), {
        fee: '100',
        networkPassphrase: net.passphrase,
        timebounds: { minTime: 0, maxTime: 0 },
      });
      const func = xdr.HostFunction.hostFunctionTypeInvokeContract(call);
      builder.addOperation(Operation.invokeHostFunction({ func, auth: [] }));
      if (data !== undefined) builder.setSorobanData(data);
      return builder.build().toXdr();
    };
    const simulation = await net.rpc.simulate(transaction());
    if (simulation.status === 'FAILED') throw new Error(simulation.error);
    expect((await net.land(transaction(simulation.data), ['stranger'])).successful).toBe(true);
  }

  test('that a stranger initialised cannot deploy any more: a clear refusal, before anything is built', async () => {
    const { contractId } = lines.mainnet.factories.SINGLE_RELEASE;
    await expect(lines.mainnet.contracts(deploy())).resolves.toMatchObject({ factory: { contractId } });
    await initialise(contractId);
    const refused = { name: 'ContractRefused', difference: { field: 'factory' } };
    await expect(lines.mainnet.gateway.build(deploy())).rejects.toMatchObject(refused);
    await expect(lines.mainnet.contracts(deploy())).rejects.toMatchObject(refused);
    // The API only says that it will not do; the other type's factory is not touched.
    await expect(net.gateways['trustless-work'].build(deploy())).rejects.toMatchObject({ kind: 'REFUSED' });
    await run(deploy('MULTI_RELEASE'));
  });
});
