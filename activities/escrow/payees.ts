/** Who is paid out of an escrow for a part of its order, and at which address. */
import type { Payee, Shares } from '../../domain/order/settlement.ts';
import type { EscrowWallets, WalletRef } from '../../domain/order/shapes.ts';
import type { PartyName } from '../../domain/statuses.ts';
import { diversionOf } from '../booking/diversions.ts';
import { type OrderRow, type Part, escrowOf } from '../booking/order-row.ts';
import { refuse } from '../failure.ts';

/** The wallet that a part's release pays. */
export const receiverOf = (wallets: EscrowWallets, { index }: Pick<Part, 'index'>): WalletRef =>
  (index === null ? undefined : wallets.receivers?.[index]) ?? wallets.receiver;

/**
 * Whose money it is, and where it goes when it is shared out: to their wallets, or where two persons decided.
 * @throws ApplicationFailure INVALID_STATE before the roles of the escrow are decided
 */
export function payeesOf(order: OrderRow, part: Part): { seller: Payee; buyer: Payee } {
  const { id, wallets } = escrowOf(order);
  if (wallets === null) throw refuse('INVALID_STATE', `escrow ${id} has no wallets`);
  const payee = (party: PartyName, userId: string, wallet: WalletRef): Payee => ({
    party,
    userId,
    address: diversionOf(order, part.index, party) ?? wallet.address,
  });
  return {
    seller: payee('SELLER', part.sellerId, receiverOf(wallets, part)),
    buyer: payee('BUYER', order.buyerId, wallets.funder),
  };
}

/** As an intent carries them: whole decimal numbers. */
export const sharesOf = ({
  shares,
}: {
  readonly shares: { readonly seller: string; readonly buyer: string };
}): Shares => ({
  seller: BigInt(shares.seller),
  buyer: BigInt(shares.buyer),
});
