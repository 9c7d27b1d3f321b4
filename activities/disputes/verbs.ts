/** What people, and the deadline, do to a dispute: one transaction each, idempotent by the operation's id. */
import { recordAudit } from '../../db/audit.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { shareOut, sharesOf } from '../../domain/dispute/decision.ts';
import type { DisputeState, SharesOfPart } from '../../domain/dispute/shapes.ts';
import type { DisputeDecision, DisputeVerb, OperationCause } from '../../domain/statuses.ts';
import type { AssignDispute, DisputeVerbRequest, ResolveDispute, WithdrawDispute } from '../../workflows/messages.ts';
import type { Deps } from '../context.ts';
import { type PreparedOn, preparedOn } from '../escrow/gateway.ts';
import { refuse } from '../failure.ts';
import { doneOperation, newOperation } from '../operation.ts';
import { type DisputeRow, changeDispute, demand, disputeTime, lockDispute, readDispute, stateOf } from './row.ts';

type Change = (trx: Sql, dispute: DisputeRow) => Promise<DisputeRow>;

export function createDisputeVerbs({ orm, gateway }: Pick<Deps, 'orm' | 'gateway'>) {
  const changing = (request: DisputeVerbRequest, verb: DisputeVerb, change: Change): Promise<DisputeState> =>
    inTransaction(orm, (trx) => changeOnce(trx, request, verb, change));

  return {
    async loadDispute({
      dispute_id,
    }: {
      dispute_id: string;
    }): Promise<DisputeState & PreparedOn & { readonly marketplace_id: string }> {
      const dispute = await readDispute(pool(orm), dispute_id);
      return { ...stateOf(dispute), ...preparedOn({ gateway }), marketplace_id: dispute.marketplaceId };
    },

    /** @throws ApplicationFailure INVALID_STATE */
    assignDispute: (request: AssignDispute): Promise<DisputeState> =>
      changing(request, 'assign', (trx, dispute) =>
        changeDispute(
          trx,
          dispute,
          {
            status: 'UNDER_REVIEW',
            assignedTo: request.assigned_to,
            operation: doneOperation(request, 'assign', disputeTime(dispute)),
          },
          request,
          { own: [{ what: 'assigned', change: { assigned_to: request.assigned_to } }] },
        ),
      ),

    /** By its opener, as long as nothing is decided. @throws ApplicationFailure INVALID_STATE, VALIDATION_ERROR */
    withdrawDispute: (request: WithdrawDispute): Promise<DisputeState> =>
      changing(request, 'withdraw', (trx, dispute) => {
        if (request.by !== dispute.openedBy)
          throw refuse('VALIDATION_ERROR', `only the ${dispute.openedBy}, who opened it, withdraws it`);
        return changeDispute(
          trx,
          dispute,
          {
            status: 'WITHDRAWN',
            operation: doneOperation(request, 'withdraw', disputeTime(dispute)),
            resolvedAt: disputeTime(dispute),
          },
          request,
          { own: [{ what: 'withdrawn', change: { by: request.by } }] },
        );
      }),

    /** The decision is made: from here on the workflow drives it. @throws ApplicationFailure INVALID_STATE, MARKETPLACE_PAUSED */
    beginResolution: (request: ResolveDispute): Promise<DisputeState> =>
      changing(request, 'resolve', (trx, dispute) => decide(trx, dispute, request, request.shares)),

    /**
     * Nobody decided in time: the order's default applies.
     * @throws ApplicationFailure INVALID_STATE when there is nothing to decide, or time was given; MARKETPLACE_PAUSED
     */
    beginDefault: (request: DisputeVerbRequest): Promise<DisputeState> =>
      changing(request, 'resolve', (trx, dispute) => {
        const { parts, dueAt, defaultDecision: decision } = dispute;
        if (dueAt === null || Date.parse(dueAt) > disputeTime(dispute).getTime())
          throw refuse('INVALID_STATE', 'its deadline is not over');
        const shared = sharesOf(parts, decision, []);
        const shares = 'shares' in shared ? shared.shares : [];
        const note = 'dispute deadline';
        return decide(trx, dispute, { ...request, decision, note, resolved_by: null, cause: 'DEADLINE' }, shares);
      }),
  };
}

/** Under the row's lock; what was done under this operation id is found. */
async function changeOnce(
  trx: Sql,
  request: DisputeVerbRequest,
  verb: DisputeVerb,
  change: Change,
): Promise<DisputeState> {
  const dispute = await lockDispute(trx, request.dispute_id);
  if (dispute.operation?.id === request.operation_id) return stateOf(dispute);
  demand(dispute, verb);
  const changed = await change(trx, dispute);
  const { id, marketplaceId } = dispute;
  await recordAudit(trx, {
    marketplaceId,
    actor: request.actor,
    requestId: request.request_id,
    action: `dispute.${verb}`,
    resource: { type: 'dispute', id },
    before: { status: dispute.status },
    after: { status: changed.status, assigned_to: changed.assignedTo, decision: changed.decision },
  });
  return stateOf(changed);
}

type Decision = DisputeVerbRequest & {
  readonly decision: DisputeDecision;
  readonly note: string | null;
  readonly resolved_by: string | null;
  readonly cause?: OperationCause;
};

async function decide(
  trx: Sql,
  dispute: DisputeRow,
  request: Decision,
  shares: readonly SharesOfPart[],
): Promise<DisputeRow> {
  if (dispute.paused) throw refuse('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
  const parts = shareOut(dispute.parts, shares);
  if (parts === null) throw refuse('VALIDATION_ERROR', 'the shares do not sum to what is in dispute');
  const operation = newOperation(request, 'resolve', disputeTime(dispute));
  const { decision, note, resolved_by: resolvedBy } = request;
  return changeDispute(trx, dispute, { status: 'RESOLVING', parts, decision, note, resolvedBy, operation }, request);
}
