/** What pays somebody out stands still while its marketplace is paused: what is not signed by then is not signed. */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import { waitFor } from '../failure.ts';
import { releaseLease } from './leases.ts';
import type { Target } from './target.ts';

/** Looked at again after this long. */
const PAUSED_MS = 5_000;

/** @param key whoever waits does not keep the source account from others: the lease that it gives back */
export function unlessPaused(db: Sql, target: Target, marketplaceId: string, key: string): Target {
  return {
    ...target,
    build: async () => {
      if (!(await isPaused(db, marketplaceId))) return target.build();
      await releaseLease(db, key);
      throw waitFor('PAUSED', 'the marketplace is paused', PAUSED_MS);
    },
    verify: async (envelope) => {
      if (await isPaused(db, marketplaceId))
        return { verdict: { verdict: 'STALE', reason: 'the marketplace is paused' }, ledger: 0 };
      return target.verify(envelope);
    },
  };
}

async function isPaused(db: Sql, marketplaceId: string): Promise<boolean> {
  const { rows } = await sql<{ paused: boolean }>`
    select status = 'PAUSED' as paused from marketplaces where id = ${marketplaceId}`.execute(db);
  return rows[0]?.paused === true;
}
