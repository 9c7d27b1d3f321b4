/**
 * The account that pays all fees and reserves: when it runs dry nothing moves any more, so somebody is told days before.
 */
import { sql } from 'kysely';
import { type Sql, pool } from '../../db/sql.ts';
import { reconcileWorkflowId } from '../../domain/workflow-ids.ts';
import { sponsorDaysLeft } from '../../db/health.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import type { Deps } from '../context.ts';

type SponsorDeps = Pick<Deps, 'orm' | 'rpc' | 'network' | 'sponsorAddress' | 'sponsorDaysMin' | 'log'>;

/** What was used in these days is taken for what will be used. */
const WINDOW_DAYS = 7;
/** Adding up the fees of a week is no work for every round. */
const MEASURED_EVERY = '10 minutes';
/** Stroops of XLM that stay locked per account, and per entry of one. */
const ACCOUNT_RESERVE = 10_000_000n;
const TRUSTLINE_RESERVE = 5_000_000n;

/**
 * Reads the sponsor's balance, keeps it with what was used per day, and raises an attention item while it lasts for less
 * than the configured days; the item clears itself. @throws ProviderError
 */
export async function watchSponsor(deps: SponsorDeps): Promise<void> {
  const db = pool(deps.orm);
  const { name } = deps.network;
  const { rows } = await sql<{ recent: boolean }>`
    select exists (select from sponsor_balances
      where network = ${name} and burn_per_day > 0 and at > now() - ${MEASURED_EVERY}::interval) as recent`.execute(db);
  if (rows[0]?.recent === true) return;
  const { ledger, value } = await deps.rpc.account(deps.sponsorAddress);
  const available = value === null ? 0n : value.balance - value.reserved;
  const burn = await burnPerDay(db, deps);
  await sql`
    insert into sponsor_balances (network, address, available, burn_per_day, ledger, at)
    values (${name}, ${deps.sponsorAddress}, ${available}, ${burn}, ${ledger}, now())
    on conflict (network) do update set address = excluded.address, available = excluded.available,
      burn_per_day = excluded.burn_per_day, ledger = excluded.ledger, at = excluded.at`.execute(db);
  await tell(deps, db, { available, burn });
}

async function tell(
  deps: SponsorDeps,
  db: Sql,
  { available, burn }: { available: bigint; burn: bigint },
): Promise<void> {
  const resource = { type: 'network', id: deps.network.name };
  const daysLeft = await sponsorDaysLeft(db, deps.network.name);
  if (available > 0n && (daysLeft === null || daysLeft >= deps.sponsorDaysMin))
    return clearAttention(db, resource, 'SPONSOR_LOW');
  const detail = {
    address: deps.sponsorAddress,
    available_stroops: available.toString(),
    burn_per_day_stroops: burn.toString(),
    days_left: daysLeft,
  };
  deps.log.warn(detail, 'sponsor.low');
  await raiseAttention(db, {
    marketplaceId: null,
    resource,
    workflowId: reconcileWorkflowId(deps.network.name),
    reason: 'SPONSOR_LOW',
    detail,
  });
}

/** Fees that were charged and reserves that were locked in the last days, per day; a first day counts as a whole one. */
async function burnPerDay(db: Sql, { network }: SponsorDeps): Promise<bigint> {
  const { rows } = await sql<{ burn: string }>`
    with fees as (
      select coalesce(sum(fee_charged), 0) as used, min(created_at) as since from chain_transactions
      where created_at > now() - make_interval(days => ${WINDOW_DAYS})
    ), reserves as (
      select coalesce(sum(case kind when 'CHANNEL' then ${ACCOUNT_RESERVE}::bigint
        else ${ACCOUNT_RESERVE + TRUSTLINE_RESERVE * BigInt(network.assets.length)}::bigint end), 0) as used
      from wallets
      where status = 'READY' and kind <> 'SPONSOR' and provider = 'crypto-native'
        and created_at > now() - make_interval(days => ${WINDOW_DAYS})
    )
    select floor((fees.used + reserves.used)
      / greatest(1, coalesce(extract(epoch from now() - fees.since), 0) / 86400))::text as burn
    from fees, reserves`.execute(db);
  return BigInt(rows[0]?.burn ?? 0);
}
