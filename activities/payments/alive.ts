/** Heartbeats of long activities: only while they get on. A hung one falls silent and is repeated elsewhere (F69). */
import { heartbeat } from '@temporalio/activity';

const BEAT_MS = 2_000;

export interface Alive {
  /** The activity got on; `details` are shown beside the pending activity, never relied on (F68). */
  progress(details: unknown): void;
  stop(): void;
}

/** @param silenceMs without progress for longer than this, no more heartbeats */
export function keepAlive(silenceMs: number): Alive {
  let last = performance.now();
  let shown: unknown = null;
  const timer = setInterval(() => {
    if (performance.now() - last < silenceMs) heartbeat(shown);
  }, BEAT_MS);
  return {
    progress: (details) => {
      last = performance.now();
      shown = details;
      heartbeat(details);
    },
    stop: () => clearInterval(timer),
  };
}
