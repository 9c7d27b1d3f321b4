/** A provider's limit on requests, kept by this process for itself: at most so many in any minute. */
import { setTimeout as pause } from 'node:timers/promises';

const WINDOW_MS = 60_000;
/** A turn that comes soon is waited for; what has to wait longer is told to come back. */
const PATIENCE_MS = 1_000;

export interface Budget {
  /** 0 when the request may be made, and counts; else milliseconds after which to come back. */
  take(): Promise<number>;
}

/** @param perMinute 0: no limit */
export function createBudget(perMinute: number, now: () => number = () => performance.now()): Budget {
  const taken: number[] = [];
  const spend = (): number => {
    const time = now();
    while (taken[0] !== undefined && taken[0] <= time - WINDOW_MS) taken.shift();
    const oldest = taken.length < perMinute ? undefined : taken[0];
    if (oldest !== undefined) return oldest + WINDOW_MS - time;
    taken.push(time);
    return 0;
  };
  return {
    take: async () => {
      if (perMinute === 0) return 0;
      const waitMs = spend();
      if (waitMs === 0 || waitMs > PATIENCE_MS) return Math.ceil(waitMs);
      await pause(waitMs);
      return Math.ceil(spend());
    },
  };
}
