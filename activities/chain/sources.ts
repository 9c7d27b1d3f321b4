/**
 * Whose sequence number a transaction of ours uses when no role decides it: provisioning, payments and everything else
 * that names the acting wallet in its operations. One source is one transaction per ledger, so the work spreads over the
 * channel accounts.
 */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import type { Signatory } from './target.ts';

export interface Source {
  readonly address: string;
  /** whose key signs for it; null for the sponsor, which signs by its own key */
  readonly channel: Signatory | null;
}

/**
 * The source of the transaction for an intent: the one it holds or waits for already, else the channel with the fewest
 * waiting, else (before there is any channel) the sponsor. Between prepare and the end of the transaction the lease keeps
 * the choice.
 * @param owner the intent's key, as in `source_leases.owner`
 */
export async function pickSource(db: Sql, deps: Pick<Deps, 'sponsorAddress'>, owner: string): Promise<Source> {
  const { rows } = await sql<Signatory & { kind: string }>`
    select w.id as "walletId", w.address, w.kind from wallets w
    where w.status = 'READY' and (w.kind = 'CHANNEL' or (w.kind = 'SPONSOR' and w.address = ${deps.sponsorAddress}))
    order by exists (select from source_leases l where l.source = w.address and l.owner = ${owner}) desc,
      w.kind = 'CHANNEL' desc, ${channelLoad()}, random()
    limit 1`.execute(db);
  const chosen = rows[0];
  if (chosen === undefined) throw refuse('INTERNAL_ERROR', 'neither a channel nor the sponsor is a wallet of ours');
  const { kind, walletId, address } = chosen;
  return { address, channel: kind === 'CHANNEL' ? { walletId, address } : null };
}

/** How many transactions use the channel `w` or will: those in its queue, and deploys that have chosen it. */
export const channelLoad = () => sql`
  (select count(*) from source_leases l where l.source = w.address)
    + (select count(*) from orders o join escrows e on e.order_id = o.id
       where o.status = 'ESCROW_CREATING' and e.wallets -> 'deploy_signer' ->> 'wallet_id' = w.id)`;
