/** The long activities of the `payments` queue: the chain reader's, and the streams of the wallets. */
import { setTimeout as pause } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { wakeWallet } from '../wallets/wake.ts';
import { keepAlive } from './alive.ts';
import { createReaderPulse } from './pulse.ts';
import { type Position, createReader } from './reader.ts';
import { createSharedSource, createStreamSource } from './source.ts';
import { type WirePage, toWire } from './wire.ts';

/** One wait for the stream: short enough that a lost connection costs little. */
const HOLD_MS = 15_000;
/** Behind something that was stored we look sooner: is it recorded, or does its wallet sleep? */
const RECHECK_MS = 1_000;
/** While the history is not to be trusted. */
const TROUBLE_MS = 5_000;
/** Without a finished look for this long the activity counts as hung. */
const SILENCE_MS = 60_000;
/** A wallet that does not take its movements is woken again after this long. */
const WAKE_AGAIN_MS = 30_000;
/** How far back a starting reader looks for movements that nobody recorded, in ledgers: an hour; reconcile sees the rest. */
const LOOK_BACK_LEDGERS = 720n;

export function createPaymentActivities(deps: Deps) {
  const { orm, network, history, log } = deps;
  const pulse = createReaderPulse(orm, network.name);
  const sources = {
    shared: createSharedSource({ orm, network: network.name, pulse }),
    stream: createStreamSource(history),
  };

  return {
    /**
     * Reads the network for `run_ms`, then returns, so that attempts start at one again. Everything it knows is in the
     * cursor row.
     */
    async readChain({ run_ms }: { run_ms: number }): Promise<{ ledger: number }> {
      const reader = createReader(deps);
      const waker = createWaker();
      const signal = Context.current().cancellationSignal;
      const alive = keepAlive(SILENCE_MS);
      const until = performance.now() + run_ms;
      try {
        let at = await reader.position();
        waker.from(at);
        while (performance.now() < until) {
          signal.throwIfAborted();
          const step = await reader.step(at, signal);
          alive.progress({ cursor: at.cursor, ledger: at.ledger });
          if (step === null) {
            await pause(TROUBLE_MS, undefined, { signal });
            continue;
          }
          at = step.position;
          if (step.stored) {
            pulse.announce();
            waker.stored();
          }
          await waker.wakeSleepers(at);
          const holdMs = waker.unsettled() ? RECHECK_MS : HOLD_MS;
          if (step.complete) await history.waitForMovement({ cursor: at.cursor, holdMs, signal });
        }
        return { ledger: at.ledger };
      } finally {
        alive.stop();
      }
    },

    /** Holds a wallet's stream: returns its first movements behind the cursor, or an empty page after `hold_ms`. */
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
        const { address, cursor, hold_ms: holdMs } = input;
        const page = await sources[input.source].next({ address, cursor, holdMs, signal });
        return { movements: page.movements.map(toWire), cursor: page.cursor };
      } finally {
        alive.stop();
      }
    },
  };

  /**
   * Wallets that sleep, or whose stream was lost, are woken when something stored for them stays unrecorded. Who is live
   * records it before anybody is woken.
   */
  function createWaker() {
    let lowWater = 0n;
    let looked = 0;
    let open = true;
    const woken = new Map<string, number>();
    return {
      from: (at: Position): void => {
        lowWater = BigInt(at.cursor) - (LOOK_BACK_LEDGERS << 32n);
      },
      stored: (): void => {
        // Give the live ones time before the first look.
        if (!open) looked = performance.now();
        open = true;
      },
      unsettled: (): boolean => open,
      wakeSleepers: async (at: Position): Promise<void> => {
        const now = performance.now();
        if (!open || now - looked < RECHECK_MS) return;
        looked = now;
        const { rows } = await sql<{ id: string; first: string }>`
          select w.id, min(o.operation_id)::text as first from observed_movements o
          join wallets w on w.address in (o.from_address, o.to_address) and w.status = 'READY' and w.kind <> 'CHANNEL'
          where o.network = ${network.name} and o.operation_id > ${lowWater.toString()}::bigint
            and o.operation_id > w.stream_cursor::bigint
          group by w.id order by min(o.operation_id) limit 1000`.execute(pool(orm));
        open = rows.length > 0;
        lowWater = rows[0] === undefined ? BigInt(at.cursor) : BigInt(rows[0].first) - 1n;
        if (!open) woken.clear();
        for (const { id } of rows) {
          if (now - (woken.get(id) ?? -Infinity) < WAKE_AGAIN_MS) continue;
          woken.set(id, now);
          log.info({ wallet_id: id }, 'wallet.woken');
          await wakeWallet(deps, id);
        }
      },
    };
  }
}

export type PaymentActivities = ReturnType<typeof createPaymentActivities>;
