/**
 * Tells waiting wallets of this process that the chain reader stored something for them: at once when the reader runs
 * here, and by looking at the table now and then when it runs elsewhere. One look serves all wallets of the process.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';

/** How late a movement may be seen when the reader runs in another process. */
const LOOK_MS = 500;

interface Listener {
  /** Resolves when something was announced since the last call, or after `holdMs`. @throws when aborted */
  next(holdMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface ReaderPulse {
  /** Begin to listen before reading the table: what is stored meanwhile is not missed. */
  listen(address: string): Listener;
  /** The reader of this process has stored something for these addresses. */
  announce(addresses: Iterable<string>): void;
  /** The reader runs in this process and announces what it stores: no need to look. @returns ends that */
  attach(): () => void;
}

export function createReaderPulse(orm: Orm, network: string): ReaderPulse {
  const listening = new Map<string, Set<() => void>>();
  let known: string | null = null;
  let looking = false;
  let attached = 0;

  const announce = (addresses: Iterable<string>): void => {
    for (const address of addresses) for (const notice of listening.get(address) ?? []) notice();
  };

  const look = async (): Promise<void> => {
    const seen = await observedSince(orm, network, known);
    if (seen === null) return;
    // The first look only learns where the reader is: everybody may have missed something before it.
    announce(known === null ? listening.keys() : seen.addresses);
    known = seen.cursor;
  };

  /** Runs while somebody listens; a failed look is a look later. */
  const keepLooking = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    while (listening.size > 0) {
      await pause(LOOK_MS, undefined, { ref: false });
      if (attached > 0) known = null;
      else if (listening.size > 0) await look().catch(() => undefined);
    }
    looking = false;
    known = null;
  };

  return {
    announce,
    attach: () => {
      attached += 1;
      return () => {
        attached -= 1;
      };
    },
    listen: (address) => {
      const bell = createBell();
      const bells = listening.get(address) ?? new Set();
      listening.set(address, bells.add(bell.ring));
      void keepLooking();
      return {
        next: bell.next,
        close: () => {
          bells.delete(bell.ring);
          if (bells.size === 0 && listening.get(address) === bells) listening.delete(address);
        },
      };
    },
  };
}

/** Remembers one ring until somebody waits for it. */
function createBell(): { ring: () => void; next: Listener['next'] } {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    next: (holdMs, signal) =>
      new Promise((resolve, reject) => {
        const end = (settle: () => void) => () => {
          wake = null;
          rung = false;
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          settle();
        };
        const abort = end(() => reject(signal.reason as Error));
        const timer = setTimeout(() => wake?.(), holdMs);
        wake = end(resolve);
        signal.addEventListener('abort', abort, { once: true });
        if (signal.aborted) abort();
        else if (rung) wake();
      }),
  };
}

/** Where the reader is, and which addresses it stored something for behind `since`; null before its first start. */
async function observedSince(orm: Orm, network: string, since: string | null) {
  const { rows } = await sql<{ cursor: string; addresses: string[] }>`
    select c.cursor, coalesce((select array_agg(distinct t.address) from observed_movements o
        cross join lateral (values (o.from_address), (o.to_address)) t(address)
        where o.network = c.network and t.address is not null and o.operation_id > ${since}::bigint), '{}') as addresses
    from network_cursors c where c.network = ${network} and c.reader = 'payments'`.execute(pool(orm));
  return rows[0] ?? null;
}
