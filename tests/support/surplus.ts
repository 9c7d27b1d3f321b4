/** What happens to the contract of an order that is over, step by step: the real activities, without Temporal. */
import { randomUUID } from 'node:crypto';
import { createOrderActivities } from '../../activities/index.ts';
import { ownMovements } from '../../activities/booking/classify.ts';
import { record } from '../../activities/booking/movements.ts';
import { createSurplusActivities } from '../../activities/surplus/index.ts';
import { proposeOrApprove } from '../../db/repair-approvals.ts';
import { inTransaction } from '../../db/sql.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { SurplusState } from '../../domain/surplus.ts';
import { orderWorkflowId, surplusWorkflowId } from '../../domain/workflow-ids.ts';
import type { CreateOrder } from '../../workflows/messages.ts';
import { asActivity } from './activity.ts';
import { type ChainWorld, type Step, deployStep } from './chain-world.ts';
import { createStranger } from './stranger.ts';

export interface Escrow {
  readonly id: string;
  readonly orderId: string;
  readonly contractId: string;
}

interface Matter {
  readonly id: string;
  readonly allowed_repairs: readonly string[];
  readonly amount: string;
  readonly suggested: string | null;
}

type Activities = ReturnType<typeof createSurplusActivities>;

export const disputeStep = ({ id, orderId }: Escrow, milestoneIndex: number | null): Step => ({
  workflowId: surplusWorkflowId(id),
  step: `dispute:${milestoneIndex}`,
  intent: { kind: 'OPEN_DISPUTE', orderId, milestoneIndex },
});
export const withdrawStep = ({ id, orderId }: Escrow, approvalId: string): Step => ({
  workflowId: surplusWorkflowId(id),
  step: `withdraw:${approvalId}`,
  intent: { kind: 'WITHDRAW_SURPLUS', orderId, approvalId },
});

/** @param world a file's, once it has begun */
export function surplusSteps(world: () => ChainWorld) {
  /** Somebody of the outside world with money. */
  const stranger = (amount: string) => {
    const { network } = world().process.deps;
    const [asset] = network.assets;
    const env = { NETWORK_PASSPHRASE: network.passphrase, ASSETS: `${asset?.code}:${asset?.issuer}` };
    const closeLedger = () => void world().sandbox.core.closeLedger();
    return createStranger({ env, sandboxUrl: world().sandbox.url, closeLedger }, amount);
  };

  /** Deployed, and not funded. */
  async function deployed(terms: Partial<CreateOrder> = {}): Promise<Escrow> {
    const orderId = await world().reserved(terms);
    await world().begin(orderId, 'escrow');
    await world().drive(deployStep(orderId));
    const [escrow] = await world().rows<{ id: string; contract_id: string }>(
      'select id, contract_id from escrows where order_id = $1',
      orderId,
    );
    if (escrow === undefined) throw new Error('the escrow has a row');
    return { id: escrow.id, orderId, contractId: escrow.contract_id };
  }

  /** What the network's reader keeps of a transaction: recorded, not booked. */
  async function seen({ id, contractId }: Escrow, hash: string, asset = 'USDC'): Promise<void> {
    const { deps } = world().process;
    const landed = await deps.rpc.transaction(hash);
    if (landed.status !== 'LANDED') throw new Error('it has landed');
    const recordings = ownMovements(contractId, landed.movements).map((own) => ({
      ownerId: id,
      movement: { ...own, movement: { ...own.movement, asset: { ...own.movement.asset, code: asset } } },
      kind: 'ESCROW' as const,
      resource: null,
    }));
    await inTransaction(deps.orm, (trx) => record(trx, deps.network.name, recordings));
  }

  const cancel = ({ orderId: order_id }: Escrow): Promise<OrderState> =>
    asActivity(orderWorkflowId(order_id), 1, () =>
      createOrderActivities(world().process.deps).cancelOrder({
        order_id,
        operation_id: `op_${randomUUID()}`,
        cause: 'API',
        request_id: null,
        actor: null,
        reason: null,
      }),
    );

  const surplus = <T>({ id }: Escrow, work: (activities: Activities) => Promise<T>): Promise<T> =>
    asActivity(surplusWorkflowId(id), 1, () => work(createSurplusActivities(world().process.deps)));
  const look = (escrow: Escrow): Promise<SurplusState> =>
    surplus(escrow, ({ lookAtSurplus }) => lookAtSurplus({ escrow_id: escrow.id }));
  const take = (escrow: Escrow, approval_id: string): Promise<void> =>
    surplus(escrow, ({ takeSurplusApproval }) => takeSurplusApproval({ escrow_id: escrow.id, approval_id }));

  const drop = (escrow: Escrow, approval_id: string): Promise<void> =>
    surplus(escrow, ({ dropSurplusApproval }) =>
      dropSurplusApproval({ escrow_id: escrow.id, approval_id, step: withdrawStep(escrow, approval_id).step }),
    );

  /** What is open on the order. */
  const matters = ({ orderId }: Escrow): Promise<Matter[]> =>
    world().rows<Matter>(
      `select a.id, a.allowed_repairs, a.detail->'detail'->'payee'->>'amount' as amount,
         (select address from repair_approvals r where r.attention_id = a.id and proposed_by is null) as suggested
       from attention a where a.resource_id = $1 and a.reason = 'SURPLUS' and cleared_at is null`,
      orderId,
    );

  /** Asks for a payout as somebody. */
  async function say(
    escrow: Escrow,
    person: string,
    address: string,
  ): Promise<{ status: string; approval_id: string }> {
    const [matter] = await matters(escrow);
    const said = await inTransaction(world().process.deps.orm, (trx) =>
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
    await say(escrow, 'ann', address);
    const { status, approval_id } = await say(escrow, 'bob', address);
    if (status !== 'APPROVED') throw new Error('another person has approved');
    return approval_id;
  }

  /** The steps of a payout, as the workflow drives them. */
  async function pay(escrow: Escrow): Promise<void> {
    const { approval_id, open_parts } = await look(escrow);
    if (approval_id === null) throw new Error('nobody agreed');
    const disputes = open_parts.map((index) => disputeStep(escrow, index));
    for (const step of [...disputes, withdrawStep(escrow, approval_id)])
      if ((await world().drive(step)).status !== 'LANDED') throw new Error(`${step.step} has not landed`);
  }

  const held = async (address: string): Promise<bigint> => {
    const { rpc, network } = world().process.deps;
    const [asset] = network.assets;
    return asset === undefined ? 0n : (await rpc.assetBalance(address, asset)).value;
  };

  /** Over, with `stroops` left that go to whom two persons named. */
  async function agreed(stroops: bigint) {
    const escrow = await deployed();
    const outside = await stranger('100');
    await seen(escrow, (await outside.payContract(escrow.contractId, stroops)).hash);
    await cancel(escrow);
    await look(escrow);
    const approval_id = await agree(escrow, outside.address);
    await take(escrow, approval_id);
    return { escrow, outside, approval_id };
  }

  return { stranger, deployed, seen, cancel, look, take, drop, matters, say, agree, pay, held, agreed };
}
