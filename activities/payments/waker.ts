/**
 * Wallets that sleep, or whose stream was lost, are woken when something stored for them stays unrecorded. A live wallet
 * records it before anybody is woken.
 */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { wakeWallet } from '../wallets/wake.ts';
import type { Position } from './reader.ts';

/** Behind something that was stored we look soon: is it recorded, or does its wallet sleep? */
export const RECHECK_MS = 1_000;
/** A wallet that does not take its movements is woken again after this long. */
const WAKE_AGAIN_MS = 30_000;
/** How far back a starting reader looks for movements nobody recorded, in ledgers: an hour; reconcile sees the rest. */
const LOOK_BACK_LEDGERS = 720n;
const WOKEN_MAX = 1_000;

interface Waker {
  /** Something was stored: the live wallets get some time, then it is looked after. */
  stored(): void;
  /** Something may be unrecorded. */
  unsettled(): boolean;
  wakeSleepers(at: Position): Promise<void>;
}

export function createWaker(deps: Deps, from: Position): Waker {
  let lowWater = BigInt(from.cursor) - (LOOK_BACK_LEDGERS << 32n);
  let looked = 0;
  let open = true;
  const woken = new Map<string, { readonly at: number; readonly first: string }>();

  const sleepers = () =>
    sql<{ id: string; first: string }>`
    select w.id, min(o.operation_id)::text as first from observed_movements o
    join wallets w on w.address in (o.from_address, o.to_address) and w.status = 'READY' and w.kind <> 'CHANNEL'
    where o.network = ${deps.network.name} and o.operation_id > ${lowWater.toString()}::bigint
      and o.operation_id > w.stream_cursor::bigint
    group by w.id order by min(o.operation_id) limit ${WOKEN_MAX}`.execute(pool(deps.orm));

  return {
    stored: () => {
      if (!open) looked = performance.now();
      open = true;
    },
    unsettled: () => open,
    wakeSleepers: async (at) => {
      const now = performance.now();
      if (!open || now - looked < RECHECK_MS) return;
      looked = now;
      const { rows } = await sleepers();
      open = rows.length > 0;
      lowWater = rows[0] === undefined ? BigInt(at.cursor) : BigInt(rows[0].first) - 1n;
      if (!open) woken.clear();
      for (const { id, first } of rows) {
        const last = woken.get(id);
        // The same movement still waits: its wallet was told already. Another one: it took the first and sleeps again.
        if (last?.first === first && now - last.at < WAKE_AGAIN_MS) continue;
        woken.set(id, { at: now, first });
        deps.log.info({ wallet_id: id }, 'wallet.woken');
        await wakeWallet(deps, id);
      }
    },
  };
}
