/** What follows from a landed transaction, by its intent; runs in the transaction that marks it as confirmed. */
import type { Sql } from '../../db/sql.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { Landed } from '../chain/look.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { bookDecided, disputeOf } from '../disputes/resolution.ts';
import { bookSurplus, surplusOf } from '../surplus/payout.ts';
import { bookPaid } from '../withdrawals/operation.ts';
import {
  bookApproved,
  bookDelivered,
  bookDeployed,
  bookDisputed,
  bookFunded,
  bookSettled,
} from './order-transactions.ts';
import { correlation } from './order-row.ts';
import { bookProvisioning } from './provisioning.ts';
import { bookClosed, bookRepaired } from './wallet-care.ts';

export async function bookLanded(
  trx: Sql,
  deps: Deps,
  stored: StoredTransaction,
  landed: Landed,
): Promise<OrderState | null> {
  const { intent } = stored;
  const dispute = disputeOf(stored);
  if (dispute !== null) {
    await bookDecided(trx, deps, dispute, stored, landed);
    return null;
  }
  const surplus = surplusOf(stored);
  if (surplus !== null) {
    await bookSurplus(trx, deps, surplus, stored, landed);
    return null;
  }
  switch (intent.kind) {
    case 'DEPLOY_ESCROW':
      return bookDeployed(trx, intent.orderId, stored, landed);
    case 'FUND_ESCROW':
      return bookFunded(trx, deps, intent.orderId, stored, landed);
    case 'DELIVER':
      return bookDelivered(trx, intent, stored, landed);
    case 'APPROVE':
      return bookApproved(trx, intent, stored);
    case 'OPEN_DISPUTE':
      return bookDisputed(trx, intent.orderId, stored);
    case 'RELEASE':
    case 'RESOLVE_DISPUTE':
      return bookSettled(trx, deps, intent.orderId, stored, landed);
    case 'WITHDRAW_SURPLUS':
      throw refuse('BOOKS_DIFFER', `${stored.intentKey} does not pay out a surplus`);
    case 'ADD_TRUSTLINES':
      await bookRepaired(trx, intent.walletId);
      return null;
    case 'CLOSE_WALLET':
      await bookClosed(trx, intent.walletId, correlation());
      return null;
    case 'PAY':
      await bookPaid(trx, deps, intent.payment.id, landed);
      return null;
    case 'PROVISION_WALLETS': {
      const outcome = { ledger: landed.ledger, transactionHash: stored.innerHash };
      await bookProvisioning(trx, deps, intent.batchId, outcome, correlation());
      return null;
    }
  }
}
