/**
 * When an envelope can never land any more. Only then may its effect be compensated or another one be built: a wrong
 * "dead" pays twice, a wrong "landed" loses money. Time is chain time; our own clock proves nothing.
 */
export interface Evidence {
  /** what one provider said: the hash is absent in its history up to this ledger */
  readonly absentAt: {
    readonly ledger: number;
    /** unix seconds of that ledger's close */
    readonly closedAt: number;
    /** older history is gone: absence below it proves nothing */
    readonly oldestLedger: number;
  };
  /** latest ledger when the envelope was signed: it cannot have landed before */
  readonly signedLedger: number;
  /** unix seconds: a ledger that closes later does not take it */
  readonly maxTime: bigint;
  /** no ledger from this one on takes it; null: it states none */
  readonly maxLedger: number | null;
  readonly sequence: bigint;
  /** last used sequence number of the source, and the ledger at which it was read; null: no such account */
  readonly source: { readonly ledger: number; readonly sequence: bigint | null };
}

/** The provider's history begins after the envelope may have landed: what it does not know proves nothing. */
export const isPruned = ({ absentAt, signedLedger }: Pick<Evidence, 'absentAt' | 'signedLedger'>): boolean =>
  absentAt.oldestLedger > signedLedger;

/** No ledger after the one the provider stands at takes it. Whether an earlier one did is another question. */
export const isOver = ({
  absentAt,
  maxTime,
  maxLedger,
}: Pick<Evidence, 'absentAt' | 'maxTime' | 'maxLedger'>): boolean =>
  BigInt(absentAt.closedAt) > maxTime || (maxLedger !== null && absentAt.ledger >= maxLedger);

export function isDead(evidence: Evidence): boolean {
  if (isPruned(evidence)) return false;
  if (isOver(evidence)) return true;
  // The number was used by another transaction, at a ledger in which ours is known to be absent.
  const { absentAt, sequence, source } = evidence;
  return source.sequence !== null && source.ledger <= absentAt.ledger && source.sequence >= sequence;
}
