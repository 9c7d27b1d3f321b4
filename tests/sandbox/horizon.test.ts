import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Account,
  Asset,
  BASE_FEE,
  Horizon,
  Keypair,
  Memo,
  MuxedAccount,
  Operation,
  scValToNative,
  TransactionBuilder,
} from '@stellar/stellar-sdk';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';

const alice = Keypair.random();
const bob = Keypair.random();
let sandbox: Sandbox;
let server: Horizon.Server;
let usdc: Asset;

beforeAll(async () => {
  sandbox = await startSandbox({ ledgerMs: 0 });
  sandbox.clock.set({ mode: 'on_demand' });
  server = new Horizon.Server(`${sandbox.url}/horizon`, { allowHttp: true });
  usdc = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  for (const one of [alice, bob]) {
    await server.friendbot(one.publicKey()).call();
    await submit(one, [Operation.changeTrust({ asset: usdc })]);
    await control('/faucet', { address: one.publicKey(), amount: '100' });
  }
});

afterAll(() => sandbox.close());

type Op = Parameters<TransactionBuilder['addOperation']>[0];

async function build(source: Keypair, operations: readonly Op[], fee = BASE_FEE) {
  const account = await server.loadAccount(source.publicKey());
  const builder = new TransactionBuilder(account, { fee, networkPassphrase: sandbox.core.networkPassphrase });
  for (const operation of operations) builder.addOperation(operation);
  const transaction = builder.setTimeout(60).build();
  transaction.sign(source);
  return transaction;
}

async function submit(source: Keypair, operations: readonly Op[]) {
  return server.submitTransaction(await build(source, operations));
}

const pay = (to: Keypair, amount: string, asset = usdc) =>
  Operation.payment({ destination: to.publicKey(), asset, amount });

async function control(path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${sandbox.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
  return { status: response.status, ...((await response.json()) as object) };
}

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${sandbox.url}/horizon${path}`, { headers });
const json = async (path: string) => (await get(path)).json() as Promise<Record<string, unknown>>;

/** The records of a page document. */
async function records(response: Response): Promise<Record<string, unknown>[]> {
  const { _embedded: embedded } = (await response.json()) as { _embedded: { records: Record<string, unknown>[] } };
  return embedded.records;
}

describe('the unmodified SDK', () => {
  test('loads accounts, balances and the root', async () => {
    const account = await server.loadAccount(alice.publicKey());
    expect(account.balances.map(({ asset_type: type }) => type)).toEqual(['credit_alphanum4', 'native']);
    expect(account.balances[0]).toMatchObject({ balance: '100.0000000', is_authorized: true, asset_code: 'USDC' });
    expect(await server.root()).toMatchObject({
      network_passphrase: sandbox.core.networkPassphrase,
      history_elder_ledger: 1,
    });
    expect(await server.fetchBaseFee()).toBe(100);
    await expect(server.loadAccount(Keypair.random().publicKey())).rejects.toMatchObject({ response: { status: 404 } });
  });

  test('submits a payment and finds it again by hash, in the account’s payments and in its ledger', async () => {
    const sent = await submit(alice, [pay(bob, '1.5'), pay(bob, '0.0000001')]);
    expect(sent).toMatchObject({ successful: true, ledger: sandbox.core.latest().sequence });
    const { records } = await server
      .payments()
      .forAccount(bob.publicKey())
      .order('desc')
      .limit(2)
      .join('transactions')
      .call();
    expect(records.map((record) => 'amount' in record && record.amount)).toEqual(['0.0000001', '1.5000000']);
    expect(records[0]).toMatchObject({
      type: 'payment',
      from: alice.publicKey(),
      to: bob.publicKey(),
      transaction_hash: sent.hash,
    });
    const inLedger = await server.payments().forLedger(sent.ledger).call();
    expect(inLedger.records).toHaveLength(2);
    const transaction = await server.transactions().transaction(sent.hash).call();
    expect(transaction).toMatchObject({ hash: sent.hash, fee_charged: '200', operation_count: 2 });
    expect((await transaction.operations()).records).toHaveLength(2);
    expect(
      await server
        .operations()
        .operation(records[0]?.id ?? '')
        .call(),
    ).toMatchObject({ amount: '0.0000001' });
  });

  test('the same bytes again answer with the same transaction: submission is idempotent by hash', async () => {
    const transaction = await build(alice, [pay(bob, '1')]);
    const first = await server.submitTransaction(transaction);
    const second = await server.submitTransaction(transaction);
    expect(second).toMatchObject({ hash: first.hash, ledger: first.ledger });
  });

  test('a failed transaction answers with result codes, and stays readable', async () => {
    const transaction = await build(alice, [pay(bob, '100000')]);
    const error: unknown = await server.submitTransaction(transaction).catch((reason: unknown) => reason);
    if (!(error instanceof Error) || !('getResultCodes' in error)) throw new Error('no TransactionFailedError');
    expect((error.getResultCodes as () => object)()).toEqual({
      transaction: 'tx_failed',
      operations: ['op_underfunded'],
    });
    const hash = Buffer.from(transaction.hash()).toString('hex');
    expect(await server.transactions().transaction(hash).call()).toMatchObject({ successful: false });
    const own = `/accounts/${alice.publicKey()}/transactions?order=desc&limit=1`;
    expect((await records(await get(own)))[0]?.['hash']).not.toBe(hash);
    expect((await records(await get(`${own}&include_failed=true`)))[0]?.['hash']).toBe(hash);
  });

  test('asynchronous submission states what core said', async () => {
    sandbox.clock.set({ mode: 'manual' });
    const transaction = await build(alice, [pay(bob, '1')]);
    expect(await server.submitAsyncTransaction(transaction)).toMatchObject({ tx_status: 'PENDING' });
    await expect(server.submitAsyncTransaction(transaction)).rejects.toMatchObject({
      response: { status: 409, data: { tx_status: 'DUPLICATE' } },
    });
    const other = await build(alice, [pay(bob, '2')]);
    await expect(server.submitAsyncTransaction(other)).rejects.toMatchObject({
      response: { status: 503, data: { tx_status: 'TRY_AGAIN_LATER' } },
    });
    sandbox.clock.set({ mode: 'on_demand' });
    await server.submitTransaction(transaction);
    await expect(server.submitAsyncTransaction(transaction)).rejects.toMatchObject({
      response: { status: 400, data: { tx_status: 'ERROR', error_result_xdr: 'AAAAAAAAAGT////7AAAAAA==' } },
    });
  });

  test('a fee bump is found by its outer and its inner hash', async () => {
    const inner = await build(alice, [pay(bob, '1')]);
    const outer = TransactionBuilder.buildFeeBumpTransaction(bob, '200', inner, sandbox.core.networkPassphrase);
    outer.sign(bob);
    const sent = await server.submitTransaction(outer);
    for (const hash of [inner.hash(), outer.hash()]) {
      const found = await json(`/transactions/${Buffer.from(hash).toString('hex')}`);
      expect(found).toMatchObject({
        hash: sent.hash,
        fee_account: bob.publicKey(),
        source_account: alice.publicKey(),
        inner_transaction: { max_fee: '100' },
      });
    }
  });
});

describe('documents', () => {
  test('a muxed destination is shown beside its account, a memo with its transaction', async () => {
    const muxed = new MuxedAccount(new Account(bob.publicKey(), '0'), '7').accountId();
    const builder = new TransactionBuilder(await server.loadAccount(alice.publicKey()), {
      fee: BASE_FEE,
      networkPassphrase: sandbox.core.networkPassphrase,
      memo: Memo.text('order 1'),
    });
    builder.addOperation(Operation.payment({ destination: muxed, asset: usdc, amount: '1' }));
    const transaction = builder.setTimeout(60).build();
    transaction.sign(alice);
    const { hash } = await server.submitTransaction(transaction);
    const [shown] = await records(await get(`/transactions/${hash}/payments?join=transactions`));
    expect(shown).toMatchObject({
      to: bob.publicKey(),
      to_muxed: muxed,
      to_muxed_id: '7',
      transaction: { memo_type: 'text', memo: 'order 1', preconditions: { timebounds: { min_time: '0' } } },
    });
    const [event] = sandbox.core.transaction(hash)?.operations[0]?.events ?? [];
    expect(event === undefined ? undefined : scValToNative(event.data)).toEqual({
      amount: 10_000_000n,
      to_muxed_id: 7n,
    });
  });

  test('fee statistics are strings over the last ledgers', async () => {
    await submit(alice, [pay(bob, '1')]);
    expect(await server.feeStats()).toMatchObject({
      last_ledger_base_fee: '100',
      fee_charged: { min: '100', p50: '100' },
    });
  });

  test.each([
    ['/fee_stats', 'text/event-stream', 406],
    ['/payments', 'text/html', 406],
    ['/payments', 'application/json', 200],
    ['/payments/', '*/*', 200],
  ])('%s asked for as %s answers %i', async (path, accept, status) => {
    expect((await get(path, { accept })).status).toBe(status);
  });
});

describe('lists', () => {
  test('pages follow each other without gap or overlap, and the previous page is the same read backwards', async () => {
    const all = await server.payments().limit(200).call();
    const ids = all.records.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(5);
    const walked: string[] = [];
    let page = await server.payments().limit(2).call();
    for (; page.records.length > 0; page = await page.next()) walked.push(...page.records.map(({ id }) => id));
    expect(walked).toEqual(ids);
    const backwards: string[] = [];
    for (page = await page.prev(); page.records.length > 0; page = await page.next()) {
      backwards.push(...page.records.map(({ id }) => id));
    }
    // an empty page keeps the cursor: the last record stays behind it
    expect(backwards).toEqual(ids.toReversed().slice(1));
  });

  test('nothing is behind `now`', async () => {
    expect((await server.payments().cursor('now').call()).records).toEqual([]);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=-1', 'cursor'],
    ['cursor=x', 'cursor'],
    ['order=up', 'order'],
  ])('%s is a bad request naming the field', async (query, field) => {
    const response = await get(`/payments?${query}`);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(await response.json()).toMatchObject({
      type: 'https://stellar.org/horizon-errors/bad_request',
      extras: { invalid_field: field },
    });
  });

  test.each([
    ['/nowhere', 404],
    ['/accounts//payments', 404],
    [`/accounts/${Keypair.random().publicKey()}/payments`, 404],
    ['/accounts/GABC/payments', 400],
    ['/transactions/xyz', 400],
    [`/transactions/${'0'.repeat(64)}`, 404],
    ['/ledgers/999999', 404],
  ])('%s answers with its problem', async (path, status) => {
    const response = await get(path);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status });
  });

  test('below the retention an ascending cursor jumps silently, a descending one is refused', async () => {
    const own = await startSandbox({ ledgerMs: 0 });
    for (const one of [alice, bob]) await fetch(`${own.url}/horizon/friendbot?addr=${one.publicKey()}`);
    const oldest = own.core.latest().sequence;
    own.core.prune(oldest);
    expect(await records(await fetch(`${own.url}/horizon/payments?cursor=1`))).toHaveLength(1);
    expect((await fetch(`${own.url}/horizon/payments?cursor=99&order=desc`)).status).toBe(410);
    expect((await fetch(`${own.url}/horizon/ledgers/1`)).status).toBe(410);
    expect(await (await fetch(`${own.url}/horizon/`)).json()).toMatchObject({ history_elder_ledger: oldest });
    await own.close();
  });
});

describe('submitting by hand', () => {
  const post = (body: string, type = 'application/x-www-form-urlencoded', path = '/transactions') =>
    fetch(`${sandbox.url}/horizon${path}`, { method: 'POST', body, headers: { 'content-type': type } });

  test('what is not an envelope is malformed; what is not a form is not read', async () => {
    const response = await post('tx=AAAA');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      type: 'https://stellar.org/horizon-errors/transaction_malformed',
      extras: { envelope_xdr: 'AAAA' },
    });
    expect((await post('{}', 'application/json')).status).toBe(415);
  });

  test('answers 504 when no ledger comes in time, and the transaction applies all the same', async () => {
    const own = await startSandbox({ ledgerMs: 0, submitTimeoutMs: 50 });
    await fetch(`${own.url}/horizon/friendbot?addr=${alice.publicKey()}`);
    const { sequence = 0n } = own.core.view().account(alice.publicKey()) ?? {};
    const transaction = new TransactionBuilder(new Account(alice.publicKey(), String(sequence)), {
      fee: BASE_FEE,
      networkPassphrase: own.core.networkPassphrase,
      timebounds: { minTime: 0, maxTime: 0 },
    })
      .addOperation(Operation.manageData({ name: 'a', value: 'b' }))
      .build();
    transaction.sign(alice);
    const send = () =>
      fetch(`${own.url}/horizon/transactions`, {
        method: 'POST',
        body: new URLSearchParams({ tx: transaction.toXdr() }),
      });
    const hash = Buffer.from(transaction.hash()).toString('hex');
    const late = await send();
    expect(late.status).toBe(504);
    expect(await late.json()).toMatchObject({ title: 'Transaction Submission Timeout', extras: { hash } });
    own.core.closeLedger();
    expect(await (await send()).json()).toMatchObject({ hash, successful: true });
    await own.close();
  });

  test('friendbot funds an account once, by GET and by POST', async () => {
    const one = Keypair.random().publicKey();
    const funded = await fetch(`${sandbox.url}/horizon/friendbot?addr=${one}`, { method: 'POST' });
    expect(await funded.json()).toMatchObject({ successful: true });
    const again = await get(`/friendbot?addr=${one}`);
    expect(again.status).toBe(400);
    expect(await again.json()).toMatchObject({ detail: expect.stringContaining('createAccountAlreadyExist') });
  });
});
