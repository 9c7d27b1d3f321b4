/** Who books what a stranger's transaction moved on a contract: the order, and when that is over, its surplus. */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import { orderWorkflowId, surplusWorkflowId } from '../../domain/workflow-ids.ts';
import { type SurplusInput, foreignTransactionSignal, rowWakeSignal } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';
import { signalIfOpen } from '../wallets/wake.ts';
import { openSurplus } from './opening.ts';

/** The next run finds the rest. */
const FOUND_MAX = 200;

type WakeDeps = Pick<Deps, 'orm' | 'client' | 'taskQueuePrefix'>;

/** Makes the workflow look; starts it when it does not run. */
async function wake({ client, taskQueuePrefix }: WakeDeps, escrowId: string): Promise<void> {
  const input: SurplusInput = { escrow_id: escrowId, task_queue_prefix: taskQueuePrefix };
  await client.workflow.signalWithStart('surplus', {
    workflowId: surplusWorkflowId(escrowId),
    taskQueue: `${taskQueuePrefix}orders`,
    args: [input],
    staticSummary: `what is left in ${escrowId}`,
    signal: rowWakeSignal,
    signalArgs: [],
  });
}

/** The order is over, and something is left in its contract or came into it. An order that is open books it itself. */
export async function wakeSurplus(deps: WakeDeps, orderId: string): Promise<void> {
  const escrowId = await openSurplus(pool(deps.orm), orderId, 'SEEN');
  if (escrowId !== null) await wake(deps, escrowId);
}

/** Tells whoever books it; idempotent there. What a crash leaves untold, reconcile tells again. */
export async function tellOfForeign(deps: WakeDeps, orderId: string, transactionHash: string): Promise<void> {
  const signal = [{ transaction_hash: transactionHash }] as [{ readonly transaction_hash: string }];
  const told = await signalIfOpen(deps.client, orderWorkflowId(orderId), foreignTransactionSignal, signal);
  if (!told) await wakeSurplus(deps, orderId);
}

/** @returns how many that nobody has looked at for `graceS` seconds, or whose payout was begun and is not over */
export async function wakeSurpluses(deps: WakeDeps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from surpluses s
    where settled_at is null
      and (looked_at is null or looked_at < seen_at or (approval_id is not null and not exists (
        select from attention a where a.workflow_id = 'surplus/' || s.id and a.cleared_at is null
          and a.id is distinct from s.attention_id)))
      and greatest(seen_at, looked_at) < clock_timestamp() - make_interval(secs => ${graceS})
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { id } of rows) await wake(deps, id);
  return rows.length;
}
