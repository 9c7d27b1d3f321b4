/** The long activities of the `payments` queue: the chain reader's, and the streams of the wallets. */
import { setTimeout as pause } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { keepAlive } from './alive.ts';
import { createReaderPulse } from './pulse.ts';
import { createReader } from './reader.ts';
import { createSharedSource, createStreamSource } from './source.ts';
import { RECHECK_MS, createWaker } from './waker.ts';
import { type WirePage, toWire } from './wire.ts';

/** One wait for the stream: short enough that a lost connection costs little. */
const HOLD_MS = 15_000;
/** While the history is not to be trusted. */
const TROUBLE_MS = 5_000;
/** Without a finished look for this long the activity counts as hung. */
const SILENCE_MS = 60_000;

export function createPaymentActivities(deps: Deps) {
  const { orm, network, history } = deps;
  const pulse = createReaderPulse(orm, network.name);
  const sources = {
    shared: createSharedSource({ orm, network: network.name, pulse }),
    stream: createStreamSource({ history, orm, network: network.name }),
  };

  return {
    /**
     * Reads the network for `run_ms`, then returns, so that attempts start at one again. Everything it knows is in the
     * cursor row.
     */
    async readChain({ run_ms }: { run_ms: number }): Promise<{ ledger: number }> {
      const reader = createReader(deps);
      const signal = Context.current().cancellationSignal;
      const alive = keepAlive(SILENCE_MS);
      const until = performance.now() + run_ms;
      const detach = pulse.attach();
      try {
        let at = await reader.position();
        const waker = createWaker(deps, at);
        while (performance.now() < until) {
          signal.throwIfAborted();
          const step = await reader.step(at, signal);
          alive.progress({ cursor: at.cursor, ledger: at.ledger });
          if (step === null) {
            await pause(TROUBLE_MS, undefined, { signal });
            continue;
          }
          at = step.position;
          if (step.stored.length > 0) {
            pulse.announce(step.stored);
            waker.stored();
          }
          await waker.wakeSleepers(at);
          const holdMs = waker.unsettled() ? RECHECK_MS : HOLD_MS;
          if (step.complete) await history.waitForMovement({ cursor: at.cursor, holdMs, signal });
        }
        return { ledger: at.ledger };
      } finally {
        detach();
        alive.stop();
      }
    },

    /**
     * Holds a wallet's stream: returns its first movements behind the cursor, or an empty page after `hold_ms`. The row
     * knows where the stream stands; the given cursor is older or newer when Temporal or the database was restored.
     */
    async awaitPayments(input: {
      wallet_id: string;
      address: string;
      cursor: string;
      source: 'shared' | 'stream';
      hold_ms: number;
    }): Promise<WirePage> {
      const signal = Context.current().cancellationSignal;
      const alive = keepAlive(input.hold_ms + SILENCE_MS);
      alive.progress({ cursor: input.cursor });
      try {
        const { address, hold_ms: holdMs } = input;
        const cursor = await storedCursor(orm, input);
        const page = await sources[input.source].next({ address, cursor, holdMs, signal });
        return { movements: page.movements.map(toWire), cursor: page.cursor };
      } finally {
        alive.stop();
      }
    },
  };
}

async function storedCursor(orm: Orm, input: { wallet_id: string; cursor: string }): Promise<string> {
  const { rows } = await sql<{ cursor: string | null }>`
    select coalesce(stream_cursor, birth_cursor) as cursor from wallets where id = ${input.wallet_id}`.execute(
    pool(orm),
  );
  return rows[0]?.cursor ?? input.cursor;
}

export type PaymentActivities = ReturnType<typeof createPaymentActivities>;
