/** The RPC face through the unmodified SDK client, and its envelope through plain fetch. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Address,
  Asset,
  authorizeEntry,
  BASE_FEE,
  Contract,
  Keypair,
  nativeToScVal,
  Operation,
  type Transaction,
  TransactionBuilder,
  xdr,
} from '@stellar/stellar-sdk';
import { Api, Server } from '@stellar/stellar-sdk/rpc';
import { createHash } from 'node:crypto';
import { type Deployment, deployedId, deploymentOf, ESCROW_KEY, INSTANCE_KEY } from '../../sandbox/contracts/index.ts';
import { distributionMap } from '../../sandbox/contracts/scval.ts';
import { type SingleEscrow, singleEscrow } from '../../sandbox/contracts/single.ts';
import { DEFAULT_SEED, type Sandbox, startSandbox } from '../../sandbox/server.ts';

const key = (name: string): Keypair =>
  Keypair.fromRawEd25519Seed(createHash('sha256').update(`rpc test ${name}`).digest());
const [buyer, seller, operator, platform] = ['buyer', 'seller', 'operator', 'platform'].map(key) as [
  Keypair,
  Keypair,
  Keypair,
  Keypair,
];

let sandbox: Sandbox;
let server: Server;
let passphrase: string;
let usdc: Asset;
let token: string;
let deployment: Deployment;

const address = (of: string): xdr.ScVal => new Address(of).toScVal();
const i128 = (amount: bigint): xdr.ScVal => nativeToScVal(amount, { type: 'i128' });

async function submit(transaction: Transaction): Promise<Api.GetTransactionResponse> {
  const sent = await server.sendTransaction(transaction);
  expect(sent.status).toBe('PENDING');
  return server.pollTransaction(sent.hash, { attempts: 200, sleepStrategy: () => 20 });
}

async function builder(source: Keypair): Promise<TransactionBuilder> {
  const account = await server.getAccount(source.publicKey());
  return new TransactionBuilder(account, { fee: BASE_FEE, networkPassphrase: passphrase }).setTimeout(60);
}

async function classic(source: Keypair, ...operations: xdr.Operation[]): Promise<Api.GetTransactionResponse> {
  const build = await builder(source);
  for (const operation of operations) build.addOperation(operation);
  const transaction = build.build();
  transaction.sign(source);
  return submit(transaction);
}

async function call(source: Keypair, contract: string, fn: string, ...args: xdr.ScVal[]): Promise<Transaction> {
  return (await builder(source)).addOperation(new Contract(contract).call(fn, ...args)).build();
}

/** Simulate, assemble, sign, send, poll: the way every client goes. */
async function invoke(source: Keypair, contract: string, fn: string, ...args: xdr.ScVal[]) {
  const prepared = await server.prepareTransaction(await call(source, contract, fn, ...args));
  prepared.sign(source);
  const result = await submit(prepared as Transaction);
  if (result.status !== Api.GetTransactionStatus.SUCCESS) throw new Error(`${fn}: ${result.status}`);
  return result;
}

const escrowOf = (engagement: string, amount: bigint): SingleEscrow => ({
  amount,
  description: 'three drafts',
  engagement_id: engagement,
  flags: { disputed: false, released: false, resolved: false },
  milestones: [{ approved: false, description: 'all of it', evidence: '', status: 'pending' }],
  platform_fee: 50,
  receiver_memo: 0,
  roles: {
    approver: operator.publicKey(),
    dispute_resolver: operator.publicKey(),
    platform: platform.publicKey(),
    receiver: seller.publicKey(),
    release_signer: operator.publicKey(),
    service_provider: seller.publicKey(),
  },
  title: 'Logo',
  trustline: { address: token },
});

async function deploy(engagement: string, amount: bigint): Promise<string> {
  const salt = createHash('sha256').update(engagement).digest();
  await invoke(
    operator,
    deployment.factories.single,
    'tw_new_single_release_escrow',
    address(operator.publicKey()),
    xdr.ScVal.scvBytes(new Uint8Array(Buffer.from(deployment.wasmHashes.single, 'hex'))),
    xdr.ScVal.scvBytes(new Uint8Array(salt)),
    xdr.ScVal.scvSymbol('initialize_escrow'),
    xdr.ScVal.scvVec([singleEscrow.encode(escrowOf(engagement, amount))]),
    xdr.ScVal.scvVec([]),
  );
  return deployedId(passphrase, deployment.factories.single, salt);
}

async function stored(contract: string): Promise<SingleEscrow> {
  const entry = await server.getContractData(contract, xdr.ScVal.fromXdr(ESCROW_KEY, 'base64'));
  if (entry.val.type !== 'contractData') throw new Error('no contract data');
  return singleEscrow.decode(entry.val.contractData.val);
}

const balance = async (holder: Keypair): Promise<bigint> =>
  (await server.getTrustline(holder.publicKey(), usdc)).balance;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 20 });
  server = new Server(`${sandbox.url}/rpc`, { allowHttp: true });
  passphrase = sandbox.core.networkPassphrase;
  const { issuer, usdc: asset, feeWallet } = sandbox.accounts;
  usdc = new Asset('USDC', issuer.publicKey());
  token = usdc.contractId(passphrase);
  const network = { networkPassphrase: passphrase, seed: DEFAULT_SEED, line: 'mainnet' } as const;
  deployment = deploymentOf({ ...network, feeWallet: feeWallet.publicKey() });
  expect(asset).toBe(`USDC:${issuer.publicKey()}`);
  for (const holder of [buyer, seller, operator, platform]) {
    await server.fundAddress(holder.publicKey());
    expect((await classic(holder, Operation.changeTrust({ asset: usdc }))).status).toBe('SUCCESS');
  }
  const payment = Operation.payment({ destination: buyer.publicKey(), asset: usdc, amount: '1000' });
  expect((await classic(issuer, payment)).status).toBe('SUCCESS');
});

afterAll(() => sandbox.close());

describe('what a client asks first', () => {
  test('health, network, version and fee statistics have the types of the public server', async () => {
    expect(await server.getHealth()).toMatchObject({
      status: 'healthy',
      oldestLedger: 1,
      latestLedgerCloseTime: expect.stringMatching(/^\d+$/),
    });
    const network = await server.getNetwork();
    expect(network.passphrase).toBe(passphrase);
    expect(network.friendbotUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//);
    expect(await server.getVersionInfo()).toMatchObject({ protocolVersion: expect.any(Number) });
    const { inclusionFee, sorobanInclusionFee } = await server.getFeeStats();
    expect(inclusionFee).toMatchObject({
      max: expect.stringMatching(/^\d+$/),
      p99: expect.any(String),
      ledgerCount: expect.any(Number),
    });
    expect(sorobanInclusionFee.transactionCount).toMatch(/^\d+$/);
  });

  test('the latest ledger decodes: header and close meta carry its number and time', async () => {
    const latest = await server.getLatestLedger();
    expect(latest.id).toMatch(/^[0-9a-f]{64}$/);
    expect(latest.headerXdr.ledgerSeq).toBe(latest.sequence);
    const page = await server.getLedgers({ startLedger: 1, pagination: { limit: 2 } });
    expect(page.ledgers.map(({ sequence }) => sequence)).toEqual([1, 2]);
  });
});

describe('entries', () => {
  test('accounts, trustlines and token balances of both kinds of address', async () => {
    const account = await server.getAccountEntry(buyer.publicKey());
    expect(account.numSubEntries).toBe(1);
    expect(await balance(buyer)).toBe(10_000_000_000n);
    const held = await server.getAssetBalance(buyer.publicKey(), usdc, passphrase);
    expect(held.balanceEntry?.amount).toBe('10000000000');
    await expect(server.getAccount(key('nobody').publicKey())).rejects.toThrow('Account not found');
  });

  test('missing entries are left out, the others keep the order they were asked for', async () => {
    const instance = (contract: string) => new Contract(contract).getFootprint();
    const absent = xdr.LedgerKey.account(new xdr.LedgerKeyAccount({ accountId: key('nobody').xdrPublicKey() }));
    const { entries } = await server.getLedgerEntries(instance(deployment.factories.single), absent, instance(token));
    expect(entries.map((entry) => entry.key.toXdr('base64'))).toEqual(
      [deployment.factories.single, token].map((contract) => instance(contract).toXdr('base64')),
    );
    expect(INSTANCE_KEY).toBe(xdr.ScVal.scvLedgerKeyContractInstance().toXdr('base64'));
  });
});

describe('a contract call from build to outcome', () => {
  test('prepare, sign, send and poll carry an escrow from deployment to release, to the stroop', async () => {
    const contract = await deploy('happy', 2_500_000_000n);
    const funded = await invoke(
      buyer,
      contract,
      'fund_escrow',
      address(buyer.publicKey()),
      singleEscrow.encode(await stored(contract)),
      i128(2_500_000_000n),
    );
    expect(funded.returnValue?.type).toBe('scvVoid');
    expect(funded.events.contractEventsXdr[0]?.map((event) => String(event.body.value.topics[0]?.value))).toEqual([
      'transfer',
      'tw_fund',
    ]);
    const inEscrow = await server.getAssetBalance(contract, usdc, passphrase);
    expect(inEscrow.balanceEntry?.amount).toBe('2500000000');
    const done = [xdr.ScVal.scvU32(0), xdr.ScVal.scvString('done'), xdr.ScVal.scvVoid(), address(seller.publicKey())];
    await invoke(seller, contract, 'change_milestone_status', ...done);
    await invoke(operator, contract, 'approve_milestone', xdr.ScVal.scvU32(0), address(operator.publicKey()));
    const released = await invoke(operator, contract, 'release_funds', address(operator.publicKey()));
    expect(released.ledger).toBeGreaterThan(funded.ledger);
    expect(await balance(seller)).toBe(2_480_000_000n);
    expect(await balance(platform)).toBe(12_500_000n);
    expect((await stored(contract)).flags.released).toBe(true);
  });

  test('the resource fee in the transaction is what simulation said, and part of it comes back', async () => {
    const transaction = await call(
      operator,
      token,
      'transfer',
      address(operator.publicKey()),
      address(buyer.publicKey()),
      i128(0n),
    );
    const simulation = await server.simulateTransaction(transaction);
    if (!Api.isSimulationSuccess(simulation)) throw new Error('simulation failed');
    const prepared = (await server.prepareTransaction(transaction)) as Transaction;
    expect(BigInt(prepared.fee)).toBe(BigInt(simulation.minResourceFee) + BigInt(BASE_FEE));
    expect(simulation.transactionData.build().resourceFee).toBe(BigInt(simulation.minResourceFee));
    prepared.sign(operator);
    const result = await submit(prepared);
    if (result.status !== Api.GetTransactionStatus.SUCCESS) throw new Error(result.status);
    expect(result.resultXdr.feeCharged).toBeLessThan(BigInt(prepared.fee));
  });

  test('a failing call is told at simulation with the number of the contract that raised it', async () => {
    const contract = await deploy('unapproved', 1_000n);
    const transaction = await call(operator, contract, 'release_funds', address(operator.publicKey()));
    await expect(server.prepareTransaction(transaction)).rejects.toThrow(/^HostError: Error\(Contract, #5\)\n/);
    const missing = await call(operator, contract, 'no_such_function');
    await expect(server.prepareTransaction(missing)).rejects.toThrow('Error(WasmVm, MissingValue)');
  });

  test('a call that fails only on the ledger is FAILED, with the number in its diagnostic events', async () => {
    const contract = await deploy('race', 1_000n);
    const approve = () =>
      call(operator, contract, 'approve_milestone', xdr.ScVal.scvU32(0), address(operator.publicKey()));
    const first = (await server.prepareTransaction(await approve())) as Transaction;
    first.sign(operator);
    const account = await server.getAccount(operator.publicKey());
    account.incrementSequenceNumber();
    const second = new TransactionBuilder(account, {
      fee: BASE_FEE,
      networkPassphrase: passphrase,
      sorobanData: first.toEnvelope().value.tx.ext.value as xdr.SorobanTransactionData,
    })
      .addOperation(
        Operation.invokeHostFunction({
          func: (first.operations[0] as Operation.InvokeHostFunction).func,
          auth: (first.operations[0] as Operation.InvokeHostFunction).auth ?? [],
        }),
      )
      .setTimeout(60)
      .build();
    second.sign(operator);
    expect((await submit(first)).status).toBe('SUCCESS');
    const result = await submit(second);
    if (result.status !== Api.GetTransactionStatus.FAILED) throw new Error(result.status);
    const errors = (result.diagnosticEventsXdr ?? []).map(({ event }) => event.body.value.topics[1]?.toXdr('base64'));
    expect(errors).toContain(xdr.ScVal.scvError(xdr.ScError.sceContract(29)).toXdr('base64'));
    expect('returnValue' in result).toBe(false);
  });

  test('another account may pay: the signer authorises an entry of his own, and only a genuine signature counts', async () => {
    const contract = await deploy('sponsored call', 1_000n);
    const args = [address(buyer.publicKey()), singleEscrow.encode(await stored(contract)), i128(1_000n)];
    const transaction = await call(operator, contract, 'fund_escrow', ...args);
    const simulation = await server.simulateTransaction(transaction);
    if (!Api.isSimulationSuccess(simulation)) throw new Error('simulation failed');
    const [entry] = simulation.result?.auth ?? [];
    if (entry === undefined) throw new Error('nothing to authorise');
    expect(entry.credentials.type).toBe('sorobanCredentialsAddressV2');
    const func = (transaction.operations[0] as Operation.InvokeHostFunction).func;
    const signedBy = async (signer: Keypair): Promise<Transaction> => {
      const until = (await server.getLatestLedger()).sequence + 1_000;
      const signed = await authorizeEntry(entry, signer, until, passphrase, buyer.publicKey());
      const build = await builder(operator);
      const ready = build.addOperation(Operation.invokeHostFunction({ func, auth: [signed] })).build();
      const prepared = (await server.prepareTransaction(ready)) as Transaction;
      prepared.sign(operator);
      return prepared;
    };
    const before = await balance(buyer);
    expect((await submit(await signedBy(buyer))).status).toBe('SUCCESS');
    expect(await balance(buyer)).toBe(before - 1_000n);
    await expect(signedBy(seller)).rejects.toThrow();
    // the same nonce a second time
    await expect(signedBy(buyer)).rejects.toThrow('Error(Auth, ExistingValue)');
  });

  test('a fee bump is found by its own hash and by the hash within', async () => {
    const inner = (await server.prepareTransaction(
      await call(operator, token, 'transfer', address(operator.publicKey()), address(buyer.publicKey()), i128(0n)),
    )) as Transaction;
    inner.sign(operator);
    const bump = TransactionBuilder.buildFeeBumpTransaction(buyer, '500', inner, passphrase);
    bump.sign(buyer);
    const { hash, status } = await server.sendTransaction(bump);
    expect(status).toBe('PENDING');
    const outer = await server.pollTransaction(hash, { attempts: 200, sleepStrategy: () => 20 });
    const within = await server.getTransaction(Buffer.from(inner.hash()).toString('hex'));
    expect(outer).toMatchObject({ status: 'SUCCESS', feeBump: true });
    expect(within).toMatchObject({ status: 'SUCCESS', feeBump: true });
    expect((await server.getTransaction('0'.repeat(64))).status).toBe('NOT_FOUND');
  });
});

describe('submission', () => {
  test('a transaction refused before any ledger is ERROR with its result code', async () => {
    const transaction = (await builder(buyer)).addOperation(Operation.bumpSequence({ bumpTo: '0' })).build();
    transaction.sign(seller);
    const sent = await server.sendTransaction(transaction);
    expect(sent.status).toBe('ERROR');
    expect(sent.errorResult?.result.type).toBe('txBadAuth');
  });
});

describe('events', () => {
  const segment = (value: xdr.ScVal): string => value.toXdr('base64');

  test('contract events and classic payments come back by contract and topic, in order, page by page', async () => {
    const before = await server.getLatestLedger();
    const contract = await deploy('events', 1_000n);
    await invoke(
      buyer,
      contract,
      'fund_escrow',
      address(buyer.publicKey()),
      singleEscrow.encode(await stored(contract)),
      i128(1_000n),
    );
    await classic(buyer, Operation.payment({ destination: seller.publicKey(), asset: usdc, amount: '0.0000007' }));
    const filters: Api.EventFilter[] = [
      {
        type: 'contract',
        contractIds: [token],
        topics: [[segment(xdr.ScVal.scvSymbol('transfer')), segment(address(buyer.publicKey())), '**']],
      },
    ];
    const all = await server.getEvents({ startLedger: before.sequence, filters });
    expect(all.events.map(({ value }) => String(nativeAmount(value)))).toEqual(['1000', '7']);
    expect(all.events.map(({ id }) => id)).toEqual([...all.events.map(({ id }) => id)].sort());
    const first = await server.getEvents({ startLedger: before.sequence, filters, limit: 1 });
    expect(first.events).toHaveLength(1);
    const second = await server.getEvents({ cursor: first.cursor, filters, limit: 1 });
    expect(second.events.map(({ id }) => id)).toEqual([all.events[1]?.id]);
    const none = await server.getEvents({ cursor: all.cursor, filters });
    expect(none.events).toEqual([]);
    const exact = await server.getEvents({
      startLedger: before.sequence,
      filters: [{ topics: [[segment(xdr.ScVal.scvSymbol('transfer')), '*', '*']] }],
    });
    expect(exact.events).toEqual([]);
    const ofEscrow = await server.getEvents({ startLedger: before.sequence, filters: [{ contractIds: [contract] }] });
    expect(ofEscrow.events.map(({ topic }) => String(topic[0]?.value))).toEqual(['tw_init', 'tw_fund']);
  });

  test('a position outside of what is kept is an error, never a silent jump', async () => {
    const { sequence } = await server.getLatestLedger();
    const ahead = server.getEvents({ startLedger: sequence + 100_000, filters: [] });
    await expect(ahead).rejects.toMatchObject({
      code: -32600,
      message: expect.stringContaining('within the ledger range'),
    });
  });
});

const nativeAmount = (value: xdr.ScVal): bigint => (value.type === 'scvI128' ? BigInt(value.i128.lo) : -1n);

describe('the JSON-RPC envelope', () => {
  const post = async (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) => {
    const response = await fetch(`${sandbox.url}/rpc`, { method: 'POST', body, headers });
    const text = await response.text();
    return {
      status: response.status,
      json: text.startsWith('{') || text.startsWith('[') ? (JSON.parse(text) as unknown) : text,
    };
  };
  const request = (method: string, params?: unknown, id: unknown = 1) => ({
    jsonrpc: '2.0',
    id,
    method,
    ...(params === undefined ? {} : { params }),
  });

  test('ids are echoed, null and absent parameters are none, errors stay inside HTTP 200', async () => {
    expect(await post(JSON.stringify(request('getHealth', null, 'a')))).toMatchObject({
      status: 200,
      json: { id: 'a', result: { status: 'healthy' } },
    });
    expect(await post(JSON.stringify(request('getHealth')))).toMatchObject({ status: 200, json: { id: 1 } });
    expect(await post(JSON.stringify(request('getLedgerEntry', {})))).toMatchObject({
      status: 200,
      json: { error: { code: -32601, message: 'method not found' } },
    });
    expect(await post(JSON.stringify(request('getTransaction', ['00'])))).toMatchObject({
      json: { error: { code: -32602 } },
    });
    expect(await post(JSON.stringify(request('getTransaction', { hash: 'xyz' })))).toMatchObject({
      json: { error: { code: -32602 } },
    });
    expect(await post(JSON.stringify(request('sendTransaction', { transaction: 'AAAA' })))).toMatchObject({
      json: { error: { code: -32602, message: 'invalid_xdr' } },
    });
    expect(await post(JSON.stringify({ ...request('getHealth'), extra: 1 }))).toMatchObject({
      json: { error: { code: -32600 } },
    });
  });

  test('batches are answered in order, notifications not at all', async () => {
    const batch = [request('getHealth', null, 1), request('nothing', null, 2)];
    expect(await post(JSON.stringify(batch))).toMatchObject({
      status: 200,
      json: [
        { id: 1, result: {} },
        { id: 2, error: {} },
      ],
    });
    expect((await post(JSON.stringify({ jsonrpc: '2.0', method: 'getHealth' }))).status).toBe(204);
  });

  test('other verbs, content types and unreadable bodies are refused by HTTP status', async () => {
    expect((await fetch(`${sandbox.url}/rpc`)).status).toBe(405);
    expect((await post('{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post('{')).status).toBe(500);
  });

  test('simulation of something else than one contract call is an error in the result', async () => {
    const payment = (await builder(buyer)).addOperation(Operation.bumpSequence({ bumpTo: '0' })).build();
    expect(await post(JSON.stringify(request('simulateTransaction', { transaction: payment.toXdr() })))).toMatchObject({
      json: { result: { error: expect.stringContaining('unsupported operation type'), latestLedger: 0 } },
    });
    expect(await post(JSON.stringify(request('simulateTransaction', { transaction: 'AAAA' })))).toMatchObject({
      json: { result: { error: 'Could not unmarshal transaction' } },
    });
  });

  test('a map whose keys are out of order is refused by the host', async () => {
    const contract = await deploy('unsorted', 1_000n);
    const map = distributionMap.encode([
      [seller.publicKey(), 1n],
      [buyer.publicKey(), 2n],
    ]);
    const sorted = distributionMap.encode([
      [buyer.publicKey(), 2n],
      [seller.publicKey(), 1n],
    ]);
    const texts = [];
    for (const distributions of [map, sorted]) {
      const transaction = await call(
        operator,
        contract,
        'resolve_dispute',
        address(operator.publicKey()),
        distributions,
      );
      const simulation = await server.simulateTransaction(transaction);
      texts.push(Api.isSimulationError(simulation) ? (simulation.error.split('\n')[0] ?? '') : 'ok');
    }
    expect(texts.sort()).toEqual(['HostError: Error(Contract, #14)', 'HostError: Error(Object, InvalidInput)']);
  });
});
