/** Looks for what fell between two chairs, and wakes who owns it; money it never touches. */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import {
  orderWorkflowId,
  reconcileWorkflowId,
  surplusWorkflowId,
  walletWorkflowId,
} from '../../domain/workflow-ids.ts';
import { ProviderError } from '../../providers/errors.ts';
import { foreignTransactionSignal, orderWakeSignal, repairTrustlinesSignal } from '../../workflows/messages.ts';
import { raiseAttention } from '../attention.ts';
import { freeOrphanedLeases } from '../chain/leases.ts';
import type { Deps } from '../context.ts';
import { tellOrders, wakeDisputes } from '../disputes/wake.ts';
import { UNBOOKED } from '../surplus/opening.ts';
import { wakeSurpluses } from '../surplus/wake.ts';
import { wakePayments } from '../withdrawals/wake.ts';
import { keepHistories } from '../histories/keep.ts';
import { createProvisioningActivities } from './provisioning.ts';
import { watchSponsor } from './sponsor.ts';
import { checkTrustlines } from './trustlines.ts';
import { signalIfOpen, signalWallet, wakeWallet } from './wake.ts';

/** Per kind and run: the next run finds the rest. */
const FOUND_MAX = 200;

interface ReconcileResult {
  readonly unbooked: number;
  readonly pending_without_envelope: number;
  readonly wallets_waiting: number;
  readonly movements_waiting: number;
  readonly closings_waiting: number;
  readonly foreign_unbooked: number;
  readonly orphaned_leases: number;
  readonly orders_waiting: number;
  readonly payments_waiting: number;
  readonly disputes_waiting: number;
  readonly disputes_untold: number;
  readonly surpluses_waiting: number;
  readonly trustlines_missing: number;
}

export function createReconcileActivities(deps: Deps) {
  return {
    /** @param input.older_than_s what is younger may still be on its way */
    async reconcile({ older_than_s }: { older_than_s: number }): Promise<ReconcileResult> {
      const result = {
        unbooked: await wakeUnbooked(deps, older_than_s),
        pending_without_envelope: await reportPending(deps, older_than_s),
        wallets_waiting: await wakeProvisioning(deps, older_than_s),
        movements_waiting: await wakeFollowers(deps, older_than_s),
        closings_waiting: await wakeClosings(deps, older_than_s),
        foreign_unbooked: await remindForeign(deps, older_than_s),
        orphaned_leases: await freeOrphanedLeases(pool(deps.orm)),
        orders_waiting: await wakeWaiting(deps, older_than_s),
        payments_waiting: await wakePayments(deps, older_than_s),
        disputes_waiting: await wakeDisputes(deps, older_than_s),
        disputes_untold: await tellOrders(deps, older_than_s),
        surpluses_waiting: await wakeSurpluses(deps, older_than_s),
        trustlines_missing: (await whileReachable(deps, () => checkTrustlines(deps))) ?? 0,
      };
      await whileReachable(deps, () => watchSponsor(deps));
      await keepWhatTemporalForgets(deps, older_than_s);
      if (Object.values(result).some((found) => found > 0))
        deps.log.warn({ ...result, workflow_id: reconcileWorkflowId(deps.network.name) }, 'reconcile.found');
      return result;
    },
  };
}

/** A convenience: whatever is wrong with it, the rest of the look stands. */
async function keepWhatTemporalForgets(deps: Deps, graceS: number): Promise<void> {
  try {
    const copies = await keepHistories(deps, graceS);
    if (copies > 0) deps.log.info({ copies }, 'histories.kept');
  } catch (error) {
    deps.log.warn({ error }, 'histories.failed');
  }
}

/** What asks the chain waits for the next round when a provider does not answer; what asks our rows does not wait for it. */
async function whileReachable<T>(deps: Deps, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    deps.log.warn({ provider: error.provider, reason: error.message }, 'reconcile.provider_unavailable');
    return null;
  }
}

/** Signed, and not in the books for a while: its workflow is started from its row if it is gone. */
async function wakeUnbooked(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ workflow_id: string; order_id: string | null }>`
    select distinct workflow_id, order_id from chain_transactions
    where status in ('SIGNED', 'SUBMITTED', 'CONFIRMED') and booked_at is null
      and signed_at < now() - make_interval(secs => ${graceS}) limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { workflow_id, order_id } of rows) {
    deps.log.warn({ workflow_id }, 'reconcile.unbooked');
    // What is left when an order is over has a workflow of its own, which `wakeSurpluses` looks after.
    if (order_id !== null && !workflow_id.startsWith(surplusWorkflowId(''))) await ensureOrder(deps, order_id);
    const walletId = walletOfWorkflow(workflow_id);
    // Whoever repairs finds what it began; a closing goes on by the wallet's row.
    if (walletId !== null) await signalWallet(deps, walletId, repairTrustlinesSignal);
  }
  if (rows.some(({ order_id }) => order_id === null)) await createProvisioningActivities(deps).requestProvisioning();
  return rows.length;
}

/** The wallet that a workflow is about, or null. */
const walletOfWorkflow = (workflowId: string): string | null =>
  workflowId.startsWith(walletWorkflowId('')) ? workflowId.slice(walletWorkflowId('').length) : null;

async function wakeOrder(deps: Deps, orderId: string): Promise<void> {
  await deps.client.workflow.signalWithStart('order', {
    workflowId: orderWorkflowId(orderId),
    taskQueue: `${deps.taskQueuePrefix}orders`,
    args: [{ order_id: orderId, task_queue_prefix: deps.taskQueuePrefix, resume: true }],
    staticSummary: `order ${orderId}`,
    signal: orderWakeSignal,
    signalArgs: [{ cause: 'RESUME' }],
  });
}

/**
 * Deadlines that are over, and orders that may go on because money or a wallet is there, their marketplace goes on, or a parked
 * step was taken up by a run that died before it knew: nobody else looks again.
 */
async function wakeWaiting(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string; due: boolean }>`
    with running as (
      select o.*, m.status = 'PAUSED' as paused,
        marketplace_now(o.marketplace_id) - make_interval(secs => ${graceS}) as before
      from orders o join marketplaces m on m.id = o.marketplace_id where o.status <> 'CLOSED'
    )
    select id, false as due from running o
    where updated_at < before and ((waiting_for = 'RESUME' and not paused)
      or (waiting_for is null and operation->>'status' = 'RUNNING' and not exists (
        select from chain_transactions t where t.order_id = o.id and t.booked_at is null
          and t.status in ('SIGNED', 'SUBMITTED', 'CONFIRMED')))
      or (auto and waiting_for = 'WALLET')
      or (auto and waiting_for = 'DEPOSIT' and amount <= (
        select b.credits_posted - b.debits_posted - b.debits_pending from ledger_balances b
        where b.marketplace_id = o.marketplace_id and b.kind = 'user.funds' and b.owner_id = o.buyer_id
          and b.asset = o.asset)))
    union all
    select id, true from running where due_at < before and not paused
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { id, due } of rows) await (due ? ensureOrder(deps, id) : wakeOrder(deps, id));
  return rows.length;
}

/** Starts the order's workflow from its row; one that runs is left alone. */
async function ensureOrder(deps: Deps, orderId: string): Promise<void> {
  await deps.client.workflow.start('order', {
    workflowId: orderWorkflowId(orderId),
    taskQueue: `${deps.taskQueuePrefix}orders`,
    args: [{ order_id: orderId, task_queue_prefix: deps.taskQueuePrefix, resume: true }],
    staticSummary: `order ${orderId}`,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** Money that is held for an envelope nobody can send any more: a compensation is missing. */
async function reportPending(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string; marketplace_id: string; order_id: string; amount: string }>`
    select t.id, t.marketplace_id, e.order_id, t.amount::text as amount from ledger_transfers t
    join escrows e on e.id = t.resource_id
    where t.kind = 'PENDING' and t.code = 'FUNDING' and t.created_at < now() - make_interval(secs => ${graceS})
      and not exists (select from ledger_transfers s where s.pending_id = t.id)
      and not exists (select from chain_transactions c where c.order_id = e.order_id
        and c.intent->>'kind' = 'FUND_ESCROW'
        and (c.status in ('SIGNED', 'SUBMITTED') or (c.status = 'CONFIRMED' and c.booked_at is null)))
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const row of rows)
    await raiseAttention(pool(deps.orm), {
      marketplaceId: row.marketplace_id,
      resource: { type: 'order', id: row.order_id },
      workflowId: orderWorkflowId(row.order_id),
      reason: 'BOOKS_DIFFER',
      detail: { transfer_id: row.id, amount_stroops: row.amount, matter: 'pending without an envelope' },
    });
  return rows.length;
}

/** Wallets that wait to be created, e.g. because the process that inserted them died before it told anybody. */
async function wakeProvisioning(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string; kind: string }>`
    select id, kind from wallets
    where status = 'PROVISIONING' and created_at < now() - make_interval(secs => ${graceS}) order by id limit ${FOUND_MAX}`.execute(
    pool(deps.orm),
  );
  if (rows.length > 0) await createProvisioningActivities(deps).requestProvisioning();
  for (const { id, kind } of rows) if (kind !== 'CHANNEL') await wakeWallet(deps, id);
  return rows.length;
}

/** Movements that were seen and not recorded: their wallets sleep, or their streams were lost. */
async function wakeFollowers(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select distinct w.id from wallets w
    join observed_movements o on o.network = ${deps.network.name} and w.address in (o.from_address, o.to_address)
      and o.operation_id > w.stream_cursor::bigint
    where w.status = 'READY' and o.closed_at < now() - make_interval(secs => ${graceS}) limit ${FOUND_MAX}`.execute(
    pool(deps.orm),
  );
  for (const { id } of rows) await wakeWallet(deps, id);
  return rows.length;
}

/** Closings that began and are not over: each by its wallet's workflow, or, if that was lost, by the next one. */
async function wakeClosings(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from wallets where status = 'READY' and closing_at < now() - make_interval(secs => ${graceS})
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { id } of rows) await wakeWallet(deps, id);
  return rows.length;
}

/** Movements on our contracts in transactions that are not ours, and that no open order has booked. */
async function remindForeign(deps: Deps, graceS: number): Promise<number> {
  const { rows } = await sql<{ order_id: string; transaction_hash: string }>`
    select distinct e.order_id, m.transaction_hash from movements m
    join escrows e on ${UNBOOKED}
    join orders o on o.id = e.order_id and o.status <> 'CLOSED'
    where m.created_at < now() - make_interval(secs => ${graceS})
    limit ${FOUND_MAX}`.execute(pool(deps.orm));
  for (const { order_id, transaction_hash } of rows)
    await signalIfOpen(deps.client, orderWorkflowId(order_id), foreignTransactionSignal, [{ transaction_hash }]);
  return rows.length;
}
