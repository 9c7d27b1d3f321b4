/** What a decision means for each part in dispute. Amounts are stroops, before fees. Pure. */
import { formatAmount } from '../money.ts';
import type { DisputeDecision } from '../statuses.ts';
import type { DisputedPart, PartShares, SharesOfPart } from './shapes.ts';

type Part = Pick<DisputedPart, 'index' | 'ref' | 'amount'>;

/** As a caller states it; a SPLIT of several milestones names each of them. */
export interface StatedSplit {
  readonly ref: string | null;
  readonly release: bigint;
  readonly refund: bigint;
}

export type Shared =
  | { readonly shares: readonly SharesOfPart[] }
  /** `ref`: the milestone it is about, null: the whole */
  | { readonly problem: string; readonly ref: string | null };

/** One for each of `parts`. */
export function sharesOf(parts: readonly Part[], decision: DisputeDecision, splits: readonly StatedSplit[]): Shared {
  if (decision === 'FULL_RELEASE')
    return { shares: parts.map(({ index, amount }) => ({ index, seller: amount, buyer: '0' })) };
  if (decision === 'FULL_REFUND')
    return { shares: parts.map(({ index, amount }) => ({ index, seller: '0', buyer: amount })) };
  const foreign = splits.find(({ ref }) => !parts.some((part) => part.ref === ref));
  if (foreign !== undefined) return { problem: 'this milestone is not in dispute', ref: foreign.ref };
  const shares: SharesOfPart[] = [];
  for (const { index, ref, amount } of parts) {
    const stated = splits.filter((split) => split.ref === ref);
    const [split] = stated;
    if (split === undefined || stated.length > 1)
      return { problem: 'every milestone in dispute is to be named once', ref };
    if (split.release + split.refund !== BigInt(amount))
      return { problem: `release and refund are to sum to ${formatAmount(BigInt(amount))}`, ref };
    shares.push({ index, seller: split.release.toString(), buyer: split.refund.toString() });
  }
  return { shares };
}

/**
 * Shares are told apart by the milestone's index, never by their place.
 * @returns null when a part has none, or one that does not sum to what is in dispute
 */
export function shareOut<One extends Pick<DisputedPart, 'index' | 'amount'>>(
  parts: readonly One[],
  shares: readonly SharesOfPart[],
): (One & { readonly shares: PartShares })[] | null {
  const shared = parts.flatMap((part) => {
    const own = shares.find(({ index }) => index === part.index);
    if (own === undefined || BigInt(own.seller) + BigInt(own.buyer) !== BigInt(part.amount)) return [];
    return [{ ...part, shares: { seller: own.seller, buyer: own.buyer } }];
  });
  return shared.length === parts.length ? shared : null;
}

/** Something of it can no longer be undone: it is driven on to its end. */
export const isCommitted = (parts: readonly DisputedPart[]): boolean =>
  parts.some(({ opened, outcome }) => opened || outcome !== null);
