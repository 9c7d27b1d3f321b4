/** The order's half of a dispute: it inserts the row and marks its parts, and takes over what became of it. */
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { appendEvidence } from '../../db/resources/dispute.ts';
import { orderResource } from '../../db/resources/order.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { DisputedPart } from '../../domain/dispute/shapes.ts';
import type { DueTimes } from '../../domain/order/deadlines.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { SettlementView } from '../../domain/resources/order.ts';
import type { DisputeStatus } from '../../domain/statuses.ts';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import type { OpenDispute } from '../../workflows/messages.ts';
import { raiseAttention } from '../attention.ts';
import { type PartMoved, demandTargets, moveParts, restOf } from '../booking/order-parts.ts';
import { markApproved } from '../booking/order-transactions.ts';
import {
  type OperationInput,
  type OrderRow,
  type Part,
  changeOrder,
  demand,
  isRepeat,
  lockOrder,
  orderTime,
  readOrder,
  stateOf,
} from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { addDuration } from '../durations.ts';
import { doneOperation } from '../operation.ts';
import { recordEvents } from './row.ts';

export function createDisputeOpening({ orm }: Pick<Deps, 'orm'>) {
  return {
    /**
     * The dispute's row, its evidence, the parts in dispute and the events, in one transaction. From here on the dispute's
     * workflow drives those parts.
     * @throws ApplicationFailure INVALID_STATE, NOT_FOUND
     */
    openDispute: (input: OperationInput & OpenDispute): Promise<OrderState> =>
      inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        if (isRepeat(order, input.operation_id)) return stateOf(order);
        demand(order, 'dispute');
        const targets = demandTargets(order, 'dispute', input);
        const dueAt = await insert(trx, order, targets, input);
        const { id, opened_by, reason, evidence } = input.dispute;
        await appendEvidence(trx, id, opened_by, evidence);
        const opened = { what: 'opened' as const, change: { opened_by, reason } };
        await recordEvents(trx, { id, marketplaceId: order.marketplaceId }, input, { own: [opened] });
        const dueTimes = withDispute(order.dueTimes, [dueAt, order.dueTimes.dispute ?? null]);
        await changeOrder(trx, order, { dueTimes }, input);
        return moveParts(
          trx,
          { ...order, dueTimes },
          {
            moves: targets.map(({ index }) => ({ index, status: 'DISPUTED' as const, disputeId: id })),
            operation: doneOperation(input, 'dispute', orderTime(order)),
            origin: input,
          },
        );
      }),

    /**
     * Takes over every dispute that is over: parts, money and status as the dispute's workflow left them. What does not fit
     * the order is for somebody to look at; it must not end the order's workflow.
     */
    settleDisputes: async ({ order_id }: { order_id: string }): Promise<OrderState> => {
      try {
        return await inTransaction(orm, async (trx) => {
          for (;;) {
            const order = await lockOrder(trx, order_id);
            const settled = await takeSettled(trx, order_id);
            if (settled === null) return stateOf(order);
            await applyOutcome(trx, order, settled);
          }
        });
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error;
        const order = await readOrder(pool(orm), order_id);
        await raiseAttention(pool(orm), {
          marketplaceId: order.marketplaceId,
          resource: { type: 'order', id: order_id },
          workflowId: orderWorkflowId(order_id),
          reason: 'BOOKS_DIFFER',
          detail: { message: error.message },
        });
        return stateOf(order);
      }
    },

    /** Disputes whose workflows have to run. */
    openDisputesOf: async ({ order_id }: { order_id: string }): Promise<string[]> => {
      const { rows } = await sql<{ id: string }>`
        select id from disputes where order_id = ${order_id} and status not in ('RESOLVED', 'WITHDRAWN')
        order by id`.execute(pool(orm));
      return rows.map(({ id }) => id);
    },
  };
}

async function insert(trx: Sql, order: OrderRow, targets: readonly Part[], input: OpenDispute): Promise<string | null> {
  const { id, opened_by, reason, description } = input.dispute;
  const term = order.deadlines.dispute;
  const dueAt = term === null ? null : addDuration(orderTime(order), term).toISOString();
  const parts = targets.map(
    ({ index, ref, sellerId, amount, approved }): DisputedPart => ({
      index,
      ref,
      seller_id: sellerId,
      amount: amount.toString(),
      shares: null,
      approved,
      opened: false,
      outcome: null,
      transaction_hash: null,
    }),
  );
  const amount = targets.reduce((sum, part) => sum + part.amount, 0n);
  await sql`
    insert into disputes (id, order_id, marketplace_id, amount, asset, opened_by, reason, description, status, parts, due_at,
      created_at, updated_at)
    values (${id}, ${order.id}, ${order.marketplaceId}, ${amount}, ${order.asset}, ${opened_by}, ${reason}, ${description},
      'OPEN', ${JSON.stringify(parts)}, ${dueAt}, clock_timestamp(), clock_timestamp())`.execute(trx);
  return dueAt;
}

/** The order shows the earliest deadline of its disputes; it never acts on it. */
function withDispute({ dispute: _dispute, ...others }: DueTimes, due: readonly (string | null)[]): DueTimes {
  const [earliest] = due.filter((at) => at !== null).sort();
  return earliest === undefined ? others : { ...others, dispute: earliest };
}

interface SettledDispute {
  readonly id: string;
  readonly status: Extract<DisputeStatus, 'RESOLVED' | 'WITHDRAWN'>;
  readonly parts: readonly DisputedPart[];
}

async function takeSettled(trx: Sql, orderId: string): Promise<SettledDispute | null> {
  const { rows } = await sql<SettledDispute>`
    update disputes set applied_at = clock_timestamp()
    where id = (select id from disputes where order_id = ${orderId} and status in ('RESOLVED', 'WITHDRAWN')
      and applied_at is null order by id limit 1 for update)
    returning id, status, parts`.execute(trx);
  return rows[0] ?? null;
}

async function applyOutcome(trx: Sql, order: OrderRow, dispute: SettledDispute): Promise<void> {
  const origin = { request_id: null, actor: null };
  const approved = dispute.parts.filter((part) => part.approved);
  let row = order;
  for (const { index } of approved) row = await markApproved(trx, row, index);
  const { rows: others } = await sql<{ due: Date }>`
    select due_at as due from disputes where order_id = ${order.id} and due_at is not null
      and status not in ('RESOLVED', 'WITHDRAWN')`.execute(trx);
  const dueTimes = withDispute(
    row.dueTimes,
    others.map(({ due }) => new Date(due).toISOString()),
  );
  const approvedAt = !row.hasMilestones && approved.length > 0 ? { approvedAt: orderTime(row) } : {};
  await changeOrder(trx, row, { dueTimes, ...approvedAt }, origin);
  const hashes = new Set(dispute.parts.map((part) => part.transaction_hash));
  const paid = (await orderResource(trx, order.id)).settlements.filter((one) => hashes.has(one.transaction_hash));
  await moveParts(
    trx,
    { ...row, dueTimes, ...approvedAt },
    { moves: row.parts.flatMap((part) => moveOf(part, dispute)), settlements: paid satisfies SettlementView[], origin },
  );
}

function moveOf(part: Part, { status, parts }: SettledDispute): PartMoved[] {
  const disputed = parts.find(({ index }) => index === part.index);
  if (disputed === undefined) return [];
  const to = status === 'WITHDRAWN' ? restOf(part) : disputed.outcome;
  return to === null ? [] : [{ index: part.index, status: to }];
}
