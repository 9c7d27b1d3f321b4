/** What has to be there before work begins, made by whichever worker comes first. */
import { sql } from 'kysely';
import type { Deps } from '../activities/context.ts';
import { createWalletActivities } from '../activities/wallets/index.ts';
import { type Orm } from '../db/orm.ts';
import { type WalletPools, fillPools } from '../db/resources/marketplace.ts';
import { type Sql, inTransaction } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import { chainReaderWorkflowId, reconcileWorkflowId } from '../domain/workflow-ids.ts';
import type { ChainReaderInput } from '../workflows/messages.ts';

/** Name of the advisory lock: two workers that boot together make one set of rows. */
const BOOT_LOCK = 0x0e7e_17b1;
const CHANNELS_LOCK = 0x0e7e_17b4;

/** Enough for a small deployment, and made in one transaction; `orchestrator channels create` makes more. */
export const CHANNELS_AT_BOOT = 4;

/** The deployment's own wallets: the sponsor as configured, and channel accounts to be created. */
export async function ensureDeploymentWallets(orm: Orm, sponsorAddress: string): Promise<void> {
  await inTransaction(orm, async (trx) => {
    await sql`select pg_advisory_xact_lock(${BOOT_LOCK})`.execute(trx);
    await sql`
      insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, created_at, updated_at)
      select ${newId('wallet')}, null, null, 'SPONSOR', 'crypto-native', 'READY', ${sponsorAddress}, now(), now()
      where not exists (select from wallets where address = ${sponsorAddress})`.execute(trx);
    await ensureChannels(trx, CHANNELS_AT_BOOT);
  });
}

/**
 * Brings the number of channel accounts up to `wanted`; they wait to be provisioned. Asked again, nothing more is made.
 * @returns how many were added
 */
export async function ensureChannels(trx: Sql, wanted: number): Promise<number> {
  // Two that ask at the same time make one set.
  await sql`select pg_advisory_xact_lock(${CHANNELS_LOCK})`.execute(trx);
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from wallets where kind = 'CHANNEL' and status <> 'CLOSED'`.execute(trx);
  const ids = Array.from({ length: Math.max(0, wanted - (rows[0]?.n ?? 0)) }, () => newId('wallet'));
  await sql`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
    select id, null, null, 'CHANNEL', 'crypto-native', 'PROVISIONING', now(), now()
    from unnest(${ids}::text[]) as id`.execute(trx);
  return ids.length;
}

/** Makes the pools of every marketplace as large as configured; reconcile sees to it that new wallets are created. */
export async function ensurePools(orm: Orm, pools: WalletPools): Promise<void> {
  await inTransaction(orm, async (trx) => {
    await sql`select pg_advisory_xact_lock(${BOOT_LOCK})`.execute(trx);
    const { rows } = await sql<{ id: string }>`select id from marketplaces order by id`.execute(trx);
    for (const { id } of rows) await fillPools(trx, id, pools);
  });
}

/** The workflows of which there is one per network. Running ones stay as they are. */
export async function ensureSingletons(deps: Deps): Promise<void> {
  const { client, network, taskQueuePrefix } = deps;
  const input: ChainReaderInput = { network: network.name, task_queue_prefix: taskQueuePrefix };
  const start = (type: string, workflowId: string) =>
    client.workflow.start(type, {
      workflowId,
      taskQueue: `${taskQueuePrefix}orders`,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `${type} of ${network.name}`,
    });
  await Promise.all([
    start('chainReader', chainReaderWorkflowId(network.name)),
    start('reconcile', reconcileWorkflowId(network.name)),
    createWalletActivities(deps).requestProvisioning(),
  ]);
}
