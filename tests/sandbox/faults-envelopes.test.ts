/** What Trustless Work may hand out or claim that is not so. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Address, scValToNative, Transaction, type xdr } from '@stellar/stellar-sdk/base';
import { derivedKey } from '../../sandbox/core/genesis.ts';
import { resultCodes } from '../../sandbox/core/results.ts';
import { DEFAULT_SEED, startSandbox } from '../../sandbox/server.ts';
import { control } from './faults-support.ts';
import { type Client, createOrders, type Orders, type Reply, ROLES, startClient } from './trustless-work-client.ts';

let api: Client;
let on: Orders;
let the: ReturnType<typeof control>;
const stranger = derivedKey(DEFAULT_SEED, 'stranger').publicKey();

beforeAll(async () => {
  api = await startClient();
  on = createOrders(api);
  the = control(api.sandbox);
  await api.open(ROLES, '0');
  await api.open(['funder'], '1000000');
});
afterAll(() => api.close());
afterEach(() => the.calm());

interface Opened {
  readonly operations: Transaction['operations'];
  readonly contract: string;
  readonly fn: string;
  readonly args: unknown[];
  readonly auth: readonly xdr.SorobanAuthorizationEntry[];
}

/** What the envelope of a build would do. */
function opened(reply: Reply): Opened {
  const transaction = api.parse(String(reply.body['unsignedTransaction']));
  if (!(transaction instanceof Transaction)) throw new Error('a fee bump');
  const [call] = transaction.operations;
  if (call?.type !== 'invokeHostFunction' || call.func.type !== 'hostFunctionTypeInvokeContract')
    throw new Error('not a contract call');
  const { contractAddress, functionName, args } = call.func.invokeContract;
  return {
    operations: transaction.operations,
    contract: Address.fromScAddress(contractAddress).toString(),
    fn: functionName.toString(),
    args: args.map((value) => scValToNative(value) as unknown),
    auth: call.auth ?? [],
  };
}

const build = (path: string, body: Record<string, unknown>): Promise<Reply> =>
  api.post(`/escrow/single-release/${path}`, body);
const funding = (contractId: string, amount = 250): Promise<Reply> =>
  build('fund-escrow', { contractId, signer: api.address('funder'), amount });

describe('a forged envelope', () => {
  test('moves twice the amount, and the network would carry it out', async () => {
    const contractId = await on.deploy();
    await the.fault({ name: 'xdr_wrong_amount', count: 1, match: { path: '/fund-escrow' } });
    const before = api.holds('funder');
    const reply = await funding(contractId);
    expect(opened(reply).args.at(-1)).toBe(5_000_000_000n);
    expect((await api.sign(reply, 'funder')).body).toMatchObject({ status: 'SUCCESS' });
    expect(Number(before) - Number(api.holds('funder'))).toBe(500);
    expect(await the.last()).toMatchObject({
      name: 'xdr_wrong_amount',
      request: { face: 'trustless-work', method: 'POST', path: '/escrow/single-release/fund-escrow' },
    });
  });

  test('names a stranger as the receiver of a new escrow', async () => {
    await the.fault({ name: 'xdr_wrong_destination', count: 1 });
    const reply = await api.post('/deployer/single-release', on.terms());
    expect(opened(reply).args[4]).toMatchObject([{ roles: { receiver: stranger } }]);
    const sent = await api.sign(reply, 'channel');
    expect(sent.body).toMatchObject({ status: 'SUCCESS', escrow: { roles: { receiver: stranger } } });
  });

  test('shares out a dispute to a stranger', async () => {
    const contractId = await on.deploy();
    await on.fund(contractId, 250);
    await on.step('dispute-escrow', { contractId, signer: api.address('operator') }, 'operator');
    const distributions = [{ address: api.address('buyer'), amount: 250 }];
    await the.fault({ name: 'xdr_wrong_destination', count: 1 });
    const resolution = { contractId, disputeResolver: api.address('resolver'), distributions };
    const args = opened(await build('resolve-dispute', resolution)).args;
    expect(args[1]).toEqual({ [stranger]: 2_500_000_000n });
  });

  test('calls another contract', async () => {
    const contractId = await on.deploy();
    await the.fault({ name: 'xdr_wrong_contract', count: 1 });
    const forged = opened(await funding(contractId));
    expect(forged.fn).toBe('fund_escrow');
    expect(forged.contract).not.toBe(contractId);
    expect(opened(await funding(contractId)).contract).toBe(contractId);
  });

  test('pays a stranger besides', async () => {
    const contractId = await on.deploy();
    await the.fault({ name: 'xdr_extra_operation', count: 1 });
    const { operations } = opened(await funding(contractId));
    expect(operations.map(({ type }) => type)).toEqual(['invokeHostFunction', 'payment']);
    expect(operations[1]).toMatchObject({ destination: stranger });
  });

  test('authorises a transfer to a stranger besides', async () => {
    const contractId = await on.deploy();
    const honest = opened(await funding(contractId)).auth;
    await the.fault({ name: 'xdr_foreign_auth', count: 1 });
    const reply = await funding(contractId);
    const { auth } = opened(reply);
    expect(auth).toHaveLength(honest.length + 1);
    const foreign = auth.at(-1)?.rootInvocation.function;
    if (foreign?.type !== 'sorobanAuthorizedFunctionTypeContractFn') throw new Error('no call');
    expect(foreign.contractFn.functionName.toString()).toBe('transfer');
    expect(scValToNative(foreign.contractFn.args[1] as xdr.ScVal)).toBe(stranger);
    expect((await api.sign(reply, 'funder')).body).toMatchObject({ status: 'SUCCESS' });
  });

  test('is the one the route gave before: it has had its effect already', async () => {
    const [first, second] = [await on.deploy(), await on.deploy()];
    const paid = await funding(first);
    await api.sign(paid, 'funder');
    api.sandbox.core.closeLedger();
    await the.fault({ name: 'xdr_duplicate', count: 1 });
    const again = await funding(second);
    expect(again.body).toEqual(paid.body);
    const before = api.holds('funder');
    expect((await api.sign(again, 'funder')).body).toMatchObject({ status: 'SUCCESS' });
    expect(api.holds('funder')).toBe(before);
  });
});

describe('a claim that is not so', () => {
  test('SUCCESS, and the chain says FAILED', async () => {
    const contractId = await on.deploy();
    await the.fault({ name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow' } });
    const reply = await funding(contractId);
    const before = api.holds('funder');
    expect((await api.sign(reply, 'funder')).body).toMatchObject({ status: 'SUCCESS' });
    const { request } = (await the.last()) ?? {};
    expect(request).toMatchObject({ fn: 'fund_escrow', source: api.address('funder') });
    expect(api.sandbox.core.transaction(request?.['hash'] ?? '')?.successful).toBe(false);
    expect(api.holds('funder')).toBe(before);
  });

  test('an error with the text of another', async () => {
    const contractId = await on.deploy();
    const approval = { contractId, milestoneIndex: '7', approver: api.address('buyer') };
    const honest = await build('approve-milestone', approval);
    await the.fault({ name: 'wrong_error_text', count: 1 });
    const wrong = await build('approve-milestone', approval);
    expect([honest.status, wrong.status]).toEqual([400, 400]);
    expect(wrong.body['message']).toBe('Escrow already in dispute');
    expect(honest.body['message']).not.toBe(wrong.body['message']);
  });

  test('the index shows what was, not what is', async () => {
    const contractId = await on.deploy();
    await on.fund(contractId, 250);
    await on.approve(contractId);
    api.sandbox.core.closeLedger();
    const approved = async (): Promise<unknown> => {
      const { text } = await api.get(`/helper/get-escrow-by-contract-ids?contractIds[]=${contractId}`);
      const [row] = JSON.parse(text) as { milestones: { approved: boolean }[] }[];
      return row?.milestones[0]?.approved;
    };
    await the.fault({ name: 'stale_index', ledgers: 3, count: 1, match: { path: '/helper/get-escrow' } });
    expect([await approved(), await approved()]).toEqual([false, true]);
  });
});

describe('an archived escrow', () => {
  test('stops an envelope of before, and one of after restores it', async () => {
    const contractId = await on.deploy();
    const before = await funding(contractId);
    await the.fault({ name: 'archived_entry', address: contractId, match: { path: '/helper/send-transaction' } });
    expect((await api.sign(before, 'funder')).body).toMatchObject({ status: 'FAILED' });
    const [record] = api.sandbox.core.latest().transactions;
    expect(resultCodes(record?.resultXdr ?? '')).toEqual({ transaction: 'tx_failed', operations: ['entry_archived'] });
    api.sandbox.core.closeLedger();
    expect((await api.sign(await funding(contractId), 'funder')).body).toMatchObject({ status: 'SUCCESS' });
  });
});

test('a sandbox that comes back replays what was done to its ledgers from outside', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-faults-'));
  const dataFile = join(folder, 'journal');
  const first = await startClient({ dataFile });
  const { fault } = control(first.sandbox);
  const orders = createOrders(first);
  await first.open(ROLES, '0');
  await first.open(['funder'], '1000');
  const contractId = await orders.deploy();
  await fault({ name: 'archived_entry', address: contractId, match: { path: '/fund-escrow' } });
  await fault({ name: 'success_then_fails', count: 1 });
  await orders.fund(contractId, 250);
  await orders.fund(contractId, 250);
  const left = first.sandbox.core.dump();
  await first.close();
  const second = await startSandbox({ dataFile, ledgerMs: 0 });
  expect(second.core.dump()).toEqual(left);
  await second.close();
  rmSync(folder, { recursive: true });
});
