/** What has to be there before work begins, made by whichever worker comes first. */
import { sql } from 'kysely';
import type { Deps } from '../activities/context.ts';
import { createWalletActivities } from '../activities/wallets/index.ts';
import { type Orm } from '../db/orm.ts';
import { inTransaction } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import { chainReaderWorkflowId, reconcileWorkflowId } from '../domain/workflow-ids.ts';
import type { ChainReaderInput } from '../workflows/messages.ts';

/** Name of the advisory lock: two workers that boot together make one set of rows. */
const BOOT_LOCK = 0x0e7e_17b1;

/** The deployment's own wallets: the sponsor as configured, and one channel account to be created. */
export async function ensureDeploymentWallets(orm: Orm, sponsorAddress: string): Promise<void> {
  await inTransaction(orm, async (trx) => {
    await sql`select pg_advisory_xact_lock(${BOOT_LOCK})`.execute(trx);
    await sql`
      insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, created_at, updated_at)
      select ${newId('wallet')}, null, null, 'SPONSOR', 'crypto-native', 'READY', ${sponsorAddress}, now(), now()
      where not exists (select from wallets where address = ${sponsorAddress})`.execute(trx);
    await sql`
      insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
      select ${newId('wallet')}, null, null, 'CHANNEL', 'crypto-native', 'PROVISIONING', now(), now()
      where not exists (select from wallets where kind = 'CHANNEL')`.execute(trx);
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
    });
  await Promise.all([
    start('chainReader', chainReaderWorkflowId(network.name)),
    start('reconcile', reconcileWorkflowId(network.name)),
    createWalletActivities(deps).requestProvisioning(),
  ]);
}
