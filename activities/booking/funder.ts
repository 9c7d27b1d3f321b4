/** Whose money funds an order: a wallet of ours, or `external` for a buyer who holds his key himself. */
import type { Funder } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { walletOfUser } from '../payments/user-wallet.ts';
import type { OrderRow } from './order-row.ts';

export async function funderOf(trx: Sql, deps: Pick<Deps, 'payments'>, order: OrderRow): Promise<Funder> {
  const { wallet, provider } = await walletOfUser(trx, deps, order.buyerId);
  return provider.custodial ? { walletId: wallet.id } : 'EXTERNAL';
}
