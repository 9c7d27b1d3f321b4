/**
 * A gateway whose provider counts requests over all our workers: every call waits for its turn, whoever asks, and when
 * the provider wants to be left alone, all leave it alone.
 */
import { randomUUID } from 'node:crypto';
import { currentAttempt } from '../attempt.ts';
import { ProviderError } from '../errors.ts';
import type { EscrowGateway } from '../escrow/port.ts';
import type { ProviderWatch } from './watch.ts';

/** The queue in front of the provider, shared by all workers. */
export interface Turns {
  /**
   * Takes a turn: 0, or the milliseconds after which to ask again. Whoever queues keeps his place while he asks again.
   * @param queue false: now or never
   */
  take(asker: { readonly owner: string; readonly priority: number; readonly queue: boolean }): Promise<number>;
  /** Nobody gets a turn for so long. */
  holdOff(ms: number): Promise<void>;
}

/** After a 429 that does not say when. */
const UNSTATED_HOLD_MS = 10_000;
/** Whoever asks to be left alone for longer is asked again after this: nobody's clock or typing error stops us for a day. */
const LONGEST_HOLD_MS = 600_000;
/** Behind everything that has a purpose of its own. */
const LAST = 9;

/** @param turns null: no limit is kept, and each attempt heeds for itself when the provider wants to be left alone */
export function withTurns(gateway: EscrowGateway, turns: Turns | null, watch: ProviderWatch): EscrowGateway {
  const { name } = gateway;

  const observed = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      const answer = await work();
      watch.answered(name);
      return answer;
    } catch (error) {
      // A gateway may ask others besides: their trouble is theirs.
      if (!(error instanceof ProviderError) || error.provider !== name) throw error;
      if (error.kind === 'REFUSED') watch.answered(name);
      if (error.kind === 'UNAVAILABLE' || error.kind === 'MALFORMED') watch.failed(name, error);
      const holdMs = error.retryAfterMs ?? (error.status === 429 ? UNSTATED_HOLD_MS : null);
      if (holdMs !== null) await turns?.holdOff(Math.min(holdMs, LONGEST_HOLD_MS));
      throw error;
    }
  };

  const inTurn = async <T>(queue: boolean, work: () => Promise<T>): Promise<T> => {
    if (turns === null) return observed(work);
    const { owner, priority } = currentAttempt() ?? { owner: randomUUID(), priority: LAST };
    const waitMs = await turns.take({ owner: queue ? owner : randomUUID(), priority: queue ? priority : LAST, queue });
    if (waitMs === 0) return observed(work);
    throw new ProviderError('THROTTLED', 'trustless-work', 'waits for its turn', { retryAfterMs: waitMs });
  };

  return {
    ...gateway,
    build: (call) => inTurn(true, () => gateway.build(call)),
    // A courtesy: it counts, but takes nobody's place.
    nudge: (transactionHash) => inTurn(false, () => gateway.nudge(transactionHash)),
  };
}
