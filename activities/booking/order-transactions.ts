/**
 * What a landed transaction of an order books: the row, the escrow, the money and the events, in one transaction. Amounts
 * are what the chain moved, never recomputed and hoped for (F7).
 */
import { sql } from 'kysely';
import { contractOutflow, fundConfirmed } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import { formatAmount } from '../../domain/money.ts';
import type { OperationView, OrderState } from '../../domain/order/shapes.ts';
import { addDuration } from '../durations.ts';
import type { Landed } from '../chain/look.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import {
  type EscrowRecord,
  type OrderEvent,
  type OrderPatch,
  type OrderRow,
  changeOrder,
  correlation,
  escrowOf,
  lockOrder,
} from './order-row.ts';
import { balanceEvent } from './order-verbs.ts';
import { type PaidOut, recipients } from './recipients.ts';

export async function bookDeployed(
  trx: Sql,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await lockOrder(trx, orderId);
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
  const order = await lockOrder(trx, orderId);
  const escrow = escrowOf(order);
  const paid = settlementMovements(deps, order, landed).filter(({ to }) => to === escrow.contractId);
  const total = paid.reduce((sum, { amount }) => sum + amount, 0n);
  if (total !== order.amount || escrow.wallets === null)
    throw refuse('BOOKS_DIFFER', `funding moved ${formatAmount(total)} instead of ${formatAmount(order.amount)}`);
  const { marketplaceId, asset, amount } = order;
  await fundConfirmed(trx, keyOf('fund', stored), {
    marketplaceId,
    asset,
    orderId,
    escrowId: escrow.id,
    funder: { walletId: escrow.wallets.funder.wallet_id },
    amount,
    transactionHash: landed.hash,
    ledgerSeq: landed.ledger,
  });
  const patch = {
    status: 'IN_PROGRESS',
    escrowStatus: 'FUNDED',
    reservation: null,
    fundedAt: new Date(),
    due: null,
    operation: succeeded(order, stored),
  } as const;
  const change = { amount: formatAmount(amount), asset, transaction_hash: landed.hash };
  const spent = { userId: order.buyerId, amount, transactionHash: landed.hash };
  const debited = await balanceEvent(trx, 'balance.debited', order, spent);
  const events = [{ type: 'order.escrow_funded', change }, { type: 'order.in_progress' }] as const;
  return record(trx, order, patch, events, [debited]);
}

export async function bookDelivered(
  trx: Sql,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await lockOrder(trx, orderId);
  const at = new Date();
  // Delivery starts the inspection period, at whose end the money is released without the buyer.
  const inspection = order.deadlines.inspection === null ? null : addDuration(at, order.deadlines.inspection);
  const patch = {
    deliveredAt: at,
    operation: succeeded(order, stored),
    ...(inspection === null
      ? {}
      : {
          due: { at: inspection, action: 'AUTO_RELEASE' as const },
          dueTimes: { ...order.dueTimes, inspection: inspection.toISOString() },
        }),
  };
  const evidence = stored.intent.kind === 'DELIVER' ? stored.intent.evidence : [];
  const change = { evidence, transaction_hash: landed.hash };
  return record(trx, order, patch, [{ type: 'order.delivered', change }]);
}

/** The first of release's two transactions; irreversible, so it is remembered even if the second is proved dead. */
export async function bookApproved(trx: Sql, orderId: string, stored: StoredTransaction): Promise<OrderState> {
  const order = await lockOrder(trx, orderId);
  const step =
    order.operation === null
      ? {}
      : { operation: { ...order.operation, step: 'approved', transaction_hash: stored.innerHash } };
  return record(trx, order, { approvedAt: new Date(), ...step }, []);
}

export async function bookReleased(
  trx: Sql,
  deps: Deps,
  orderId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState> {
  const order = await lockOrder(trx, orderId);
  const escrow = escrowOf(order);
  const out = settlementMovements(deps, order, landed).filter(({ from }) => from === escrow.contractId);
  const total = out.reduce((sum, { amount }) => sum + amount, 0n);
  if (total !== order.amount)
    throw refuse('BOOKS_DIFFER', `the release paid ${formatAmount(total)} instead of ${formatAmount(order.amount)}`);
  const paid = await recipients(trx, order.marketplaceId, out);
  await contractOutflow(trx, keyOf('release', stored), {
    marketplaceId: order.marketplaceId,
    asset: order.asset,
    escrowId: escrow.id,
    orderId,
    transfers: paid.map(({ to, amount }) => ({ to, amount })),
    transactionHash: landed.hash,
    ledgerSeq: landed.ledger,
  });
  const settlement = await saveSettlement(trx, deps, order, escrow, paid, landed);
  const at = new Date();
  const patch = {
    status: 'CLOSED',
    escrowStatus: 'RELEASED',
    finalStatus: 'RELEASED',
    waitingFor: null,
    due: null,
    closedAt: at,
    operation: succeeded(order, stored),
  } as const;
  const gained = { userId: order.sellerId, amount: settlement.net, transactionHash: landed.hash };
  const credited = await balanceEvent(trx, 'balance.credited', order, gained);
  return record(
    trx,
    order,
    patch,
    [
      { type: 'order.released', change: { settlements: [settlement.view], transaction_hash: landed.hash } },
      { type: 'order.closed', change: { final_status: 'RELEASED' } },
    ],
    [credited],
  );
}

/** The genuine movements of the order's asset in a landed transaction. */
export function settlementMovements(deps: Deps, order: { readonly asset: string }, landed: Landed): Movement[] {
  const asset = deps.network.assets.find(({ code }) => code === order.asset);
  return landed.movements.filter((move) => move.asset.code === asset?.code && move.asset.issuer === asset.issuer);
}

async function saveSettlement(
  trx: Sql,
  deps: Deps,
  order: OrderRow,
  escrow: EscrowRecord,
  paid: readonly PaidOut[],
  landed: Landed,
) {
  const sumTo = (address: string | undefined): bigint =>
    paid.filter((one) => one.address === address).reduce((sum, { amount }) => sum + amount, 0n);
  const protocolFee = sumTo(deps.network.feeWallet);
  const platformFee = sumTo(escrow.wallets?.platform.address);
  const net = sumTo(escrow.wallets?.receiver.address);
  const gross = protocolFee + platformFee + net;
  await sql`
    insert into settlements (order_id, transaction_hash, ordinal, user_id, party, milestone_ref, gross, protocol_fee,
      platform_fee, net, ledger)
    values (${order.id}, ${landed.hash}, 0, ${order.sellerId}, 'SELLER', null, ${gross}, ${protocolFee}, ${platformFee},
      ${net}, ${landed.ledger})
    on conflict do nothing`.execute(trx);
  const view = {
    user_id: order.sellerId,
    party: 'SELLER' as const,
    milestone_ref: null,
    gross: formatAmount(gross),
    protocol_fee: formatAmount(protocolFee),
    platform_fee: formatAmount(platformFee),
    net: formatAmount(net),
    transaction_hash: landed.hash,
    ledger: landed.ledger,
  };
  return { net, view };
}

const keyOf = (step: string, stored: StoredTransaction) => ({
  workflowId: correlation().workflowId,
  step,
  updateId: stored.id,
});

function succeeded(order: OrderRow, stored: StoredTransaction): OperationView {
  if (order.operation === null)
    throw refuse('BOOKS_DIFFER', `order ${order.id} has no operation for ${stored.innerHash}`);
  const finished_at = new Date().toISOString();
  return { ...order.operation, status: 'SUCCEEDED', step: 'booked', transaction_hash: stored.innerHash, finished_at };
}

function record(
  trx: Sql,
  order: OrderRow,
  patch: OrderPatch,
  events: readonly OrderEvent[],
  others: readonly Awaited<ReturnType<typeof balanceEvent>>[] = [],
): Promise<OrderState> {
  const requestId = order.operation?.request_id ?? null;
  // Whatever it waited for, it went on.
  return changeOrder(
    trx,
    order,
    { waitingFor: null, ...patch },
    { request_id: requestId, actor: null },
    { events, others },
  );
}
