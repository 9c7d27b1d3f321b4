/** The RPC face through the unmodified SDK client: what a client asks, and a contract call from build to outcome. */
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  authorizeEntry,
  BASE_FEE,
  Contract,
  type Keypair,
  Operation,
  type Transaction,
  TransactionBuilder,
  xdr,
} from '@stellar/stellar-sdk';
import { Api } from '@stellar/stellar-sdk/rpc';
import { singleEscrow } from '../../sandbox/contracts/single.ts';
import { address, i128, key, openRpc, wallets } from './rpc-client.ts';

const { buyer, seller, operator, platform } = wallets;
const rpc = await openRpc();
const { server, passphrase, usdc, token, deployment } = rpc;

afterAll(() => rpc.sandbox.close());

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
    expect(await rpc.balance(buyer)).toBe(10_000_000_000n);
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
  });
});

describe('a contract call from build to outcome', () => {
  test('prepare, sign, send and poll carry an escrow from deployment to release, to the stroop', async () => {
    const contract = await rpc.deploy('happy', 2_500_000_000n);
    const funded = await rpc.fund(contract, 2_500_000_000n);
    expect(funded.returnValue?.type).toBe('scvVoid');
    expect(funded.events.contractEventsXdr[0]?.map((event) => String(event.body.value.topics[0]?.value))).toEqual([
      'transfer',
      'tw_fund',
    ]);
    const inEscrow = await server.getAssetBalance(contract, usdc, passphrase);
    expect(inEscrow.balanceEntry?.amount).toBe('2500000000');
    const done = [xdr.ScVal.scvU32(0), xdr.ScVal.scvString('done'), xdr.ScVal.scvVoid(), address(seller.publicKey())];
    await rpc.invoke(seller, contract, 'change_milestone_status', ...done);
    await rpc.invoke(operator, contract, 'approve_milestone', xdr.ScVal.scvU32(0), address(operator.publicKey()));
    const released = await rpc.invoke(operator, contract, 'release_funds', address(operator.publicKey()));
    expect(released.ledger).toBeGreaterThan(funded.ledger);
    expect(await rpc.balance(seller)).toBe(2_480_000_000n);
    expect(await rpc.balance(platform)).toBe(12_500_000n);
    expect((await rpc.stored(contract)).flags.released).toBe(true);
  });

  test('the resource fee in the transaction is what simulation said, and part of it comes back', async () => {
    const transaction = await rpc.call(
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
    const kinds = (simulation.stateChanges ?? []).map(({ type, before, after }) => [
      type,
      before?.data.type,
      after?.data.type,
    ]);
    expect(kinds).toEqual([
      ['updated', 'trustline', 'trustline'],
      ['updated', 'trustline', 'trustline'],
    ]);
    expect(simulation.transactionData.build().resourceFee).toBe(BigInt(simulation.minResourceFee));
    prepared.sign(operator);
    const result = await rpc.submit(prepared);
    if (result.status !== Api.GetTransactionStatus.SUCCESS) throw new Error(result.status);
    expect(result.resultXdr.feeCharged).toBeLessThan(BigInt(prepared.fee));
  });

  test('a failing call is told at simulation with the number of the contract that raised it', async () => {
    const contract = await rpc.deploy('unapproved', 1_000n);
    const transaction = await rpc.call(operator, contract, 'release_funds', address(operator.publicKey()));
    await expect(server.prepareTransaction(transaction)).rejects.toThrow(/^HostError: Error\(Contract, #5\)\n/);
    const missing = await rpc.call(operator, contract, 'no_such_function');
    await expect(server.prepareTransaction(missing)).rejects.toThrow('Error(WasmVm, MissingValue)');
  });

  test('a call that fails only on the ledger is FAILED, with the number in its diagnostic events', async () => {
    const contract = await rpc.deploy('race', 1_000n);
    const approve = () =>
      rpc.call(operator, contract, 'approve_milestone', xdr.ScVal.scvU32(0), address(operator.publicKey()));
    const first = (await server.prepareTransaction(await approve())) as Transaction;
    first.sign(operator);
    const account = await server.getAccount(operator.publicKey());
    account.incrementSequenceNumber();
    const second = new TransactionBuilder(account, {
      fee: BASE_FEE,
      networkPassphrase: passphrase,
      timebounds: { minTime: 0, maxTime: 0 },
      sorobanData: first.toEnvelope().value.tx.ext.value as xdr.SorobanTransactionData,
    })
      .addOperation(
        Operation.invokeHostFunction({
          func: (first.operations[0] as Operation.InvokeHostFunction).func,
          auth: (first.operations[0] as Operation.InvokeHostFunction).auth ?? [],
        }),
      )
      .build();
    second.sign(operator);
    expect((await rpc.submit(first)).status).toBe('SUCCESS');
    const result = await rpc.submit(second);
    if (result.status !== Api.GetTransactionStatus.FAILED) throw new Error(result.status);
    const errors = (result.diagnosticEventsXdr ?? []).map(({ event }) => event.body.value.topics[1]?.toXdr('base64'));
    expect(errors).toContain(xdr.ScVal.scvError(xdr.ScError.sceContract(29)).toXdr('base64'));
    expect('returnValue' in result).toBe(false);
  });

  test('another account may pay: the signer authorises an entry of his own, and only a genuine signature counts', async () => {
    const contract = await rpc.deploy('sponsored call', 1_000n);
    const args = [address(buyer.publicKey()), singleEscrow.encode(await rpc.stored(contract)), i128(1_000n)];
    const transaction = await rpc.call(operator, contract, 'fund_escrow', ...args);
    const simulation = await server.simulateTransaction(transaction);
    if (!Api.isSimulationSuccess(simulation)) throw new Error('simulation failed');
    const [entry] = simulation.result?.auth ?? [];
    if (entry === undefined) throw new Error('nothing to authorise');
    expect(entry.credentials.type).toBe('sorobanCredentialsAddressV2');
    const func = (transaction.operations[0] as Operation.InvokeHostFunction).func;
    const signedBy = async (signer: Keypair): Promise<Transaction> => {
      const until = (await server.getLatestLedger()).sequence + 1_000;
      const signed = await authorizeEntry(entry, signer, until, passphrase, buyer.publicKey());
      const build = await rpc.builder(operator);
      const ready = build.addOperation(Operation.invokeHostFunction({ func, auth: [signed] })).build();
      const prepared = (await server.prepareTransaction(ready)) as Transaction;
      prepared.sign(operator);
      return prepared;
    };
    const before = await rpc.balance(buyer);
    expect((await rpc.submit(await signedBy(buyer))).status).toBe('SUCCESS');
    expect(await rpc.balance(buyer)).toBe(before - 1_000n);
    await expect(signedBy(seller)).rejects.toThrow();
    // the same nonce a second time
    await expect(signedBy(buyer)).rejects.toThrow('Error(Auth, ExistingValue)');
  });

  test('a fee bump is found by its own hash and by the hash within', async () => {
    const inner = (await server.prepareTransaction(
      await rpc.call(operator, token, 'transfer', address(operator.publicKey()), address(buyer.publicKey()), i128(0n)),
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
    const transaction = (await rpc.builder(buyer)).addOperation(Operation.bumpSequence({ bumpTo: '0' })).build();
    transaction.sign(seller);
    const sent = await server.sendTransaction(transaction);
    expect(sent.status).toBe('ERROR');
    expect(sent.errorResult?.result.type).toBe('txBadAuth');
  });
});
