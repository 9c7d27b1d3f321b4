/** Reserving for a buyer with an own wallet: we look whether the money is there, and hold nothing. */
import { pool } from '../../db/sql.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { Deps } from '../context.ts';
import { asking, assetOf, walletOfUser } from '../payments/user-wallet.ts';
import { type OperationInput, readOrder } from './order-row.ts';
import { reserveWith } from './order-verbs.ts';

export function createOwnFunds(deps: Deps) {
  return {
    /** @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_FUNDS, USER_SUSPENDED */
    async reserveOwnFunds(input: OperationInput): Promise<OrderState> {
      const order = await readOrder(pool(deps.orm), input.order_id);
      const { wallet, provider } = await walletOfUser(pool(deps.orm), deps, order.buyerId);
      const asset = assetOf(deps, order.asset);
      const available = await asking(async () =>
        (await provider.isUserReady(wallet, asset)) ? (await provider.getBalance(wallet, asset)).available : 0n,
      );
      const answer = await reserveWith(deps, input, available);
      if ('ask_chain' in answer) throw new TypeError('the chain was asked');
      return answer;
    },
  };
}
