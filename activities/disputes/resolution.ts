/** The transactions of a decision as the dispute's row shows them: landed, dead, parked; and the order is told. */
import { type Sql, inTransaction } from '../../db/sql.ts';
import { isCommitted } from '../../domain/dispute/decision.ts';
import { statusBefore } from '../../domain/dispute/machine.ts';
import type { DisputeState, DisputedPart } from '../../domain/dispute/shapes.ts';
import { isReason } from '../../domain/reasons.ts';
import { disputeWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import { disputeSettledSignal } from '../../workflows/messages.ts';
import { mayLand, readOrder } from '../booking/order-row.ts';
import { bookPayout } from '../booking/order-settlement.ts';
import type { Landed } from '../chain/look.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { problemOf } from '../problem.ts';
import { signalIfOpen } from '../wallets/wake.ts';
import { type DisputeRow, changeDispute, disputeTime, lockDispute, stateOf } from './row.ts';

/** The dispute whose transaction it is, or null. */
export const disputeOf = ({ intentKey }: Pick<StoredTransaction, 'intentKey'>): string | null =>
  /^dispute\/([^/]+)\//.exec(intentKey)?.[1] ?? null;

/** Books a landed transaction of a decision; the order takes it over when the dispute is over. */
export async function bookDecided(
  trx: Sql,
  deps: Deps,
  disputeId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<void> {
  const dispute = await lockDispute(trx, disputeId);
  const { intent } = stored;
  if (intent.kind === 'APPROVE') return moved(trx, dispute, stored, { approved: true }, 'approved');
  if (intent.kind === 'OPEN_DISPUTE') return moved(trx, dispute, stored, { opened: true }, 'disputed');
  if (intent.kind !== 'RELEASE' && intent.kind !== 'RESOLVE_DISPUTE')
    throw refuse('BOOKS_DIFFER', `a dispute does not ${intent.kind}`);
  const order = await readOrder(trx, dispute.orderId);
  const { outcome, settlements, credited } = await bookPayout(trx, deps, order, stored, landed);
  const parts = withPart(dispute, stored, { outcome, transaction_hash: stored.innerHash });
  if (parts.some((part) => part.outcome === null)) {
    await changeDispute(trx, dispute, { parts, ...stepOf(dispute, stored, 'booked') }, originOf(dispute), {
      others: credited,
    });
    return;
  }
  const at = disputeTime(dispute);
  const { operation, decision } = dispute;
  await changeDispute(
    trx,
    dispute,
    {
      status: 'RESOLVED',
      parts,
      resolvedAt: at,
      ...(operation === null
        ? {}
        : {
            operation: {
              ...operation,
              status: 'SUCCEEDED',
              step: 'booked',
              transaction_hash: stored.innerHash,
              finished_at: at.toISOString(),
            },
          }),
    },
    originOf(dispute),
    { own: [{ what: 'resolved', change: { decision, settlements } }], others: credited },
  );
}

const originOf = ({ operation }: DisputeRow) => ({ request_id: operation?.request_id ?? null, actor: null });

const indexOf = ({ intent }: StoredTransaction): number | null =>
  'milestoneIndex' in intent ? intent.milestoneIndex : null;

/** @throws ApplicationFailure BOOKS_DIFFER when the transaction is about something that is not in dispute */
function withPart(dispute: DisputeRow, stored: StoredTransaction, change: Partial<DisputedPart>): DisputedPart[] {
  const index = indexOf(stored);
  if (!dispute.parts.some((part) => part.index === index))
    throw refuse('BOOKS_DIFFER', `milestone ${index} is not in dispute ${dispute.id}`);
  return dispute.parts.map((part) => (part.index === index ? { ...part, ...change } : part));
}

async function moved(
  trx: Sql,
  dispute: DisputeRow,
  stored: StoredTransaction,
  change: Partial<DisputedPart>,
  step: string,
): Promise<void> {
  const parts = withPart(dispute, stored, change);
  await changeDispute(trx, dispute, { parts, ...stepOf(dispute, stored, step) }, originOf(dispute));
}

const stepOf = ({ operation }: DisputeRow, { innerHash }: StoredTransaction, step: string) =>
  operation === null ? {} : { operation: { ...operation, step, transaction_hash: innerHash } };

export function createDisputeResolution({ orm, client, log }: Pick<Deps, 'orm' | 'client' | 'log'>) {
  return {
    /**
     * Compensation: the decision came to nothing; it stands where it stood before, and may be decided anew. While something
     * of it may land, or landed and is not booked, it is driven on instead.
     */
    failResolution: (input: {
      dispute_id: string;
      operation_id: string;
      reason: string;
      detail: string;
      transaction_hash: string | null;
    }): Promise<DisputeState> =>
      inTransaction(orm, async (trx) => {
        const dispute = await lockDispute(trx, input.dispute_id);
        const { operation, status } = dispute;
        if (operation?.id !== input.operation_id || status !== 'RESOLVING') return stateOf(dispute);
        if (isCommitted(dispute.parts)) throw refuse('BOOKS_DIFFER', `dispute ${dispute.id} cannot go back`);
        if (await mayLand(trx, dispute.orderId, disputeWorkflowId(dispute.id))) {
          const running = { ...operation, status: 'RUNNING' as const };
          return stateOf(await changeDispute(trx, dispute, { operation: running }, originOf(dispute)));
        }
        const failed = {
          ...operation,
          status: 'FAILED' as const,
          transaction_hash: input.transaction_hash ?? operation.transaction_hash,
          error: problemOf(isReason(input.reason) ? input.reason : 'OPERATION_FAILED', input.detail, {
            instance: `/api/v1/disputes/${dispute.id}`,
            requestId: operation.request_id,
          }),
          finished_at: disputeTime(dispute).toISOString(),
        };
        const parts = dispute.parts.map((part) => ({ ...part, shares: null }));
        const patch = { status: statusBefore(dispute), parts, decision: null, note: null, resolvedBy: null };
        return stateOf(await changeDispute(trx, dispute, { ...patch, operation: failed }, originOf(dispute)));
      }),

    /** It is over: the order takes over what became of it. An order without a workflow finds it by its row. */
    tellOrder: async ({ dispute_id, order_id }: { dispute_id: string; order_id: string }): Promise<void> => {
      const told = await signalIfOpen(client, orderWorkflowId(order_id), disputeSettledSignal, [{ dispute_id }]);
      if (!told) log.warn({ dispute_id, order_id }, 'dispute.order_without_workflow');
    },
  };
}
