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
  readonly sequence: bigint;
  /** last used sequence number of the source, and the ledger at which it was read; null: no such account */
  readonly source: { readonly ledger: number; readonly sequence: bigint | null };
}

export function isDead({ absentAt, signedLedger, maxTime, sequence, source }: Evidence): boolean {
  if (absentAt.oldestLedger > signedLedger) return false;
  if (BigInt(absentAt.closedAt) > maxTime) return true;
  // The number was used by another transaction, at a ledger in which ours is known to be absent.
  return source.sequence !== null && source.ledger <= absentAt.ledger && source.sequence >= sequence;
}
