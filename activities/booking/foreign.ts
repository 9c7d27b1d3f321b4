/**
 * A transaction that is not ours moved money on an order's contract: anyone may pay into it (F30). Booked from the
 * chain's own transfers; the order's status does not change.
 */
import { sql } from 'kysely';
import { contractInflow, contractOutflow } from '../../db/ledger/balances.ts';
import { type Sql, inTransaction } from '../../db/sql.ts';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import { ProviderError } from '../../providers/errors.ts';
import { findLanded } from '../chain/look.ts';
import { isOurs } from '../chain/misread.ts';
import type { Deps } from '../context.ts';
import { waitFor } from '../failure.ts';
import { UNBOOKED } from '../surplus/opening.ts';
import { wakeSurplus } from '../surplus/wake.ts';
import { escrowOf, lockOrder } from './order-row.ts';
import { settlementMovements } from './order-settlement.ts';
import { recipients } from './recipients.ts';

export function createForeignBooking(deps: Deps) {
  return {
    async bookForeignTransaction(input: { order_id: string; transaction_hash: string }): Promise<void> {
      const closed = await bookForeign(deps, input.order_id, input.transaction_hash);
      // It came while the order was closing: nobody else would look at it any more.
      if (closed) await wakeSurplus(deps, input.order_id);
    },
  };
}

/**
 * Books it once, whoever calls: the step names the order and the hash.
 * @returns whether the order is over
 */
export async function bookForeign(deps: Deps, orderId: string, hash: string): Promise<boolean> {
  const landed = await find(deps, hash);
  return inTransaction(deps.orm, async (trx) => {
    const order = await lockOrder(trx, orderId);
    const closed = order.status === 'CLOSED';
    // Adopted meanwhile: the step that it belongs to books it.
    if (!landed.successful || (await isOurs(trx, [hash, landed.hash]))) return closed;
    const escrow = escrowOf(order);
    const moves = settlementMovements(deps, order, landed);
    const common = {
      marketplaceId: order.marketplaceId,
      asset: order.asset,
      escrowId: escrow.id,
      orderId,
      transactionHash: landed.hash,
      ledgerSeq: landed.ledger,
    };
    const key = (step: string) => ({ workflowId: orderWorkflowId(orderId), step: `${step}/${landed.hash}` });
    const inflow = moves.filter(({ to }) => to === escrow.contractId).reduce((sum, { amount }) => sum + amount, 0n);
    if (inflow > 0n) await contractInflow(trx, key('foreign-in'), { ...common, amount: inflow });
    const out = moves.filter(({ from }) => from === escrow.contractId);
    if (out.length > 0)
      await contractOutflow(trx, key('foreign-out'), {
        ...common,
        transfers: await recipients(trx, order.marketplaceId, out),
      });
    return closed;
  });
}

/** Hashes of the transactions on one contract that nobody has booked. */
export async function unbookedOn(db: Sql, escrowId: string): Promise<string[]> {
  const { rows } = await sql<{ hash: string }>`
    select distinct m.transaction_hash as hash from escrows e join movements m on ${UNBOOKED}
    where e.id = ${escrowId}`.execute(db);
  return rows.map(({ hash }) => hash);
}

async function find(deps: Deps, hash: string) {
  try {
    const landed = await findLanded(deps, hash);
    if (landed !== null) return landed;
    throw waitFor('PENDING', `${hash} is not visible yet`);
  } catch (error) {
    if (error instanceof ProviderError) throw waitFor('PROVIDER', error.message, error.retryAfterMs ?? undefined);
    throw error;
  }
}
