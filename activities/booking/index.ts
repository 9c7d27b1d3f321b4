/** What follows from a landed transaction, by its intent; runs in the transaction that marks it as confirmed. */
import type { Sql } from '../../db/sql.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { Landed } from '../chain/settle.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { bookApproved, bookDelivered, bookDeployed, bookFunded, bookReleased } from './order-transactions.ts';
import { correlation } from './order-row.ts';
import { bookProvisioning } from './provisioning.ts';

export async function bookLanded(
  trx: Sql,
  deps: Deps,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState | null> {
  const { intent } = stored;
  switch (intent.kind) {
    case 'DEPLOY_ESCROW':
      return bookDeployed(trx, intent.orderId, stored, landed);
    case 'FUND_ESCROW':
      return bookFunded(trx, deps, intent.orderId, stored, landed);
    case 'DELIVER':
      return bookDelivered(trx, intent.orderId, stored, landed);
    case 'APPROVE':
      return bookApproved(trx, intent.orderId, stored);
    case 'RELEASE':
      return bookReleased(trx, deps, intent.orderId, stored, landed);
    case 'PROVISION_WALLETS': {
      const outcome = { ledger: landed.ledger, transactionHash: stored.innerHash };
      await bookProvisioning(trx, deps, intent.batchId, outcome, correlation());
      return null;
    }
  }
}
