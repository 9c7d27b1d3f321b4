/** Disputes that should be moving, or that their orders have not heard of: their workflows are told, or started from the rows. */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import { disputeWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import { type DisputeInput, type OrderInput, disputeSettledSignal, rowWakeSignal } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';

/** Per kind; the next run finds the rest. */
const FOUND_MAX = 200;

type WakeDeps = Pick<Deps, 'orm' | 'client' | 'taskQueuePrefix'>;

/**
 * Decided and not paid out, or not decided in time, for `graceS` seconds. A parked one is started by its repair, one whose
 * marketplace is paused waits for it: both would only be told in vain.
 * @returns how many were found
 */
export async function wakeDisputes({ orm, client, taskQueuePrefix }: WakeDeps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select d.id from disputes d join marketplaces m on m.id = d.marketplace_id
    where (d.status = 'RESOLVING' and d.operation->>'status' <> 'PARKED'
        and d.updated_at < now() - make_interval(secs => ${graceS}))
      or (d.status in ('OPEN', 'UNDER_REVIEW') and m.status <> 'PAUSED'
        and d.due_at < marketplace_now(d.marketplace_id) - make_interval(secs => ${graceS}))
    limit ${FOUND_MAX}`.execute(pool(orm));
  for (const { id } of rows)
    await client.workflow.signalWithStart('dispute', {
      workflowId: disputeWorkflowId(id),
      taskQueue: `${taskQueuePrefix}orders`,
      args: [{ dispute_id: id, task_queue_prefix: taskQueuePrefix } satisfies DisputeInput],
      staticSummary: `dispute ${id}`,
      signal: rowWakeSignal,
      signalArgs: [],
    });
  return rows.length;
}

/**
 * Over for `graceS` seconds, and not taken over by their orders; where it does not fit the order, somebody has to look first.
 * @returns how many were found
 */
export async function tellOrders({ orm, client, taskQueuePrefix }: WakeDeps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string; order_id: string }>`
    select id, order_id from disputes d
    where status in ('RESOLVED', 'WITHDRAWN') and applied_at is null
      and updated_at < now() - make_interval(secs => ${graceS})
      and not exists (select from attention a where a.resource_type = 'order' and a.resource_id = d.order_id
        and a.reason = 'BOOKS_DIFFER' and a.cleared_at is null)
    limit ${FOUND_MAX}`.execute(pool(orm));
  for (const { id, order_id } of rows)
    await client.workflow.signalWithStart('order', {
      workflowId: orderWorkflowId(order_id),
      taskQueue: `${taskQueuePrefix}orders`,
      args: [{ order_id, task_queue_prefix: taskQueuePrefix, resume: true } satisfies OrderInput],
      staticSummary: `order ${order_id}`,
      signal: disputeSettledSignal,
      signalArgs: [{ dispute_id: id }],
    });
  return rows.length;
}
