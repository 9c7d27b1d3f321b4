/**
 * Tells waiting wallets of this process that the chain reader has moved on: at once when the reader runs here, and by
 * looking at its cursor now and then when it runs elsewhere. One look serves all wallets of the process.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';

/** How late a movement may be seen when the reader runs in another process. */
const LOOK_MS = 500;

export interface ReaderPulse {
  /** Number of the last beat; take it before looking at the table. */
  beat(): number;
  /** Resolves when a beat after `since` came, or after `holdMs`. @throws when aborted */
  next(since: number, holdMs: number, signal: AbortSignal): Promise<void>;
  /** The reader of this process has stored something. */
  announce(): void;
  /** The reader runs in this process and announces what it stores: no need to look. @returns ends that */
  attach(): () => void;
}

export function createReaderPulse(orm: Orm, network: string): ReaderPulse {
  let beats = 0;
  let known: string | null = null;
  let looking = false;
  let attached = 0;
  const waiting = new Set<() => void>();

  const announce = (): void => {
    beats += 1;
    // Waking takes out of the set, which a set's iteration allows.
    for (const wake of waiting) wake();
  };

  const look = async (): Promise<void> => {
    const { rows } = await sql<{ cursor: string }>`
      select cursor from network_cursors where network = ${network} and reader = 'payments'`.execute(pool(orm));
    const cursor = rows[0]?.cursor ?? null;
    if (cursor !== known) announce();
    known = cursor;
  };

  /** Runs while somebody waits; a failed look is a look later. */
  const keepLooking = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    while (waiting.size > 0) {
      await pause(LOOK_MS, undefined, { ref: false });
      if (waiting.size > 0 && attached === 0) await look().catch(() => undefined);
    }
    looking = false;
  };

  return {
    beat: () => beats,
    announce,
    attach: () => {
      attached += 1;
      return () => {
        attached -= 1;
      };
    },
    next: (since, holdMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        if (beats > since) return resolve();
        const done = (settle: () => void) => () => {
          waiting.delete(wake);
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          settle();
        };
        const wake = done(resolve);
        const abort = done(() => reject(signal.reason as Error));
        const timer = setTimeout(wake, holdMs);
        waiting.add(wake);
        signal.addEventListener('abort', abort, { once: true });
        void keepLooking();
      }),
  };
}
