/** `orchestrator wallets close`: ends a wallet; its reserves go back to the sponsor. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { recordAudit } from '../db/audit.ts';
import { type Sql, pool } from '../db/sql.ts';
import { type ServiceOptions, withSystem } from './services.ts';

/** A transaction that no node takes is proved dead after its lifetime of two minutes. */
const PATIENCE_MS = 5 * 60_000;

/** @param id of a wallet (`wal_…`) or of a user (`usr_…`). @throws Refusal with the reason for which it stays open */
export async function runWalletsClose(id: string, options: ServiceOptions): Promise<void> {
  await withSystem(options, async ({ orm, workflows }) => {
    const wallet = await findWallet(pool(orm), id);
    const call = { updateId: randomUUID(), timeoutMs: PATIENCE_MS };
    const closed = await workflows.closeWallet(wallet.id, { request_id: null, actor: null }, call);
    await recordAudit(pool(orm), {
      marketplaceId: wallet.marketplace_id,
      actor: null,
      requestId: null,
      action: 'wallet.close',
      resource: { type: 'wallet', id: wallet.id },
      before: { status: wallet.status },
      after: closed,
    });
    process.stdout.write(`${JSON.stringify({ event: 'wallet.closed', ...closed })}\n`);
  });
}

interface Found {
  readonly id: string;
  readonly status: string;
  readonly marketplace_id: string | null;
}

async function findWallet(db: Sql, id: string): Promise<Found> {
  const { rows } = await sql<Found>`
    select id, status, marketplace_id from wallets where id = ${id} or (user_id = ${id} and kind = 'USER')`.execute(db);
  if (rows[0] === undefined) throw new Error(`there is no wallet or user ${id}`);
  return rows[0];
}
