/**
 * What a landed transaction of an order books: the row, the escrow, the money and the events, in one transaction. Amounts
 * are what the chain moved, never recomputed and hoped for (F7). The order is locked by the statement that closed its
 * transaction (`chain/settle.ts`): what is read here stays.
 */
import { sql } from 'kysely';
import { fundConfirmed } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/sql.ts';
import type { EscrowIntent } from '../../domain/intents.ts';
import { formatAmount } from '../../domain/money.ts';
import { isSettled } from '../../domain/order/milestones.ts';
import type { OperationView, OrderState } from '../../domain/order/shapes.ts';
import { addDuration } from '../durations.ts';
import type { Landed } from '../chain/look.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { completeRequest } from '../signing/requests.ts';
import { refuse } from '../failure.ts';
import { moveParts } from './order-parts.ts';
import {
  type OrderEvent,
  type OrderPatch,
  type OrderRow,
  changeOrder,
  correlation,
  escrowOf,
  orderTime,
  readOrder,
} from './order-row.ts';
import { bookPayout, partOf, settlementMovements } from './order-settlement.ts';
import { funderOf } from './funder.ts';
import { balanceEvent } from './order-verbs.ts';

export async function bookDeployed(
  trx: Sql,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await readOrder(trx, orderId);
  const patch = { status: 'ESCROW_FUNDING', escrowStatus: 'CREATED', operation: succeeded(order, stored) } as const;
  const change = { contract_id: stored.contractId ?? '', transaction_hash: landed.hash };
  return record(trx, order, patch, [{ type: 'order.escrow_created', change }, { type: 'order.escrow_funding' }]);
}

export async function bookFunded(
  trx: Sql,
  deps: Deps,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await readOrder(trx, orderId);
  const escrow = escrowOf(order);
  const paid = settlementMovements(deps, order, landed).filter(({ to }) => to === escrow.contractId);
  const total = paid.reduce((sum, { amount }) => sum + amount, 0n);
  if (total !== order.amount || escrow.wallets === null)
    throw refuse('BOOKS_DIFFER', `funding moved ${formatAmount(total)} instead of ${formatAmount(order.amount)}`);
  const { marketplaceId, asset, amount, dueTimes, deadlines } = order;
  const funder = await funderOf(trx, deps, order);
  await fundConfirmed(trx, keyOf('fund', stored), {
    marketplaceId,
    asset,
    orderId,
    escrowId: escrow.id,
    funder,
    amount,
    transactionHash: landed.hash,
    ledgerSeq: landed.ledger,
  });
  const at = orderTime(order);
  const delivery = deadlines.delivery === null ? null : addDuration(at, deadlines.delivery).toISOString();
  const patch = {
    status: 'IN_PROGRESS',
    escrowStatus: 'FUNDED',
    reservation: null,
    fundedAt: at,
    // One that was extended before it began stands as it was set.
    ...(delivery === null ? {} : { dueTimes: { delivery, ...dueTimes } }),
    operation: succeeded(order, stored),
  } as const;
  const change = { amount: formatAmount(amount), asset, transaction_hash: landed.hash };
  const spent = { userId: order.buyerId, amount, transactionHash: landed.hash };
  // What was in a wallet of the buyer's own was never in our books; his request is answered.
  const debited = funder === 'EXTERNAL' ? [] : [await balanceEvent(trx, 'balance.debited', order, spent)];
  if (funder === 'EXTERNAL') await completeRequest(trx, order, stored);
  const events = [{ type: 'order.escrow_funded', change }, { type: 'order.in_progress' }] as const;
  return record(trx, order, patch, events, debited);
}

/** The work, or a milestone of it, is done: its inspection period begins. */
export async function bookDelivered(
  trx: Sql,
  intent: Extract<EscrowIntent, { kind: 'DELIVER' }>,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await readOrder(trx, intent.orderId);
  return moveParts(trx, order, {
    moves: [{ index: intent.milestoneIndex, status: 'COMPLETED' }],
    evidence: order.task?.evidence ?? [],
    transactionHash: landed.hash,
    operation: succeeded(order, stored),
    origin: originOf(order),
  });
}

/** The first of release's two transactions; irreversible, so it is remembered even if the second is proved dead. */
export async function bookApproved(
  trx: Sql,
  intent: Extract<EscrowIntent, { kind: 'APPROVE' }>,
  stored: StoredTransaction,
): Promise<OrderState> {
  const order = await markApproved(trx, await readOrder(trx, intent.orderId), intent.milestoneIndex);
  const approvedAt = order.hasMilestones ? {} : { approvedAt: orderTime(order) };
  return record(trx, order, { ...approvedAt, ...stepOf(order, stored, 'approved') }, []);
}

/** Remembers the approval of a part: of a milestone here, of the order as a whole with its next change (`approvedAt`). */
export async function markApproved(trx: Sql, order: OrderRow, index: number | null): Promise<OrderRow> {
  const { index: milestone } = partOf(order, index);
  if (milestone === null) return order;
  await sql`update milestones set approved_at = coalesce(approved_at, ${orderTime(order)})
    where order_id = ${order.id} and index = ${milestone}`.execute(trx);
  return {
    ...order,
    parts: order.parts.map((part) => (part.index === milestone ? { ...part, approved: true } : part)),
  };
}

/** The dispute that a refund needs is open on chain: from here on the money can only be shared out. */
export async function bookDisputed(trx: Sql, orderId: string, stored: StoredTransaction): Promise<OrderState> {
  const order = await readOrder(trx, orderId);
  return record(trx, order, stepOf(order, stored, 'disputed'), []);
}

/** A part was paid out, by release or refund; the operation is over when all that it is about are. */
export async function bookSettled(
  trx: Sql,
  deps: Deps,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await readOrder(trx, orderId);
  const { part, outcome, settlements, credited } = await bookPayout(trx, deps, order, stored, landed);
  const left = order.parts.filter(
    ({ index, status }) => index !== part.index && !isSettled(status) && order.task?.parts.includes(index) === true,
  );
  const operation = left.length === 0 ? succeeded(order, stored) : stepOf(order, stored, 'booked').operation;
  return moveParts(trx, order, {
    moves: [{ index: part.index, status: outcome }],
    settlements,
    others: credited,
    ...(operation === undefined ? {} : { operation }),
    origin: originOf(order),
  });
}

const keyOf = (step: string, stored: StoredTransaction) => ({
  workflowId: correlation().workflowId,
  step,
  updateId: stored.id,
});

const originOf = (order: OrderRow) => ({ request_id: order.operation?.request_id ?? null, actor: null });

function stepOf(order: OrderRow, stored: StoredTransaction, step: string): { operation?: OperationView } {
  return order.operation === null
    ? {}
    : { operation: { ...order.operation, step, transaction_hash: stored.innerHash } };
}

function succeeded(order: OrderRow, stored: StoredTransaction): OperationView {
  if (order.operation === null)
    throw refuse('BOOKS_DIFFER', `order ${order.id} has no operation for ${stored.innerHash}`);
  const finished_at = orderTime(order).toISOString();
  return { ...order.operation, status: 'SUCCEEDED', step: 'booked', transaction_hash: stored.innerHash, finished_at };
}

/** Whatever the order waited for, it went on. */
function record(
  trx: Sql,
  order: OrderRow,
  patch: OrderPatch,
  events: readonly OrderEvent[],
  others: readonly Awaited<ReturnType<typeof balanceEvent>>[] = [],
): Promise<OrderState> {
  return changeOrder(trx, order, { waitingFor: null, ...patch }, originOf(order), { events, others });
}
