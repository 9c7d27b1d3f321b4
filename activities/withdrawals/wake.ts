/** Payments that should be moving: their workflows are started from their rows where they do not run. */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import type { PaymentRef } from '../../domain/intents.ts';
import { paymentWorkflowId } from '../../domain/workflow-ids.ts';
import { type PaymentInput, rowWakeSignal } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';
import { typeOf } from './row.ts';

/** The next run finds the rest. */
const FOUND_MAX = 200;

/** Makes the payment's workflow look at its row; starts it from there when it does not run. */
async function wakePayment(deps: Pick<Deps, 'client' | 'taskQueuePrefix'>, payment: PaymentRef): Promise<void> {
  const input: PaymentInput = { payment, task_queue_prefix: deps.taskQueuePrefix, resume: true };
  await deps.client.workflow.signalWithStart(payment.type, {
    workflowId: paymentWorkflowId(payment),
    taskQueue: `${deps.taskQueuePrefix}orders`,
    args: [input],
    staticSummary: paymentWorkflowId(payment),
    signal: rowWakeSignal,
    signalArgs: [],
  });
}

/** @returns how many were found that did not move for `graceS` seconds; an approval, or a repair, starts it by itself */
export async function wakePayments(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string; kind: 'WITHDRAWAL' | 'ADJUSTMENT' }>`
    select id, kind from payments
    where status not in ('COMPLETED', 'FAILED', 'CANCELED') and status <> 'APPROVAL_REQUIRED'
      and operation->>'status' <> 'PARKED'
      and updated_at < now() - make_interval(secs => ${graceS})
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { id, kind } of rows) await wakePayment(deps, { type: typeOf({ kind }), id });
  return rows.length;
}
