/**
 * Trustlines of our wallets, as the chain has them. A missing one is ours to give; a frozen one is the issuer's decision
 * and stays on the attention list.
 */
import { sql } from 'kysely';
import { type Sql, pool } from '../../db/sql.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { ProviderError } from '../../providers/errors.ts';
import { repairTrustlinesSignal } from '../../workflows/messages.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import type { Deps } from '../context.ts';
import { waitFor } from '../failure.ts';
import { signalWallet } from './wake.ts';

/** The number of the repair follows. */
const REPAIR_STEP = 'trustlines/';
/** Looked at per round of reconcile: two calls a minute and asset leave the provider's budget to the orders. */
const CHECKED_AT_ONCE = 10;
const CHECKED_EVERY = '6 hours';

export interface Trustlines {
  /** codes of settlement assets */
  readonly present: readonly string[];
  readonly missing: readonly string[];
}

/** @throws ProviderError */
async function trustlinesOf({ rpc, network }: Pick<Deps, 'rpc' | 'network'>, address: string): Promise<Trustlines> {
  const lines = await Promise.all(
    network.assets.map(async (asset) => ({ code: asset.code, line: (await rpc.trustline(address, asset)).value })),
  );
  return {
    present: lines.filter(({ line }) => line !== null).map(({ code }) => code),
    missing: lines.filter(({ line }) => line === null).map(({ code }) => code),
  };
}

export interface TrustlineLook extends Trustlines {
  /** how many repairs landed before: the name of this one, under which a lost workflow finds its transaction again */
  readonly repairs: number;
  /** a transaction of this repair may still land, whatever is missing now */
  readonly unfinished: boolean;
}

export function createTrustlineActivities(deps: Deps) {
  return {
    /** Of one wallet, now. Queue `chain`. */
    async readTrustlines({ wallet_id }: { wallet_id: string }): Promise<TrustlineLook> {
      const { rows } = await sql<{ address: string; repairs: number; unfinished: boolean; closing: boolean }>`
        select address, repairs, closing_at is not null as closing, exists (select from chain_transactions
          where intent_key = ${`${walletWorkflowId(wallet_id)}/${REPAIR_STEP}`} || repairs
            and status in ('SIGNED', 'SUBMITTED')) as unfinished
        from wallets where id = ${wallet_id} and address is not null`.execute(pool(deps.orm));
      if (rows[0] === undefined) return { present: [], missing: [], repairs: 0, unfinished: false };
      const { address, closing, repairs, unfinished } = rows[0];
      try {
        const { present, missing } = await trustlinesOf(deps, address);
        return { present, missing: closing ? [] : missing, repairs, unfinished };
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        throw waitFor('PROVIDER', error.message, error.retryAfterMs ?? undefined);
      }
    },

    /** What became of a repair: whoever has to look is told, and what is mended is off the list. */
    async trustlinesRepaired(input: { wallet_id: string; failure: string | null }): Promise<void> {
      const { wallet_id, failure } = input;
      const resource = { type: 'wallet', id: wallet_id };
      if (failure === null) {
        deps.log.info({ wallet_id }, 'wallet.trustlines_repaired');
        return clearAttention(pool(deps.orm), resource, 'TRUSTLINE_UNUSABLE');
      }
      deps.log.error({ wallet_id, reason: failure }, 'wallet.trustlines_not_repaired');
      const { rows } = await sql<{ marketplace_id: string | null }>`
        select marketplace_id from wallets where id = ${wallet_id}`.execute(pool(deps.orm));
      await raiseAttention(pool(deps.orm), {
        marketplaceId: rows[0]?.marketplace_id ?? null,
        resource,
        workflowId: walletWorkflowId(wallet_id),
        reason: 'TRUSTLINE_UNUSABLE',
        detail: { failure },
      });
    },
  };
}

/**
 * Looks at the wallets that were not looked at for longest, and has those repaired that lack a trustline.
 * @returns how many do; @throws ProviderError
 */
export async function checkTrustlines(deps: Deps): Promise<number> {
  const { rows } = await sql<{ id: string; address: string }>`
    update wallets set checked_at = now() where id in (
      select id from wallets
      where status = 'READY' and provider = 'crypto-native' and kind not in ('CHANNEL', 'SPONSOR') and closing_at is null
        and (checked_at is null or checked_at < now() - ${CHECKED_EVERY}::interval)
      order by checked_at nulls first, id limit ${CHECKED_AT_ONCE} for update skip locked)
    returning id, address`.execute(pool(deps.orm));
  const looks = rows.map(async ({ id, address }) => ({ id, ...(await trustlinesOf(deps, address)) }));
  const lacking = (await Promise.all(looks)).filter(({ missing }) => missing.length > 0);
  for (const { id, missing } of lacking) {
    deps.log.warn({ wallet_id: id, assets: missing }, 'wallet.trustlines_missing');
    await signalWallet(deps, id, repairTrustlinesSignal);
  }
  return lacking.length;
}

/** Has the wallet at an address repaired, if it is one of ours. @returns whether it is */
export async function repairAt(deps: Deps, db: Sql, address: string): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    select id from wallets where address = ${address} and provider = 'crypto-native' and status = 'READY'
      and kind not in ('CHANNEL', 'SPONSOR')`.execute(db);
  if (rows[0] === undefined) return false;
  await signalWallet(deps, rows[0].id, repairTrustlinesSignal);
  return true;
}
