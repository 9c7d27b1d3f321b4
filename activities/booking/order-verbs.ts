/** The verbs of an order that touch no chain: one transaction each, idempotent by the operation's id. */
import { sql } from 'kysely';
import { cancelReservation, reserve } from '../../db/ledger/balances.ts';
import { InsufficientFunds } from '../../db/ledger/post.ts';
import { userResource } from '../../db/resources/user.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { CreateOrder } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';
import { addDuration } from '../durations.ts';
import { refuse } from '../failure.ts';
import {
  type OperationInput,
  type OrderRow,
  changeOrder,
  correlation,
  demand,
  doneOperation,
  isRepeat,
  lockOrder,
  readOrder,
  recordCreation,
  stateOf,
} from './order-row.ts';

export function createOrderVerbs({ orm }: Deps) {
  return {
    /** Inserts the order, or finds it: a repeated creation and a reset go on from the row as it is. */
    async createOrder(request: CreateOrder): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const inserted = await insertOrder(trx, request);
        const order = await lockOrder(trx, request.order_id);
        if (inserted) await recordCreation(trx, order, request);
        return stateOf(order);
      });
    },

    async loadOrder(input: { order_id: string }): Promise<OrderState> {
      return stateOf(await readOrder(pool(orm), input.order_id));
    },

    /**
     * Holds the buyer's money. By `auto`, too little money is no failure: the order waits for a deposit.
     * @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_FUNDS, USER_SUSPENDED
     */
    async reserveFunds(input: OperationInput): Promise<OrderState> {
      try {
        return await inTransaction(orm, (trx) => reserveInside(trx, input));
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
    },

    /** Cancels before funding: the reservation is voided, nobody "puts money back" (F22). By deadline: EXPIRED. */
    cancelOrder: (input: OperationInput): Promise<OrderState> => inTransaction(orm, (trx) => cancelInside(trx, input)),

    /** @throws ApplicationFailure VALIDATION_ERROR when the new time is not later than the old one */
    extendDeadline: (input: ExtendInput): Promise<OrderState> => inTransaction(orm, (trx) => extendInside(trx, input)),
  };
}

type ExtendInput = OperationInput & { readonly deadline: string; readonly due_at: string };

async function cancelInside(trx: Sql, input: OperationInput): Promise<OrderState> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'cancel');
  const { marketplaceId, id: orderId } = order;
  const held = order.reservation === 'HELD';
  if (held) await cancelReservation(trx, keyOf('cancel', input), { marketplaceId, orderId });
  const at = new Date();
  const finalStatus = input.cause === 'DEADLINE' ? 'EXPIRED' : 'CANCELED';
  const patch = {
    status: 'CLOSED',
    finalStatus,
    reservation: null,
    waitingFor: null,
    due: null,
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

async function extendInside(trx: Sql, input: ExtendInput): Promise<OrderState> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'extend');
  const due = new Date(input.due_at);
  const old = order.dueTimes[input.deadline];
  if (input.deadline !== 'funding' || old === undefined)
    throw pointed('/deadline', 'NOT_RUNNING', `the ${input.deadline} deadline does not run`);
  if (due <= new Date(old)) throw pointed('/due_at', 'NOT_LATER', `the deadline is ${old} already`);
  const patch = {
    dueTimes: { ...order.dueTimes, [input.deadline]: due.toISOString() },
    due: { at: due, action: 'EXPIRE' },
    operation: doneOperation(input, 'extend', new Date()),
  } as const;
  const change = { deadline: input.deadline, due_at: due.toISOString(), reason: input.reason };
  return changeOrder(trx, order, patch, input, { events: [{ type: 'order.extended', change }] });
}

const keyOf = (step: string, input: OperationInput) => ({
  workflowId: correlation().workflowId,
  step,
  updateId: input.operation_id,
});

const pointed = (pointer: string, code: string, detail: string) =>
  refuse('VALIDATION_ERROR', detail, { errors: [{ pointer, code, detail }] });

async function reserveInside(trx: Sql, input: OperationInput): Promise<OrderState> {
  const order = await lockOrder(trx, input.order_id);
  if (isRepeat(order, input.operation_id)) return stateOf(order);
  demand(order, 'reserve');
  const { rows } = await sql<{ id: string }>`
    select id from users where id in (${order.buyerId}, ${order.sellerId}) and status = 'SUSPENDED'`.execute(trx);
  if (rows[0] !== undefined) throw refuse('USER_SUSPENDED', `user ${rows[0].id} is suspended`);
  const { marketplaceId, buyerId, asset, amount } = order;
  await reserve(trx, keyOf('reserve', input), { marketplaceId, buyerId, orderId: order.id, asset, amount });
  const at = new Date();
  const patch = {
    status: 'FUNDS_RESERVED',
    reservation: 'HELD',
    waitingFor: null,
    reservedAt: at,
    operation: doneOperation(input, 'reserve', at),
  } as const;
  const change = { amount: formatAmount(amount), asset };
  const held = await balanceEvent(trx, 'balance.reserved', order);
  return changeOrder(trx, order, patch, input, { events: [{ type: 'order.funds_reserved', change }], others: [held] });
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
  const at = new Date();
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
  if (rows[0] !== undefined) return true;
  const taken = await sql<{ id: string }>`
    select id from orders where marketplace_id = ${request.marketplace_id}
      and client_order_ref = ${request.client_order_ref} and id <> ${request.order_id}`.execute(trx);
  if (taken.rows[0] !== undefined)
    throw refuse('CLIENT_REF_REUSED', 'the reference names another order', { order_id: taken.rows[0].id });
  return false;
}
