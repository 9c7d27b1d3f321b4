/** Which wallets are created on chain together, and who is told when they are. */
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { walletBatchMax } from '../../domain/limits.ts';
import { orderWorkflowId, provisionerWorkflowId } from '../../domain/workflow-ids.ts';
import { orderWakeSignal, provisionSignal } from '../../workflows/messages.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import type { Deps } from '../context.ts';
import { ledgerOf } from '../payments/position.ts';
import { signalIfOpen, wakeWallet } from './wake.ts';

export interface Batch {
  readonly batch_id: string;
  readonly size: number;
}

export function createProvisioningActivities(deps: Deps) {
  const { orm, network, client } = deps;
  const size = walletBatchMax(network.assets.length);
  return {
    /** Tells the provisioner of the network that wallets wait; starts it when it does not run. */
    async requestProvisioning(): Promise<void> {
      await client.workflow.signalWithStart('provisioner', {
        workflowId: provisionerWorkflowId(network.name),
        taskQueue: `${deps.taskQueuePrefix}orders`,
        args: [{ network: network.name, task_queue_prefix: deps.taskQueuePrefix }],
        staticSummary: `provisioner of ${network.name}`,
        signal: provisionSignal,
        signalArgs: [],
      });
    },

    /**
     * The next batch to create: one that was begun before, else new wallets. Channel accounts come first and alone: they
     * are the sources of every later batch.
     * @param input.new_first after a batch died: others must not wait behind it
     */
    async takeBatch(input: { new_first: boolean }): Promise<Batch | null> {
      return inTransaction(orm, async (trx) =>
        input.new_first
          ? ((await newBatch(trx, size)) ?? oldestBatch(trx))
          : ((await oldestBatch(trx)) ?? newBatch(trx, size)),
      );
    },

    /**
     * Where the streams of the batch begin: read now, before anybody can know the addresses (F28). The chain reader must
     * not begin later than its first wallet.
     */
    async setBirthCursors({ batch_id }: { batch_id: string }): Promise<void> {
      const cursor = await deps.history.nowCursor();
      await inTransaction(orm, async (trx) => {
        await sql`
          insert into network_cursors (network, reader, cursor, ledger, updated_at)
          values (${network.name}, 'payments', ${cursor}, ${ledgerOf(cursor)}, now())
          on conflict do nothing`.execute(trx);
        await sql`
          update wallets set birth_cursor = ${cursor}, stream_cursor = ${cursor}, updated_at = now()
          where batch_id = ${batch_id} and birth_cursor is null`.execute(trx);
      });
    },

    /** A batch of more than one died: halved, the sound half gets through. */
    async splitBatch({ batch_id }: { batch_id: string }): Promise<void> {
      await sql`
        with members as (
          select id, row_number() over (order by id) as place, count(*) over () as size
          from wallets where batch_id = ${batch_id} and status = 'PROVISIONING'
        )
        update wallets w set batch_id = ${newId('walletBatch')}, updated_at = now()
        from members m where m.id = w.id and m.place > m.size / 2 and m.size > 1`.execute(pool(orm));
    },

    /**
     * A single wallet cannot be created, or the sponsor cannot pay: somebody has to look. It goes behind all others.
     * @returns the batch that it is now: nothing of the old one can land
     */
    provisioningNeedsAttention: (input: Unprovisioned): Promise<Batch> => putBehind(deps, input),

    /** Wakes the wallets' workflows, and the orders that wait for these wallets. */
    async wakeProvisioned({ batch_id }: { batch_id: string }): Promise<void> {
      const wallets = await sql<{ id: string; kind: string }>`
        select id, kind from wallets where batch_id = ${batch_id} and status = 'READY'`.execute(pool(orm));
      // System wallets serve every order of their marketplace, a channel account every order there is.
      const orders = await sql<{ id: string }>`
        select distinct o.id, o.created_at from orders o
        join wallets w on w.batch_id = ${batch_id} and w.status = 'READY' and case w.kind
          when 'USER' then w.user_id in (o.buyer_id, o.seller_id)
          when 'CHANNEL' then true else w.marketplace_id = o.marketplace_id end
        where o.waiting_for = 'WALLET' order by o.created_at, o.id`.execute(pool(orm));
      await clearAttention(pool(orm), { type: 'network', id: network.name }, 'TRANSACTION_FAILED');
      const followed = wallets.rows.filter(({ kind }) => kind !== 'CHANNEL');
      await Promise.all(followed.map(({ id }) => wakeWallet(deps, id)));
      for (const { id } of orders.rows)
        await signalIfOpen(client, orderWorkflowId(id), orderWakeSignal, [{ cause: 'WALLET' }]);
    },
  };
}

interface Unprovisioned {
  readonly batch_id: string;
  readonly reason: string;
  readonly detail: string;
}

async function putBehind({ orm, network, log }: Deps, input: Unprovisioned): Promise<Batch> {
  log.error({ batch_id: input.batch_id, reason: input.reason }, 'provisioning.failed');
  await raiseAttention(pool(orm), {
    marketplaceId: null,
    resource: { type: 'network', id: network.name },
    workflowId: provisionerWorkflowId(network.name),
    reason: 'TRANSACTION_FAILED',
    detail: { ...input },
  });
  const batchId = newId('walletBatch');
  await sql`
    update wallets set batch_id = ${batchId}, updated_at = now()
    where batch_id = ${input.batch_id} and status = 'PROVISIONING'`.execute(pool(orm));
  return { batch_id: batchId, size: 1 };
}

async function oldestBatch(trx: Sql): Promise<Batch | null> {
  const { rows } = await sql<Batch>`
    select batch_id, count(*)::int as size from wallets
    where status = 'PROVISIONING' and batch_id is not null
    group by batch_id order by batch_id limit 1`.execute(trx);
  return rows[0] ?? null;
}

async function newBatch(trx: Sql, size: number): Promise<Batch | null> {
  const batchId = newId('walletBatch');
  const { rows } = await sql<{ id: string }>`
    with waiting as (
      select id, kind from wallets
      where status = 'PROVISIONING' and batch_id is null and provider = 'crypto-native'
    ), chosen as (
      select id from waiting
      where kind = 'CHANNEL' or not exists (select from waiting where kind = 'CHANNEL')
      order by id limit ${size}
    )
    update wallets w set batch_id = ${batchId}, updated_at = now() from chosen where w.id = chosen.id
    returning w.id`.execute(trx);
  return rows.length === 0 ? null : { batch_id: batchId, size: rows.length };
}
