/** Money that arrives on chain is credited once, whatever shape it arrives in. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Asset, Operation } from '@stellar/stellar-sdk/base';
import { expectCoherent } from '../support/coherent.ts';
import { type EventBody, balance, readyUser } from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';

let stack: TestStack;
let market: TestMarketplace;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
}, 120_000);
afterEach(() => expectCoherent(stack), 60_000);
afterAll(() => stack.stop());

const stranger = (amount: string) => createStranger(stack, amount);

test('two payments in one transaction are two deposits (F27)', async () => {
  const { api } = market;
  const [user, outside] = await Promise.all([readyUser(api), stranger('100')]);
  const address = user.wallet.address ?? '';
  const { hash } = await outside.send(outside.pay(address, '1.0000001'), outside.pay(address, '2'));
  await eventually(async () => (await balance(api, user.id)).total === '3.0000001');
  // The relay gives an event its place in the order after the commit that made the balance visible.
  const events = await eventually(async () => {
    const { body } = await api<{ data: EventBody[] }>('GET', `/events?resource_id=${user.id}&type=deposit.credited`);
    return body.data.length === 2 ? body.data : null;
  });
  expect(events.map((event) => event.data.change)).toMatchObject([
    { amount: '2', transaction_hash: hash },
    { amount: '1.0000001', transaction_hash: hash },
  ]);
}, 120_000);

test('one transaction may pay several users', async () => {
  const { api } = market;
  const [first, second, outside] = await Promise.all([readyUser(api), readyUser(api), stranger('100')]);
  await outside.send(
    outside.pay(first.wallet.address ?? '', '0.0000001'),
    outside.pay(second.wallet.address ?? '', '7'),
  );
  await eventually(async () => (await balance(api, first.id)).total === '0.0000001');
  await eventually(async () => (await balance(api, second.id)).total === '7');
}, 120_000);

test('a deposit that arrives while no worker runs is credited when one does (F28)', async () => {
  const { api } = market;
  const [user, outside] = await Promise.all([readyUser(api), stranger('100')]);
  await stack.killWorker();
  await outside.send(outside.pay(user.wallet.address ?? '', '5'));
  await outside.send(outside.pay(user.wallet.address ?? '', '6'));
  expect(await balance(api, user.id)).toMatchObject({ total: '0' });
  await stack.startWorker();
  await eventually(async () => (await balance(api, user.id)).total === '11', { timeoutMs: 90_000 });
}, 180_000);

test('an asset that is not ours is not credited', async () => {
  const { api } = market;
  const [user, outside] = await Promise.all([readyUser(api), stranger('1')]);
  await outside.send(Operation.payment({ destination: user.wallet.address ?? '', asset: Asset.native(), amount: '3' }));
  await outside.send(outside.pay(user.wallet.address ?? '', '1'));
  await eventually(async () => (await balance(api, user.id)).total === '1');
}, 120_000);
