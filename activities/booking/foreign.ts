/**
 * A transaction that is not ours moved money on an order's contract: anyone may pay into it (F30). Booked from the
 * chain's own transfers; the order's status does not change.
 */
import { contractInflow, contractOutflow } from '../../db/ledger/balances.ts';
import { inTransaction } from '../../db/sql.ts';
import { ProviderError } from '../../providers/errors.ts';
import { isOurs } from '../chain/misread.ts';
import type { Deps } from '../context.ts';
import { waitFor } from '../failure.ts';
import { correlation, escrowOf, lockOrder } from './order-row.ts';
import { settlementMovements } from './order-settlement.ts';
import { recipients } from './recipients.ts';

export function createForeignBooking(deps: Deps) {
  return {
    async bookForeignTransaction(input: { order_id: string; transaction_hash: string }): Promise<void> {
      const landed = await find(deps, input.transaction_hash);
      if (!landed.successful) return;
      await inTransaction(deps.orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        // Adopted meanwhile: the step that it belongs to books it.
        if (await isOurs(trx, [input.transaction_hash, landed.hash])) return;
        const escrow = escrowOf(order);
        const moves = settlementMovements(deps, order, landed);
        const chain = { transactionHash: landed.hash, ledgerSeq: landed.ledger };
        const common = {
          marketplaceId: order.marketplaceId,
          asset: order.asset,
          escrowId: escrow.id,
          orderId: order.id,
          ...chain,
        };
        const key = (step: string) => ({ workflowId: correlation().workflowId, step: `${step}/${landed.hash}` });
        const inflow = moves.filter(({ to }) => to === escrow.contractId).reduce((sum, { amount }) => sum + amount, 0n);
        if (inflow > 0n) await contractInflow(trx, key('foreign-in'), { ...common, amount: inflow });
        const out = moves.filter(({ from }) => from === escrow.contractId);
        if (out.length > 0)
          await contractOutflow(trx, key('foreign-out'), {
            ...common,
            transfers: await recipients(trx, order.marketplaceId, out),
          });
      });
    },
  };
}

async function find(deps: Deps, hash: string) {
  try {
    const outcome = await deps.rpc.transaction(hash);
    if (outcome.status === 'LANDED') return outcome;
    throw waitFor('PENDING', `${hash} is not visible yet`);
  } catch (error) {
    if (error instanceof ProviderError) throw waitFor('PROVIDER', error.message, error.retryAfterMs ?? undefined);
    throw error;
  }
}
