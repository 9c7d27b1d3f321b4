/**
 * Every workflow that starts from its row. Whoever adds a workflow with a row of its own adds it here: that is all that
 * `orchestrator recover` needs to know.
 */
import type { SearchAttributePair } from '@temporalio/common';
import { type RawBuilder, sql } from 'kysely';
import type { Deps } from '../activities/context.ts';
import {
  disputeWorkflowId,
  orderWorkflowId,
  paymentWorkflowId,
  surplusWorkflowId,
  walletWorkflowId,
} from '../domain/workflow-ids.ts';
import type { DisputeInput, OrderInput, PaymentInput, SurplusInput, WalletInput } from '../workflows/messages.ts';
import { orderWakeSignal, rowWakeSignal, walletWakeSignal } from '../workflows/messages.ts';
import { ORDER_ID, WALLET_ID } from '../workflows/search-attributes.ts';

export interface Resumable {
  /** workflow type */
  readonly type: string;
  readonly workflowId: (id: string) => string;
  /** the table, and which of its rows have a workflow */
  readonly table: string;
  readonly open: RawBuilder<unknown>;
  readonly input: (id: string, deps: Pick<Deps, 'network' | 'taskQueuePrefix' | 'paymentSource'>) => object;
  readonly searchAttributes?: (id: string) => SearchAttributePair[];
  /** makes one that runs look at its row again: it may know less, or more, than the row does */
  readonly wake?: readonly [signal: string, ...args: object[]];
}

const payment = (type: 'withdrawal' | 'adjustment'): Resumable => ({
  type,
  workflowId: (id) => paymentWorkflowId({ type, id }),
  table: 'payments',
  open: sql`kind = ${type.toUpperCase()} and status not in ('COMPLETED', 'FAILED', 'CANCELED')`,
  input: (id, { taskQueuePrefix }): PaymentInput => ({
    payment: { type, id },
    task_queue_prefix: taskQueuePrefix,
    resume: true,
  }),
  wake: [rowWakeSignal.name],
});

export const RESUMABLE: readonly Resumable[] = [
  {
    type: 'wallet',
    workflowId: walletWorkflowId,
    table: 'wallets',
    open: sql`status <> 'CLOSED' and kind not in ('CHANNEL', 'SPONSOR')`,
    input: (id, { network, taskQueuePrefix, paymentSource }): WalletInput => ({
      wallet_id: id,
      network: network.name,
      task_queue_prefix: taskQueuePrefix,
      follow: true,
      source: paymentSource,
      resume: true,
    }),
    searchAttributes: (id) => [{ key: WALLET_ID, value: id }],
    wake: [walletWakeSignal.name],
  },
  {
    type: 'order',
    workflowId: orderWorkflowId,
    table: 'orders',
    open: sql`status <> 'CLOSED'`,
    input: (id, { taskQueuePrefix }): OrderInput => ({
      order_id: id,
      task_queue_prefix: taskQueuePrefix,
      resume: true,
    }),
    searchAttributes: (id) => [{ key: ORDER_ID, value: id }],
    wake: [orderWakeSignal.name, { cause: 'RESUME' }],
  },
  {
    type: 'dispute',
    workflowId: disputeWorkflowId,
    table: 'disputes',
    open: sql`status not in ('RESOLVED', 'WITHDRAWN')`,
    input: (id, { taskQueuePrefix }): DisputeInput => ({ dispute_id: id, task_queue_prefix: taskQueuePrefix }),
    wake: [rowWakeSignal.name],
  },
  payment('withdrawal'),
  payment('adjustment'),
  {
    type: 'surplus',
    workflowId: surplusWorkflowId,
    table: 'surpluses',
    open: sql`settled_at is null`,
    input: (id, { taskQueuePrefix }): SurplusInput => ({ escrow_id: id, task_queue_prefix: taskQueuePrefix }),
    wake: [rowWakeSignal.name],
  },
];
