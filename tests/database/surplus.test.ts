/**
 * Money in the contract of an order that is over: booked, shown, and paid out once, on the word of two persons and for no
 * more than they saw; of a contract that never was funded its parts are put into dispute first.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createOrderActivities } from '../../activities/index.ts';
import { ownMovements } from '../../activities/booking/classify.ts';
import { record } from '../../activities/booking/movements.ts';
import { createSurplusActivities } from '../../activities/surplus/index.ts';
import { proposeOrApprove } from '../../db/repair-approvals.ts';
import { balance } from '../../db/ledger/statement.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { SurplusState } from '../../domain/surplus.ts';
import { orderWorkflowId, surplusWorkflowId } from '../../domain/workflow-ids.ts';
import type { CreateOrder } from '../../workflows/messages.ts';
import { asActivity } from '../support/activity.ts';
import { type ChainWorld, type Step, deployStep, startChainWorld } from '../support/chain-world.ts';
import { createStranger } from '../support/stranger.ts';

let world: ChainWorld;
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());
afterEach(() => world.expectSettled());

const stranger = (amount: string) => {
  const { network } = world.process.deps;
  const [asset] = network.assets;
  const env = { NETWORK_PASSPHRASE: network.passphrase, ASSETS: `${asset?.code}:${asset?.issuer}` };
  const closeLedger = () => void world.sandbox.core.closeLedger();
  return createStranger({ env, sandboxUrl: world.sandbox.url, closeLedger }, amount);
};

interface Escrow {
  readonly id: string;
  readonly orderId: string;
  readonly contractId: string;
}

/** Deployed, and not funded. */
async function deployed(terms: Partial<CreateOrder> = {}): Promise<Escrow> {
  const orderId = await world.reserved(terms);
  await world.begin(orderId, 'escrow');
  await world.drive(deployStep(orderId));
  const [escrow] = await world.rows<{ id: string; contract_id: string }>(
    'select id, contract_id from escrows where order_id = $1',
    orderId,
  );
  if (escrow === undefined) throw new Error('the escrow has a row');
  return { id: escrow.id, orderId, contractId: escrow.contract_id };
}

/** What the network's reader keeps of a transaction: recorded, not booked. */
async function seen({ id, contractId }: Escrow, hash: string): Promise<void> {
  const { deps } = world.process;
  const landed = await deps.rpc.transaction(hash);
  if (landed.status !== 'LANDED') throw new Error('it has landed');
  const recordings = ownMovements(contractId, landed.movements).map((movement) => ({
    ownerId: id,
    movement,
    kind: 'ESCROW' as const,
    resource: null,
  }));
  await inTransaction(deps.orm, (trx) => record(trx, deps.network.name, recordings));
}

const cancel = ({ orderId: order_id }: Escrow): Promise<OrderState> =>
  asActivity(orderWorkflowId(order_id), 1, () =>
    createOrderActivities(world.process.deps).cancelOrder({
      order_id,
      operation_id: `op_${randomUUID()}`,
      cause: 'API',
      request_id: null,
      actor: null,
      reason: null,
    }),
  );

type Activities = ReturnType<typeof createSurplusActivities>;
const surplus = <T>({ id }: Escrow, work: (activities: Activities) => Promise<T>): Promise<T> =>
  asActivity(surplusWorkflowId(id), 1, () => work(createSurplusActivities(world.process.deps)));
const look = (escrow: Escrow): Promise<SurplusState> =>
  surplus(escrow, ({ lookAtSurplus }) => lookAtSurplus({ escrow_id: escrow.id }));
const take = (escrow: Escrow, approval_id: string): Promise<void> =>
  surplus(escrow, ({ takeSurplusApproval }) => takeSurplusApproval({ escrow_id: escrow.id, approval_id }));

interface Matter {
  readonly id: string;
  readonly allowed_repairs: readonly string[];
  readonly amount: string;
  readonly suggested: string | null;
}

/** What is open on the order. */
const matters = ({ orderId }: Escrow): Promise<Matter[]> =>
  world.rows<Matter>(
    `select a.id, a.allowed_repairs, a.detail->'detail'->'payee'->>'amount' as amount,
       (select address from repair_approvals r where r.attention_id = a.id and proposed_by is null) as suggested
     from attention a where a.resource_id = $1 and a.reason = 'SURPLUS' and cleared_at is null`,
    orderId,
  );

/** Asks for a payout as somebody. */
async function say(escrow: Escrow, person: string, address: string): Promise<{ status: string; approval_id: string }> {
  const [matter] = await matters(escrow);
  const said = await inTransaction(world.process.deps.orm, (trx) =>
    proposeOrApprove(trx, {
      attentionId: matter?.id ?? '',
      action: 'payout_to',
      address,
      reason: null,
      by: { key: `key_${person}`, person },
    }),
  );
  if (said === null) throw new Error('nothing to decide');
  return said;
}

async function agree(escrow: Escrow, address: string): Promise<string> {
  expect(await say(escrow, 'ann', address)).toMatchObject({ status: 'PROPOSED' });
  const { status, approval_id } = await say(escrow, 'bob', address);
  expect(status).toBe('APPROVED');
  return approval_id;
}

/** The steps of a payout, as the workflow drives them. */
async function pay(escrow: Escrow): Promise<void> {
  const { order_id: orderId, approval_id: approvalId, open_parts } = await look(escrow);
  if (approvalId === null) throw new Error('nobody agreed');
  const workflowId = surplusWorkflowId(escrow.id);
  const disputes = open_parts.map(
    (milestoneIndex): Step => ({
      workflowId,
      step: `dispute:${milestoneIndex}`,
      intent: { kind: 'OPEN_DISPUTE', orderId, milestoneIndex },
    }),
  );
  const withdrawal: Step = {
    workflowId,
    step: `withdraw:${approvalId}`,
    intent: { kind: 'WITHDRAW_SURPLUS', orderId, approvalId },
  };
  for (const step of [...disputes, withdrawal]) expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
}

const held = async (address: string): Promise<bigint> => {
  const { rpc, network } = world.process.deps;
  const [asset] = network.assets;
  return asset === undefined ? 0n : (await rpc.assetBalance(address, asset)).value;
};

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

    const step = `withdraw:${approval_id}`;
    await surplus(escrow, ({ dropSurplusApproval }) =>
      dropSurplusApproval({ escrow_id: escrow.id, approval_id, step }),
    );
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
