/** Workflow time: deterministic, the time of the task that is being processed. The only clock that workflow code reads. */
export const now = (): number => Date.now();

/** Business time of one marketplace: ahead of the clock where somebody tries out deadlines. Never the chain's time. */
export interface Clock {
  /** milliseconds since 1970 */
  now(): number;
  /** It only ever goes forward: news that come late change nothing. */
  sync(offsetMs: number): void;
}

export function createClock(): Clock {
  let offset = 0;
  return {
    now: () => now() + offset,
    sync: (offsetMs) => {
      offset = Math.max(offset, offsetMs);
    },
  };
}
