/** What the wallet workflow does with its row: its state, and recording with the cursor in one transaction. */
import { sql } from 'kysely';
import { inTransaction } from '../../db/sql.ts';
import type { WalletKind, WalletStatus } from '../../domain/statuses.ts';
import { bookMovements } from '../booking/movements.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { type WirePage, fromWire } from '../payments/wire.ts';

/** At most this many waiting orders are woken by one deposit; each next deposit or reconcile wakes further ones. */
const ORDERS_WOKEN_MAX = 100;

interface WalletState {
  readonly status: WalletStatus;
  readonly kind: WalletKind;
  readonly address: string | null;
  /** position behind the last recorded movement; null before keys exist */
  readonly cursor: string | null;
  /** its closing began and is not over */
  readonly closing: boolean;
}

export interface Recorded {
  readonly cursor: string;
  /** orders that may be waiting for this money, oldest first */
  readonly order_ids: readonly string[];
}

interface Row {
  id: string;
  marketplaceId: string | null;
  userId: string | null;
  kind: WalletKind;
  provider: string;
  status: WalletStatus;
  address: string | null;
  cursor: string | null;
  closing: boolean;
}

const selectWallet = (walletId: string) => sql<Row>`
  select id, marketplace_id as "marketplaceId", user_id as "userId", kind, provider, status, address,
    coalesce(stream_cursor, birth_cursor) as cursor, closing_at is not null and status = 'READY' as closing
  from wallets where id = ${walletId} for update`;

export function createFollowActivities({ orm, network, log }: Pick<Deps, 'orm' | 'network' | 'log'>) {
  return {
    /** @throws ApplicationFailure NOT_FOUND */
    async loadWallet({ wallet_id }: { wallet_id: string }): Promise<WalletState> {
      return inTransaction(orm, async (trx) => {
        const row = (await selectWallet(wallet_id).execute(trx)).rows[0];
        if (row === undefined) throw refuse('NOT_FOUND', `wallet ${wallet_id} does not exist`);
        const { status, kind, address, cursor, closing } = row;
        return { status, kind, address, cursor, closing };
      });
    },

    /**
     * Records and books a page and moves the cursor, all or nothing. A page that was recorded before changes nothing:
     * keys are per movement, and the cursor never goes back.
     */
    async recordMovements({ wallet_id, page }: { wallet_id: string; page: WirePage }): Promise<Recorded> {
      return inTransaction(orm, async (trx) => {
        const row = (await selectWallet(wallet_id).execute(trx)).rows[0];
        if (row === undefined || row.address === null || row.cursor === null)
          throw refuse('NOT_FOUND', `wallet ${wallet_id} is not followed`);
        const { cursor: stored, address, provider, status: _status, closing: _closing, ...wallet } = row;
        const followed = { ...wallet, address, custodial: provider === 'crypto-native' };
        const movements = page.movements.map(fromWire);
        const { deposits, booked, paidFor } = await bookMovements(trx, network, followed, movements);
        const cursor = BigInt(page.cursor) > BigInt(stored) ? page.cursor : stored;
        if (cursor !== stored)
          await sql`update wallets set stream_cursor = ${cursor}, updated_at = now() where id = ${wallet_id}`.execute(
            trx,
          );
        if (booked > 0) log.info({ wallet_id, deposits: booked, cursor }, 'deposits.credited');
        // Asked again after a crash, the orders are named again although nothing was booked now.
        const { userId } = wallet;
        const waiting = deposits > 0 && userId !== null ? await waitingOrders(trx, userId) : [];
        // What the holder of the key sent past us: the order that handed it out looks for it.
        return { cursor, order_ids: followed.custodial ? waiting : [...new Set([...waiting, ...paidFor])] };
      });
    },
  };

  async function waitingOrders(trx: Parameters<typeof bookMovements>[0], buyerId: string): Promise<string[]> {
    // Not only those that wait already: one may be about to write that it does.
    const { rows } = await sql<{ id: string }>`
      select id from orders where buyer_id = ${buyerId} and status = 'ORDER_CREATED' and auto
      order by created_at, id limit ${ORDERS_WOKEN_MAX}`.execute(trx);
    return rows.map(({ id }) => id);
  }
}
