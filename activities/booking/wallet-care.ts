/** Booking of what was done to a wallet on chain. Runs inside the transaction that marks the chain transaction as booked. */
import { sql } from 'kysely';
import { appendEvents, bumpVersion } from '../../db/events.ts';
import { walletResource } from '../../db/resources/wallet.ts';
import type { Sql } from '../../db/sql.ts';

/** Nothing of ours says which trustlines a wallet has, the chain does: the next repair gets another name. */
export async function bookRepaired(trx: Sql, walletId: string): Promise<void> {
  await sql`update wallets set repairs = repairs + 1 where id = ${walletId}`.execute(trx);
}

/** The account is gone from the chain, its reserves are the sponsor's again. A second run finds nothing to do. */
export async function bookClosed(
  trx: Sql,
  walletId: string,
  workflow: { readonly workflowId: string; readonly runId: string },
): Promise<void> {
  const { rows } = await sql<{ marketplace_id: string | null; user_id: string | null }>`
    update wallets set status = 'CLOSED', updated_at = clock_timestamp()
    where id = ${walletId} and status = 'READY' returning marketplace_id, user_id`.execute(trx);
  const closed = rows[0];
  if (closed === undefined || closed.marketplace_id === null) return;
  await appendEvents(trx, [
    {
      type: 'wallet.closed',
      marketplaceId: closed.marketplace_id,
      resource: { type: 'wallet', id: walletId },
      object: await walletResource(trx, walletId),
      change: {},
      actor: null,
      requestId: null,
      ...workflow,
    },
  ]);
  // A user shows its wallet: whoever asks with the old version must get the new one.
  if (closed.user_id !== null) await bumpVersion(trx, closed.user_id);
}
