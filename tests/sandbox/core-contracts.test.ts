import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Asset,
  BASE_FEE,
  Contract,
  FeeBumpTransaction,
  Horizon,
  Keypair,
  Memo,
  nativeToScVal,
  Operation,
  rpc,
  type SorobanDataBuilder,
  type Transaction,
  TransactionBuilder,
} from '@stellar/stellar-sdk';
import { resultCodes } from '../../sandbox/core/results.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';

const alice = Keypair.random();
const bob = Keypair.random();
let sandbox: Sandbox;
let server: rpc.Server;
let horizon: Horizon.Server;
let usdc: Asset;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
  sandbox.clock.set({ mode: 'on_demand' });
  server = new rpc.Server(`${sandbox.url}/rpc`, { allowHttp: true });
  horizon = new Horizon.Server(`${sandbox.url}/horizon`, { allowHttp: true });
  usdc = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  for (const one of [alice, bob]) {
    await horizon.friendbot(one.publicKey()).call();
    await horizon.submitTransaction(await plain(one, Operation.changeTrust({ asset: usdc })));
    const body = JSON.stringify({ address: one.publicKey(), amount: '100' });
    await fetch(`${sandbox.url}/control/faucet`, { method: 'POST', body });
  }
});

afterAll(() => sandbox.close());

type Op = Parameters<TransactionBuilder['addOperation']>[0];

async function unsigned(source: Keypair, ...operations: Op[]): Promise<TransactionBuilder> {
  const builder = new TransactionBuilder(await horizon.loadAccount(source.publicKey()), {
    fee: BASE_FEE,
    networkPassphrase: sandbox.core.networkPassphrase,
  });
  for (const operation of operations) builder.addOperation(operation);
  return builder.setTimeout(60);
}

async function plain(source: Keypair, ...operations: Op[]): Promise<Transaction> {
  const transaction = (await unsigned(source, ...operations)).build();
  transaction.sign(source);
  return transaction;
}

const transfer = (to: string, stroops: bigint) =>
  new Contract(usdc.contractId(sandbox.core.networkPassphrase)).call(
    'transfer',
    nativeToScVal(alice.publicKey(), { type: 'address' }),
    nativeToScVal(to, { type: 'address' }),
    nativeToScVal(stroops, { type: 'i128' }),
  );

async function prepared(stroops: bigint): Promise<Transaction> {
  const transaction = await server.prepareTransaction(
    (await unsigned(alice, transfer(bob.publicKey(), stroops))).build(),
  );
  if (transaction instanceof FeeBumpTransaction) throw new Error('not a plain transaction');
  return transaction;
}

async function resources(transaction: Transaction): Promise<SorobanDataBuilder> {
  const simulation = await server.simulateTransaction(transaction);
  if (!rpc.Api.isSimulationSuccess(simulation)) throw new Error(simulation.error);
  return simulation.transactionData;
}

function refused(transaction: { toXdr(): string }) {
  const outcome = sandbox.core.submit(transaction.toXdr());
  return outcome.status === 'ERROR' ? resultCodes(outcome.errorResultXdr) : outcome.status;
}

const balance = (one: Keypair) => sandbox.core.view().trustline(one.publicKey(), sandbox.accounts.usdc)?.balance ?? 0n;

describe('a contract call', () => {
  test('that moves an asset is a payment on both sides, and gives back what it did not use of its fee', async () => {
    const before = balance(bob);
    const transaction = await prepared(25_000_000n);
    transaction.sign(alice);
    const sent = await horizon.submitTransaction(transaction);
    expect(balance(bob) - before).toBe(25_000_000n);
    for (const one of [alice, bob]) {
      const { records } = await horizon.payments().forAccount(one.publicKey()).order('desc').limit(1).call();
      expect(records[0]).toMatchObject({
        type: 'invoke_host_function',
        type_i: 24,
        function: 'HostFunctionTypeHostFunctionTypeInvokeContract',
        transaction_hash: sent.hash,
        asset_balance_changes: [
          { type: 'transfer', from: alice.publicKey(), to: bob.publicKey(), amount: '2.5000000', asset_code: 'USDC' },
        ],
      });
      expect(records[0]).toMatchObject({
        parameters: [{ type: 'Address' }, { type: 'Sym' }, { type: 'Address' }, { type: 'Address' }, { type: 'I128' }],
      });
    }
    const shown = await horizon.transactions().transaction(sent.hash).call();
    expect(Number(shown.fee_charged)).toBeLessThan(Number(shown.max_fee));
  });

  test('under a fee bump costs its wallet nothing, though its own fee is 0', async () => {
    const simulated = await prepared(1n);
    const inner = TransactionBuilder.cloneFrom(simulated, {
      fee: '0',
      sorobanData: (await resources(simulated)).build(),
    }).build();
    inner.sign(alice);
    const outer = TransactionBuilder.buildFeeBumpTransaction(bob, '200', inner, sandbox.core.networkPassphrase);
    outer.sign(bob);
    const xlm = () => sandbox.core.view().account(alice.publicKey())?.balance;
    const before = xlm();
    await horizon.submitTransaction(outer);
    expect(xlm()).toBe(before);
  });

  test('outside its footprint traps, and moves nothing', async () => {
    const honest = await prepared(10n);
    const transactionData = await resources(honest);
    const readWrite = transactionData.getReadWrite();
    expect(readWrite.length).toBeGreaterThan(1);
    const narrowed = transactionData.setReadWrite(readWrite.slice(1)).build();
    const transaction = TransactionBuilder.cloneFrom(honest, { sorobanData: narrowed }).build();
    transaction.sign(alice);
    const before = balance(bob);
    await expect(horizon.submitTransaction(transaction)).rejects.toMatchObject({ response: { status: 400 } });
    expect(
      resultCodes(sandbox.core.transaction(Buffer.from(transaction.hash()).toString('hex'))?.resultXdr ?? ''),
    ).toEqual({
      transaction: 'tx_failed',
      operations: ['function_trapped'],
    });
    expect(balance(bob)).toBe(before);
  });

  test('is refused with a memo, with company, without resources, or with too small a resource fee', async () => {
    const honest = await prepared(10n);
    const memo = TransactionBuilder.cloneFrom(honest, { memo: Memo.text('hi') }).build();
    memo.sign(alice);
    expect(refused(memo)).toEqual({ transaction: 'tx_soroban_invalid' });
    expect(refused(await plain(alice, transfer(bob.publicKey(), 1n)))).toEqual({ transaction: 'tx_soroban_invalid' });
    expect(refused(await plain(alice, transfer(bob.publicKey(), 1n), transfer(bob.publicKey(), 1n)))).toEqual({
      transaction: 'tx_malformed',
    });
    const transactionData = await resources(honest);
    const cheap = TransactionBuilder.cloneFrom(honest, {
      sorobanData: transactionData.setResourceFee('1000').build(),
    }).build();
    cheap.sign(alice);
    expect(refused(cheap)).toEqual({ transaction: 'tx_soroban_invalid' });
  });
});
