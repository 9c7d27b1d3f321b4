/** Every way in which the unmodified SDK's Horizon client can fail, provoked at this Horizon. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  AccountRequiresMemoError,
  Account,
  BASE_FEE,
  BadResponseError,
  Horizon,
  Keypair,
  NetworkError,
  NotFoundError,
  Operation,
  TransactionBuilder,
  TransactionFailedError,
} from '@stellar/stellar-sdk';
import { type Market, openMarket } from './horizon-support.ts';

let market: Market;

beforeAll(async () => {
  market = await openMarket();
});

afterAll(() => market.sandbox.close());

const pay = (amount = '1', destination = market.bob.publicKey()) =>
  Operation.payment({ destination, asset: market.usdc, amount });

const client = () => new Horizon.Server(`${market.sandbox.url}/horizon`, { allowHttp: true });

async function thrown(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: unknown) => error,
  );
}

/** What is attached to an error of the SDK. */
function responseOf(error: unknown): Record<string, unknown> {
  const { response } = error as { response?: Record<string, unknown> };
  return response ?? {};
}

async function withFault<T>(rule: { name: string; count?: number; delay_ms?: number }, work: () => Promise<T>) {
  const url = `${market.sandbox.url}/control/faults`;
  await fetch(url, { method: 'POST', body: JSON.stringify({ ...rule, match: { face: 'horizon' } }) });
  try {
    return await work();
  } finally {
    await fetch(url, { method: 'DELETE' });
  }
}

describe('reading', () => {
  test('404 is a NotFoundError with the problem document', async () => {
    const nobody = Keypair.random().publicKey();
    for (const work of [market.server.loadAccount(nobody), market.server.payments().forAccount(nobody).call()]) {
      const error = await thrown(work);
      expect(error).toBeInstanceOf(NotFoundError);
      expect(responseOf(error)).toMatchObject({ status: 404, type: 'https://stellar.org/horizon-errors/not_found' });
    }
  });

  test('another problem is a NetworkError with its document', async () => {
    const error = await thrown(market.server.payments().limit(201).call());
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).not.toBeInstanceOf(NotFoundError);
    expect(responseOf(error)).toMatchObject({ status: 400, extras: { invalid_field: 'limit' } });
  });

  test('history that is behind, or gone, is told by its problem', async () => {
    await market.switches({ staleHistory: true });
    const stale = await thrown(market.server.payments().call());
    const root = await market.server.root();
    await market.switches({ staleHistory: false });
    expect(responseOf(stale)).toMatchObject({ status: 503, type: 'https://stellar.org/horizon-errors/stale_history' });
    expect(root.history_latest_ledger).toBeGreaterThan(1);
    const gone = await thrown(market.server.payments().order('desc').cursor('1').call());
    expect(responseOf(gone)).toMatchObject({ status: 410, type: 'https://stellar.org/horizon-errors/before_history' });
  });

  test('an outage that is no JSON has no status in its document', async () => {
    const error = await withFault({ name: 'http_503', count: 1 }, () => thrown(market.server.payments().call()));
    expect(error).toBeInstanceOf(NetworkError);
    expect(responseOf(error)['status']).toBeUndefined();
  });

  test('a silent server is a plain Error, once a timeout is set', async () => {
    const server = client();
    server.httpClient.defaults.timeout = 50;
    const error = await withFault({ name: 'timeout', count: 1, delay_ms: 5_000 }, () =>
      thrown(server.payments().call()),
    );
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(NetworkError);
    expect(String(error)).toContain('timeout');
  });

  test('a connection that breaks is a plain Error', async () => {
    const error = await withFault({ name: 'timeout', count: 1, delay_ms: 0 }, () => thrown(client().payments().call()));
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(NetworkError);
  });

  test('time bounds come from the server’s clock, a base fee from its ledger', async () => {
    const { minTime, maxTime } = await market.server.fetchTimebounds(60);
    expect(Number(maxTime)).toBeGreaterThan(Number(minTime));
    expect(await market.server.fetchBaseFee()).toBe(100);
  });
});

describe('submitting', () => {
  test('a refusal with result codes is a TransactionFailedError', async () => {
    const error = await thrown(market.server.submitTransaction(await market.build(market.alice, [pay('100000')])));
    expect(error).toBeInstanceOf(TransactionFailedError);
    const failed = error as TransactionFailedError;
    expect(failed.getResultCodes()).toEqual({ transaction: 'tx_failed', operations: ['op_underfunded'] });
    expect(failed.getTransactionResult()?.result.type).toBe('txFailed');
  });

  test('codes of the transaction itself come without any of operations', async () => {
    const account = new Account(market.alice.publicKey(), '1');
    const builder = new TransactionBuilder(account, {
      fee: BASE_FEE,
      networkPassphrase: market.sandbox.core.networkPassphrase,
    });
    const transaction = builder.addOperation(pay()).setTimeout(60).build();
    transaction.sign(market.alice);
    const error = await thrown(market.server.submitTransaction(transaction));
    expect((error as TransactionFailedError).getResultCodes().transaction).toBe('tx_bad_seq');
    expect(responseOf(error)['data']).toMatchObject({ extras: { result_codes: { transaction: 'tx_bad_seq' } } });
    const { extras } = responseOf(error)['data'] as { extras: { result_codes: object } };
    expect(extras.result_codes).not.toHaveProperty('operations');
  });

  test('what is applied too late for its submitter is a BadResponseError with 504 and the hash', async () => {
    const own = await openMarket({ submitTimeoutMs: 20 });
    own.sandbox.clock.set({ mode: 'manual' });
    const transaction = await own.build(own.alice, [Operation.manageData({ name: 'a', value: 'b' })]);
    const error = await thrown(own.server.submitTransaction(transaction));
    expect(error).toBeInstanceOf(BadResponseError);
    expect(responseOf(error)).toMatchObject({
      status: 504,
      data: {
        type: 'https://stellar.org/horizon-errors/transaction_submission_timeout',
        extras: { hash: Buffer.from(transaction.hash()).toString('hex') },
      },
    });
    own.sandbox.core.closeLedger();
    expect(await own.server.submitTransaction(transaction)).toMatchObject({ successful: true });
    await own.sandbox.close();
  });

  test.each(['http_429', 'http_503'])('%s is a BadResponseError', async (name) => {
    const transaction = await market.build(market.alice, [pay()]);
    const submitting = () => market.server.submitTransaction(transaction, { skipMemoRequiredCheck: true });
    const error = await withFault({ name, count: 1 }, () => thrown(submitting()));
    expect(error).toBeInstanceOf(BadResponseError);
    expect(responseOf(error)['status']).toBe(Number(name.slice(5)));
    expect(await submitting()).toMatchObject({ successful: true });
  });

  test('asynchronously: PENDING resolves, everything else is a BadResponseError that says what it is', async () => {
    const { sandbox, server, alice, bob, build } = market;
    sandbox.clock.set({ mode: 'manual' });
    const transaction = await build(alice, [pay()]);
    expect(await server.submitAsyncTransaction(transaction)).toEqual({
      tx_status: 'PENDING',
      hash: Buffer.from(transaction.hash()).toString('hex'),
    });
    const refusals = [
      [transaction, 409, 'DUPLICATE'],
      [await build(alice, [pay('2')]), 503, 'TRY_AGAIN_LATER'],
      [await build(bob, [pay('1', alice.publicKey())], [alice]), 400, 'ERROR'],
    ] as const;
    for (const [refused, status, tx_status] of refusals) {
      const error = await thrown(server.submitAsyncTransaction(refused));
      expect(error).toBeInstanceOf(BadResponseError);
      expect(responseOf(error)).toMatchObject({ status, data: { tx_status } });
    }
    sandbox.clock.set({ mode: 'on_demand' });
    await server.submitTransaction(transaction);
  });

  test('the memo check reads the destination’s data before anything is sent', async () => {
    const { bob, submit, server, build, alice } = market;
    await submit(bob, [Operation.manageData({ name: 'config.memo_required', value: '1' })]);
    const transaction = await build(alice, [pay()]);
    expect(await thrown(server.submitTransaction(transaction))).toBeInstanceOf(AccountRequiresMemoError);
    expect(await server.submitTransaction(transaction, { skipMemoRequiredCheck: true })).toMatchObject({
      successful: true,
    });
    await submit(bob, [Operation.manageData({ name: 'config.memo_required', value: null })]);
  });
});
