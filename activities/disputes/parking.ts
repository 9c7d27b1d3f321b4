/** A parked decision as the dispute's row and the attention list show it; and how it is taken up again. */
import { sql } from 'kysely';
import { type Sql, inTransaction } from '../../db/sql.ts';
import type { DisputeOperation, DisputeState } from '../../domain/dispute/shapes.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { Repair } from '../../domain/repairs.ts';
import { disputeWorkflowId } from '../../domain/workflow-ids.ts';
import { takeApproval } from '../approvals.ts';
import { insertAttention } from '../attention.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { type DisputeRow, changeDispute, disputeTime, lockDispute, stateOf } from './row.ts';

export function createDisputeParking({ orm }: Pick<Deps, 'orm'>) {
  return {
    /** Only an operator can help. */
    parkDispute: (input: {
      dispute_id: string;
      reason: Reason;
      message: string;
      detail: unknown;
      step: string;
      repairs: readonly Repair[];
    }): Promise<DisputeState> =>
      inTransaction(orm, async (trx) => {
        const dispute = await lockDispute(trx, input.dispute_id);
        const { operation, id, marketplaceId } = dispute;
        if (operation?.status !== 'RUNNING') return stateOf(dispute);
        const { message, detail, step, repairs } = input;
        const parking = await insertAttention(trx, {
          marketplaceId,
          resource: { type: 'dispute', id },
          workflowId: disputeWorkflowId(id),
          reason: input.reason,
          detail: { message, detail, step, operation_id: operation.id },
          allowedRepairs: repairs,
          since: disputeTime(dispute),
        });
        const patch = { operation: { ...operation, status: 'PARKED' as const } };
        const parked = { ...dispute, parking: { id: parking, repairs } };
        return stateOf(await changeDispute(trx, parked, patch, originOf(operation)));
      }),

    unparkDispute: ({ dispute_id }: { dispute_id: string }): Promise<DisputeState> =>
      inTransaction(orm, async (trx) => {
        const dispute = await lockDispute(trx, dispute_id);
        if (dispute.operation?.status !== 'PARKED') return stateOf(dispute);
        return takeUp(trx, dispute, dispute.operation);
      }),

    /**
     * Two persons decided who is paid instead: the parked step is taken up again, and goes that way.
     * @throws ApplicationFailure INVALID_STATE when they did not decide this; MARKETPLACE_PAUSED
     */
    divertDecision: (input: { dispute_id: string; approval_id: string }): Promise<DisputeState> =>
      inTransaction(orm, async (trx) => {
        const parked = await lockDispute(trx, input.dispute_id);
        // This very call, or another one, has taken it up before.
        if (parked.operation?.status !== 'PARKED') return stateOf(parked);
        if (parked.paused) throw refuse('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
        await takeApproval(trx, input.approval_id, { attention_id: parked.parking?.id ?? null });
        // It says where the money goes now.
        const dispute = await lockDispute(trx, input.dispute_id);
        return takeUp(trx, dispute, { ...parked.operation, cause: 'REPAIR' });
      }),
  };
}

/** Clears what parking it raised, and nothing else of the dispute. */
async function takeUp(trx: Sql, dispute: DisputeRow, operation: DisputeOperation): Promise<DisputeState> {
  await sql`update attention set cleared_at = clock_timestamp()
    where id = ${dispute.parking?.id ?? null} and cleared_at is null`.execute(trx);
  const patch = { operation: { ...operation, status: 'RUNNING' as const } };
  return stateOf(await changeDispute(trx, dispute, patch, originOf(operation)));
}

const originOf = (operation: DisputeOperation) => ({ request_id: operation.request_id, actor: null });
