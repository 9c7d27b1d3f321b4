/** The verbs of an order that touch no chain: one transaction each, idempotent by the operation's id. */
import { sql } from 'kysely';
import { cancelReservation, reserve } from '../../db/ledger/balances.ts';
import { InsufficientFunds } from '../../db/ledger/post.ts';
import { userResource } from '../../db/resources/user.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { PaymentProviderName } from '../../domain/statuses.ts';
import type { CreateOrder } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';
import { addDuration } from '../durations.ts';
import { refuse } from '../failure.ts';
import { demandOpenWallets } from '../wallets/closing.ts';
import { doneOperation } from '../operation.ts';
import {
  type OperationInput,
  type OrderRow,
  changeOrder,
  correlation,
  demand,
  isRepeat,
  lockOrder,
  mayLand,
  readOrder,
  orderTime,
  recordCreation,
  refuseVerb,
  stateOf,
} from './order-row.ts';

export function createOrderVerbs(deps: Deps) {
  const { orm } = deps;
  return {
    /** Inserts the order, or finds it: a repeated creation and a reset go on from the row as it is. */
    async createOrder(request: CreateOrder): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const inserted = await insertOrder(trx, request);
        // Nobody else knows a row that was inserted just now.
        const order = await (inserted ? readOrder : lockOrder)(trx, request.order_id);
        if (inserted) {
          const sellers = (request.milestones ?? []).map(({ seller_id }) => seller_id);
          await demandOpenWallets(trx, [request.buyer_id, request.seller_id, ...sellers]);
          await recordCreation(trx, order, request);
        }
        return stateOf(order);
      });
    },

    async loadOrder(input: { order_id: string }): Promise<OrderState & { readonly marketplace_id: string }> {
      const order = await readOrder(pool(orm), input.order_id);
      return { ...stateOf(order), marketplace_id: order.marketplaceId };
    },

    /**
     * Holds the buyer's money. By `auto`, too little money is no failure: the order waits for a deposit.
     * @returns `ask_chain` when the money is in a wallet whose key the buyer holds: `reserveOwnFunds` looks there
     * @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_FUNDS, USER_SUSPENDED
     */
    reserveFunds: (input: OperationInput): Promise<OrderState | AskChain> => reserveWith(deps, input, null),

    /** Cancels before funding: the reservation is voided, nobody "puts money back" (F22). By deadline: EXPIRED. */
    cancelOrder: (input: OperationInput): Promise<OrderState> => inTransaction(orm, (trx) => cancelInside(trx, input)),
  };
}

/** What the buyer has is not in our books. */
interface AskChain {
  readonly ask_chain: true;
}

/**
 * @param onChain what the buyer's own wallet holds, stroops; null when nobody looked
 * @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_FUNDS, USER_SUSPENDED
 */
export async function reserveWith(
  deps: Deps,
  input: OperationInput,
  onChain: bigint | null,
): Promise<OrderState | AskChain> {
  const { orm } = deps;
  try {
    return await inTransaction(orm, (trx) => reserveInside(trx, deps, input, onChain));
  } catch (error) {
    if (!(error instanceof InsufficientFunds)) throw error;
    if (input.cause !== 'AUTO')
      throw refuse('INSUFFICIENT_FUNDS', 'the available balance is less than the order amount');
    return inTransaction(orm, async (trx) => {
      const order = await lockOrder(trx, input.order_id);
      if (order.waitingFor === 'DEPOSIT') return stateOf(order);
      return changeOrder(trx, order, { waitingFor: 'DEPOSIT' }, input);
    });
  }
}

async function cancelInside(trx: Sql, input: OperationInput): Promise<OrderState> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'cancel');
  if (await mayLand(trx, order.id)) refuseVerb(order, 'cancel: a transaction of this order may still land');
  if (input.cause === 'DEADLINE') {
    const { funding } = order.dueTimes;
    if (funding === undefined || input.deadline_at === undefined || funding > input.deadline_at)
      refuseVerb(order, 'cancel: the funding deadline was moved');
    if (order.paused) return changeOrder(trx, order, { waitingFor: 'RESUME' }, input);
  }
  const { marketplaceId, id: orderId } = order;
  const held = order.reservation === 'HELD';
  if (held) await cancelReservation(trx, keyOf('cancel', input), { marketplaceId, orderId });
  const at = orderTime(order);
  const finalStatus = input.cause === 'DEADLINE' ? 'EXPIRED' : 'CANCELED';
  const patch = {
    status: 'CLOSED',
    finalStatus,
    reservation: null,
    waitingFor: null,
    closedAt: at,
    operation: doneOperation(input, 'cancel', at),
  } as const;
  const returned = held ? [await balanceEvent(trx, 'balance.released', order)] : [];
  const events = [
    { type: 'order.canceled', change: { final_status: finalStatus, reason: input.reason } },
    { type: 'order.closed', change: { final_status: finalStatus } },
  ] as const;
  return changeOrder(trx, order, patch, input, { events, others: returned });
}

const keyOf = (step: string, input: OperationInput) => ({
  workflowId: correlation().workflowId,
  step,
  updateId: input.operation_id,
});

async function reserveInside(
  trx: Sql,
  deps: Deps,
  input: OperationInput,
  onChain: bigint | null,
): Promise<OrderState | AskChain> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'reserve');
  const { rows } = await sql<{ id: string; status: string; provider: PaymentProviderName }>`
    select u.id, u.status, w.provider from users u join wallets w on w.user_id = u.id and w.kind = 'USER'
    where u.id = any(${[order.buyerId, order.sellerId, ...order.parts.map(({ sellerId }) => sellerId)]})`.execute(trx);
  const suspended = rows.find(({ status }) => status === 'SUSPENDED');
  if (suspended !== undefined) throw refuse('USER_SUSPENDED', `user ${suspended.id} is suspended`);
  const { marketplaceId, buyerId, asset, amount } = order;
  const provider = rows.find(({ id }) => id === buyerId)?.provider ?? 'crypto-native';
  const held = deps.payments[provider].custodial;
  if (!held && onChain === null) return { ask_chain: true };
  if (!held && (onChain ?? 0n) < amount) throw new InsufficientFunds('external');
  if (held) await reserve(trx, keyOf('reserve', input), { marketplaceId, buyerId, orderId: order.id, asset, amount });
  const at = orderTime(order);
  const patch = {
    status: 'FUNDS_RESERVED',
    // Nothing can be held back in a wallet whose key the buyer has.
    reservation: held ? 'HELD' : 'UNGUARANTEED',
    waitingFor: null,
    reservedAt: at,
    operation: doneOperation(input, 'reserve', at),
  } as const;
  const change = { amount: formatAmount(amount), asset };
  const others = held ? [await balanceEvent(trx, 'balance.reserved', order)] : [];
  return changeOrder(trx, order, patch, input, { events: [{ type: 'order.funds_reserved', change }], others });
}

/** What the order did to its buyer's balance, as an event of the user. */
export async function balanceEvent(
  trx: Sql,
  type: 'balance.reserved' | 'balance.released' | 'balance.debited' | 'balance.credited',
  order: OrderRow,
  of: { userId: string; amount: bigint; transactionHash: string | null } = {
    userId: order.buyerId,
    amount: order.amount,
    transactionHash: null,
  },
) {
  return {
    type,
    resource: { type: 'user', id: of.userId },
    object: await userResource(trx, of.userId),
    change: {
      amount: formatAmount(of.amount),
      asset: order.asset,
      resource: { type: 'order', id: order.id },
      transaction_hash: of.transactionHash,
    },
  } as const;
}

/** @returns false when the order is there already; @throws ApplicationFailure CLIENT_REF_REUSED */
async function insertOrder(trx: Sql, request: CreateOrder): Promise<boolean> {
  const { rows: clocks } = await sql<{ at: Date | string }>`
    select marketplace_now(${request.marketplace_id}) as at`.execute(trx);
  const at = new Date(clocks[0]?.at ?? Date.now());
  const funding = request.deadlines.funding === null ? null : addDuration(at, request.deadlines.funding);
  const { rows } = await sql<{ id: string }>`
    insert into orders (id, marketplace_id, client_order_ref, body_hash, buyer_id, seller_id, amount, asset, title,
      description, platform_fee_bps, auto, status, deadlines, due_times, due_at, due_action, metadata, created_at, updated_at)
    values (${request.order_id}, ${request.marketplace_id}, ${request.client_order_ref}, ${request.body_hash},
      ${request.buyer_id}, ${request.seller_id}, ${parseAmount(request.amount)}, ${request.asset}, ${request.title},
      ${request.description}, ${request.platform_fee_bps}, ${request.auto}, 'ORDER_CREATED',
      ${JSON.stringify(request.deadlines)}, ${JSON.stringify(funding === null ? {} : { funding: funding.toISOString() })},
      ${funding}, ${funding === null ? null : 'EXPIRE'}, ${JSON.stringify(request.metadata)}, ${at}, ${at})
    on conflict do nothing returning id`.execute(trx);
  if (rows[0] !== undefined) {
    await insertMilestones(trx, request);
    return true;
  }
  const taken = await sql<{ id: string }>`
    select id from orders where marketplace_id = ${request.marketplace_id}
      and client_order_ref = ${request.client_order_ref} and id <> ${request.order_id}`.execute(trx);
  if (taken.rows[0] !== undefined)
    throw refuse('CLIENT_REF_REUSED', 'the reference names another order', { order_id: taken.rows[0].id });
  return false;
}

/** In the order in which they were stated: that is their index in the contract. */
async function insertMilestones(trx: Sql, { order_id, milestones = [] }: CreateOrder): Promise<void> {
  if (milestones.length === 0) return;
  const rows = milestones.map(({ amount, ...milestone }, index) => ({
    ...milestone,
    index,
    amount: parseAmount(amount).toString(),
  }));
  await sql`
    insert into milestones (order_id, index, milestone_ref, title, amount, seller_id, status)
    select ${order_id}, index, milestone_ref, title, amount, seller_id, 'OPEN'
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as t(index int, milestone_ref text, title text,
      amount bigint, seller_id text)`.execute(trx);
}
