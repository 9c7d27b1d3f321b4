/**
 * Who gets what out of an escrow. Shares are before fees; the contract takes its fees out of every payment, floored per
 * recipient (C26), so that what leaves is exactly what was shared out. Stroops everywhere.
 */
import { PROTOCOL_FEE_BPS } from '../limits.ts';
import { bpsOf, mulDiv, splitByWeights } from '../money.ts';

type Party = 'SELLER' | 'BUYER';

/** Weights; any two that are not both zero. A refund is `{ seller: 0n, buyer: 1n }`. */
export interface Shares {
  readonly seller: bigint;
  readonly buyer: bigint;
}

export const REFUND: Shares = { seller: 0n, buyer: 1n };
export const RELEASE: Shares = { seller: 1n, buyer: 0n };

export interface Payee {
  readonly party: Party;
  readonly userId: string;
  readonly address: string;
}

interface SharePaid extends Payee {
  /** before fees, above zero */
  readonly amount: bigint;
}

/**
 * Splits `base` pro rata, dust to the buyer. Zero shares are left out; where both parties are paid to one address it is one
 * share, as the contract takes an address once.
 */
export function distribute(base: bigint, shares: Shares, payees: { seller: Payee; buyer: Payee }): SharePaid[] {
  const { parts, dust } = splitByWeights(base, [shares.seller, shares.buyer]);
  const seller = { ...payees.seller, amount: parts[0] ?? 0n };
  const buyer = { ...payees.buyer, amount: (parts[1] ?? 0n) + dust };
  if (seller.address === buyer.address && seller.amount > 0n && buyer.amount > 0n)
    return [{ ...seller, amount: seller.amount + buyer.amount }];
  return [seller, buyer].filter(({ amount }) => amount > 0n);
}

export interface Settled extends Payee {
  readonly gross: bigint;
  readonly protocolFee: bigint;
  readonly platformFee: bigint;
  readonly net: bigint;
}

/**
 * What the contract makes of shares: the fees on the whole, of which each recipient bears its part, floored.
 * @param paidTo what the chain really paid to an address; without it the result is the contract's own arithmetic
 */
export function settle(
  shared: readonly SharePaid[],
  platformFeeBps: number,
  paidTo?: (address: string) => bigint,
): Settled[] {
  const total = shared.reduce((sum, { amount }) => sum + amount, 0n);
  const protocol = bpsOf(total, PROTOCOL_FEE_BPS);
  const platform = bpsOf(total, platformFeeBps);
  return shared.map(({ amount: gross, ...payee }) => {
    const protocolFee = mulDiv(gross, protocol, total);
    if (paidTo === undefined) {
      const platformFee = mulDiv(gross, platform, total);
      return { ...payee, gross, protocolFee, platformFee, net: gross - protocolFee - platformFee };
    }
    const net = paidTo(payee.address);
    return { ...payee, gross, protocolFee, platformFee: gross - net - protocolFee, net };
  });
}
