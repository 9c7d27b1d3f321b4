/** The RPC face: events with filters and cursors through the SDK, and the JSON-RPC envelope through plain fetch. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { Operation, scValToNative, xdr } from '@stellar/stellar-sdk';
import { Api } from '@stellar/stellar-sdk/rpc';
import { distributionMap } from '../../sandbox/contracts/scval.ts';
import { address, openRpc, wallets } from './rpc-client.ts';

const { buyer, seller, operator } = wallets;
const rpc = await openRpc();
const { server, sandbox, usdc, token } = rpc;

afterAll(() => sandbox.close());

describe('events', () => {
  const segment = (value: xdr.ScVal): string => value.toXdr('base64');

  test('contract events and classic payments come back by contract and topic, in order, page by page', async () => {
    const before = await server.getLatestLedger();
    const contract = await rpc.deploy('events', 1_000n);
    await rpc.fund(contract, 1_000n);
    await rpc.classic(buyer, Operation.payment({ destination: seller.publicKey(), asset: usdc, amount: '0.0000007' }));
    const filters: Api.EventFilter[] = [
      {
        type: 'contract',
        contractIds: [token],
        topics: [[segment(xdr.ScVal.scvSymbol('transfer')), segment(address(buyer.publicKey())), '**']],
      },
    ];
    const all = await server.getEvents({ startLedger: before.sequence, filters });
    expect(all.events.map(({ value }) => String(nativeAmount(value)))).toEqual(['1000', '7']);
    expect(all.events.map(({ id }) => id)).toEqual(all.events.map(({ id }) => id).sort());
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

  test('fees and refunds are events of a provider that has them on; classic movements of one that has not are none', async () => {
    const { sequence } = await server.getLatestLedger();
    const contract = await rpc.deploy('fees', 1_000n);
    const funded = await rpc.fund(contract, 1_000n);
    await rpc.classic(buyer, Operation.payment({ destination: seller.publicKey(), asset: usdc, amount: '0.0000001' }));
    const switches = async (body: object): Promise<void> => {
      const answer = await fetch(`${sandbox.url}/control/rpc`, { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).toBe(200);
    };
    const counted = async (): Promise<Record<string, number>> => {
      const { events } = await server.getEvents({ startLedger: sequence + 1, filters: [], limit: 1_000 });
      expect(events.map(({ id }) => id)).toEqual(events.map(({ id }) => id).sort());
      const names = events.map(({ topic }) => String(topic[0]?.value));
      return Object.fromEntries(['fee', 'transfer'].map((name) => [name, names.filter((one) => one === name).length]));
    };
    expect(await counted()).toEqual({ fee: 0, transfer: 2 });
    await switches({ feeEvents: true, classicEvents: false });
    // three transactions pay, and the two contract calls among them get something back
    expect(await counted()).toEqual({ fee: 5, transfer: 1 });
    const { events } = await server.getEvents({
      startLedger: funded.ledger,
      endLedger: funded.ledger + 1,
      filters: [],
    });
    const fees = events.filter(({ topic, txHash }) => String(topic[0]?.value) === 'fee' && txHash === funded.txHash);
    const paid = fees.map(({ value }) => scValToNative(value) as bigint);
    expect(paid.map((amount) => amount > 0n)).toEqual([true, false]);
    expect(paid.reduce((sum, amount) => sum + amount)).toBe(sandbox.core.transaction(funded.txHash)?.feeCharged);
    await switches({ feeEvents: false, classicEvents: true });
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
    const payment = (await rpc.builder(buyer)).addOperation(Operation.bumpSequence({ bumpTo: '0' })).build();
    expect(await post(JSON.stringify(request('simulateTransaction', { transaction: payment.toXdr() })))).toMatchObject({
      json: { result: { error: expect.stringContaining('unsupported operation type'), latestLedger: 0 } },
    });
    expect(await post(JSON.stringify(request('simulateTransaction', { transaction: 'AAAA' })))).toMatchObject({
      json: { result: { error: 'Could not unmarshal transaction' } },
    });
  });

  test('a map whose keys are out of order is refused by the host', async () => {
    const contract = await rpc.deploy('unsorted', 1_000n);
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
      const transaction = await rpc.call(
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
