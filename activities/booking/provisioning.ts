/** Booking of a provisioning transaction: its wallets exist on chain and can receive from now on. */
import { sql } from 'kysely';
import { appendEvents, bumpVersion } from '../../db/events.ts';
import { walletResources } from '../../db/resources/wallet.ts';
import type { Sql } from '../../db/sql.ts';
import type { Deps } from '../context.ts';

/**
 * Marks the wallets of the batch READY, with their events. Runs inside the transaction that marks the chain transaction
 * as booked; a second run finds nothing to do.
 */
export async function bookProvisioning(
  trx: Sql,
  deps: Pick<Deps, 'log'>,
  batchId: string,
  outcome: { readonly ledger: number; readonly transactionHash: string },
  workflow: { readonly workflowId: string; readonly runId: string },
): Promise<void> {
  const { rows } = await sql<{ id: string; marketplace_id: string | null; user_id: string | null }>`
    update wallets set status = 'READY', updated_at = clock_timestamp()
    where batch_id = ${batchId} and status = 'PROVISIONING' returning id, marketplace_id, user_id`.execute(trx);
  const resources = await walletResources(
    trx,
    rows.map(({ id }) => id),
  );
  await appendEvents(
    trx,
    rows.flatMap(({ id, marketplace_id }) =>
      marketplace_id === null
        ? []
        : {
            type: 'wallet.ready' as const,
            marketplaceId: marketplace_id,
            resource: { type: 'wallet' as const, id },
            object: resources.get(id),
            change: {},
            actor: null,
            requestId: null,
            ...workflow,
          },
    ),
  );
  // A user shows its wallet: whoever asks with the old version must get the new one.
  for (const { user_id } of rows) if (user_id !== null) await bumpVersion(trx, user_id);
  const { ledger, transactionHash } = outcome;
  deps.log.info(
    { batch_id: batchId, wallets: rows.length, ledger, transaction_hash: transactionHash },
    'wallets.ready',
  );
}
