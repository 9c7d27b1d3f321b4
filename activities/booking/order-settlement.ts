/**
 * What a payout of an escrow contract books: the ledger and the settlements, from what the chain moved, never recomputed
 * and hoped for (F7). Orders and disputes share it; it changes no row of either.
 */
import { sql } from 'kysely';
import { contractOutflow } from '../../db/ledger/balances.ts';
import { InsufficientFunds } from '../../db/ledger/post.ts';
import type { Sql } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import { formatAmount } from '../../domain/money.ts';
import { type Settled, RELEASE, distribute, settle } from '../../domain/order/settlement.ts';
import type { SettlementView } from '../../domain/resources/order.ts';
import type { Landed } from '../chain/look.ts';
import { isPaidOut } from '../chain/misread.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { payeesOf, sharesOf } from '../escrow/payees.ts';
import { refuse, waitFor } from '../failure.ts';
import { type OrderRow, type Part, correlation, escrowOf } from './order-row.ts';
import { balanceEvent } from './order-verbs.ts';
import { type PaidOut, recipients } from './recipients.ts';

interface Payout {
  readonly part: Part;
  readonly outcome: 'RELEASED' | 'REFUNDED' | 'SPLIT';
  readonly settlements: readonly SettlementView[];
  /** `balance.credited` of everybody of ours who was paid */
  readonly credited: readonly Awaited<ReturnType<typeof balanceEvent>>[];
}

/**
 * Books a landed RELEASE or RESOLVE_DISPUTE.
 * @throws ApplicationFailure BOOKS_DIFFER when the chain paid something else than was shared out
 */
export async function bookPayout(
  trx: Sql,
  deps: Deps,
  order: OrderRow,
  stored: StoredTransaction,
  landed: Landed,
): Promise<Payout> {
  const { intent } = stored;
  if (intent.kind !== 'RELEASE' && intent.kind !== 'RESOLVE_DISPUTE') throw new Error(`${intent.kind} pays nobody`);
  const escrow = escrowOf(order);
  const part = partOf(order, intent.milestoneIndex);
  const out = settlementMovements(deps, order, landed).filter(({ from }) => from === escrow.contractId);
  const total = out.reduce((sum, { amount }) => sum + amount, 0n);
  // A resolution of the whole order shares out whatever a stranger put in besides.
  const base =
    intent.kind === 'RESOLVE_DISPUTE' && part.index === null ? BigInt(intent.base ?? part.amount) : part.amount;
  if (total !== base)
    throw refuse('BOOKS_DIFFER', `the contract paid ${formatAmount(total)} instead of ${formatAmount(base)}`);
  const paid = await recipients(trx, order.marketplaceId, out);
  // One that is adopted may have been booked before, as a transaction that was not ours.
  if (stored.status !== 'CONFIRMED' || !(await isPaidOut(trx, stored, landed)))
    await post(trx, order, stored, landed, paid);
  const paidTo = (address: string): bigint =>
    paid.filter((one) => one.address === address).reduce((sum, { amount }) => sum + amount, 0n);
  const shares = intent.kind === 'RELEASE' ? RELEASE : sharesOf(intent);
  const settled = settle(distribute(base, shares, payeesOf(order, part)), escrow.platformFeeBps, paidTo);
  const settlements = await saveSettlements(trx, order, part, settled, landed);
  const credited: Awaited<ReturnType<typeof balanceEvent>>[] = [];
  for (const { address, net } of settled) {
    const to = paid.find((one) => one.address === address)?.to;
    if (to?.kind !== 'USER') continue;
    // Whose wallet it is, which need not be the party's.
    const gained = { userId: to.userId, amount: net, transactionHash: landed.hash };
    credited.push(await balanceEvent(trx, 'balance.credited', order, gained));
  }
  const outcome = shares.buyer === 0n ? 'RELEASED' : shares.seller === 0n ? 'REFUNDED' : 'SPLIT';
  return { part, outcome, settlements, credited };
}

/** @throws ApplicationFailure BOOKS_DIFFER when the order has no such part */
export function partOf(order: OrderRow, index: number | null): Part {
  const part = order.parts.find((candidate) => candidate.index === index);
  if (part === undefined) throw refuse('BOOKS_DIFFER', `order ${order.id} has no milestone ${index}`);
  return part;
}

async function post(trx: Sql, order: OrderRow, stored: StoredTransaction, landed: Landed, paid: readonly PaidOut[]) {
  const index =
    stored.intent.kind === 'RELEASE' || stored.intent.kind === 'RESOLVE_DISPUTE' ? stored.intent.milestoneIndex : null;
  try {
    await contractOutflow(
      trx,
      { workflowId: correlation().workflowId, step: 'payout', updateId: stored.id },
      {
        marketplaceId: order.marketplaceId,
        asset: order.asset,
        escrowId: escrowOf(order).id,
        orderId: order.id,
        transfers: paid.map(({ to, amount }) => ({ to, amount, ...(index === null ? {} : { milestoneIndex: index }) })),
        transactionHash: landed.hash,
        ledgerSeq: landed.ledger,
      },
    );
  } catch (error) {
    // Somebody else's money went out with it, and its way in is not in the books yet: the chain's reader is on its way.
    if (error instanceof InsufficientFunds) throw waitFor('PENDING', 'a payment into the contract is not booked yet');
    throw error;
  }
}

/** The genuine movements of the order's asset in a landed transaction. */
export function settlementMovements(deps: Deps, order: { readonly asset: string }, landed: Landed): Movement[] {
  const asset = deps.network.assets.find(({ code }) => code === order.asset);
  return landed.movements.filter((move) => move.asset.code === asset?.code && move.asset.issuer === asset.issuer);
}

async function saveSettlements(
  trx: Sql,
  order: OrderRow,
  part: Part,
  settled: readonly Settled[],
  landed: Landed,
): Promise<SettlementView[]> {
  for (const [ordinal, { userId, party, gross, protocolFee, platformFee, net }] of settled.entries())
    await sql`
      insert into settlements (order_id, transaction_hash, ordinal, user_id, party, milestone_ref, gross, protocol_fee,
        platform_fee, net, ledger)
      values (${order.id}, ${landed.hash}, ${ordinal}, ${userId}, ${party}, ${part.ref}, ${gross}, ${protocolFee},
        ${platformFee}, ${net}, ${landed.ledger})
      on conflict do nothing`.execute(trx);
  return settled.map(({ userId, party, gross, protocolFee, platformFee, net }) => ({
    user_id: userId,
    party,
    milestone_ref: part.ref,
    gross: formatAmount(gross),
    protocol_fee: formatAmount(protocolFee),
    platform_fee: formatAmount(platformFee),
    net: formatAmount(net),
    transaction_hash: landed.hash,
    ledger: landed.ledger,
  }));
}
