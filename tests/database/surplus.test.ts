/**
 * Money in the contract of an order that is over: booked, shown, and paid out once, on the word of two persons and for no
 * more than they saw; of a contract that never was funded its parts are put into dispute first.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { balance } from '../../db/ledger/statement.ts';
import { pool } from '../../db/sql.ts';
import { type ChainWorld, startChainWorld } from '../support/chain-world.ts';
import { surplusSteps } from '../support/surplus.ts';

let world: ChainWorld;
const { stranger, deployed, seen, cancel, look, take, drop, matters, say, agree, pay, held } = surplusSteps(
  () => world,
);
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());
afterEach(() => world.expectSettled());

describe('a contract that never was funded', () => {
  test('gives back what a stranger paid in, for the amount that two persons saw; later money is another matter', async () => {
    const escrow = await deployed();
    const outside = await stranger('100');
    await seen(escrow, (await outside.payContract(escrow.contractId, 20_000_000n)).hash);
    expect(await cancel(escrow)).toMatchObject({ status: 'CLOSED', surplus: true });
    expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '2', approval_id: null, open_parts: [] });
    expect(await matters(escrow)).toMatchObject([
      { amount: '2', suggested: outside.address, allowed_repairs: ['payout_to'] },
    ]);

    // Nobody has asked yet: the matter grows.
    await seen(escrow, (await outside.payContract(escrow.contractId, 10_000_000n)).hash);
    await look(escrow);
    expect(await matters(escrow)).toMatchObject([{ amount: '3', suggested: outside.address }]);
    await say(escrow, 'ann', outside.address);
    await seen(escrow, (await outside.payContract(escrow.contractId, 5n)).hash);
    expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '3.0000005' });
    expect(await matters(escrow)).toMatchObject([{ amount: '3' }]);

    const { approval_id } = await say(escrow, 'bob', outside.address);
    await take(escrow, approval_id);
    await take(escrow, approval_id);
    expect(await look(escrow)).toMatchObject({ status: 'PAYING', amount: '3', approval_id, open_parts: [null] });
    expect(await matters(escrow)).toMatchObject([{ allowed_repairs: [] }]);
    const before = await held(outside.address);
    await pay(escrow);
    // 30 bps of the protocol and 50 of the marketplace.
    expect((await held(outside.address)) - before).toBe(29_760_000n);
    expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '0.0000005' });

    await take(escrow, await agree(escrow, outside.address));
    // In dispute already.
    expect(await look(escrow)).toMatchObject({ status: 'PAYING', open_parts: [] });
    await pay(escrow);
    expect(await look(escrow)).toMatchObject({ status: 'SETTLED', amount: '0' });
    expect(await matters(escrow)).toEqual([]);
    expect(await held(escrow.contractId)).toBe(0n);
    expect(await world.rows('select settled_at is not null as over from surpluses where id = $1', escrow.id)).toEqual([
      { over: true },
    ]);
  }, 120_000);

  test('with milestones disputes each of them, and pays a user of ours in the books, too', async () => {
    const { seller_id } = world.parties;
    const milestones = ['15', '10'].map((amount, index) => ({
      milestone_ref: `m${index}`,
      title: 'Part',
      amount,
      seller_id,
    }));
    const escrow = await deployed({ milestones });
    const outside = await stranger('100');
    await seen(escrow, (await outside.payContract(escrow.contractId, 100_000_000n)).hash);
    await cancel(escrow);
    expect(await look(escrow)).toMatchObject({ status: 'WAITING', amount: '10' });
    const [seller] = await world.rows<{ address: string }>('select address from wallets where user_id = $1', seller_id);
    const before = (await sellerFunds()).available;
    await take(escrow, await agree(escrow, seller?.address ?? ''));
    expect(await look(escrow)).toMatchObject({ open_parts: [0, 1] });
    await pay(escrow);
    expect((await sellerFunds()).available - before).toBe(99_200_000n);
    expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
  }, 120_000);
});

const sellerFunds = () => {
  const { marketplace_id: marketplaceId, seller_id: userId } = world.parties;
  return balance(pool(world.process.deps.orm), { marketplaceId, userId, asset: 'USDC' });
};

describe('a payout', () => {
  test('needs two persons, and is the only one at a time; what comes to nothing is agreed on anew', async () => {
    const escrow = await deployed();
    const outside = await stranger('100');
    await seen(escrow, (await outside.payContract(escrow.contractId, 7n)).hash);
    await cancel(escrow);
    await look(escrow);
    const { approval_id: alone } = await say(escrow, 'ann', outside.address);
    await expect(take(escrow, alone)).rejects.toMatchObject({ type: 'INVALID_STATE' });
    expect(await say(escrow, 'ann', outside.address)).toMatchObject({ status: 'PROPOSED' });
    const { approval_id } = await say(escrow, 'bob', outside.address);
    await world.rows("update marketplaces set status = 'PAUSED'");
    await expect(take(escrow, approval_id)).rejects.toMatchObject({ type: 'MARKETPLACE_PAUSED' });
    await world.rows("update marketplaces set status = 'ACTIVE'");
    await take(escrow, approval_id);
    await expect(take(escrow, 'another')).rejects.toMatchObject({ type: 'INVALID_STATE' });

    await drop(escrow, approval_id);
    expect(await look(escrow)).toMatchObject({ status: 'WAITING', approval_id: null });
    // What was agreed on before is void.
    await expect(take(escrow, approval_id)).rejects.toMatchObject({ type: 'INVALID_STATE' });
    await take(escrow, await agree(escrow, outside.address));
    await pay(escrow);
    expect(await look(escrow)).toMatchObject({ status: 'SETTLED' });
  }, 120_000);
});

test('an order that is over and left nothing has no surplus', async () => {
  const escrow = await deployed();
  expect(await cancel(escrow)).not.toHaveProperty('surplus');
  await expect(look(escrow)).rejects.toMatchObject({ type: 'NOT_FOUND' });
});
