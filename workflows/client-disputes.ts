/** Calls on the workflows of disputes: updates of `dispute/{id}`, which is started from its row when it does not run. */
import { WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';
import { disputeWorkflowId } from '../domain/workflow-ids.ts';
import type { CallOptions, Context } from './client.ts';
import {
  type AssignDispute,
  type DisputeAnswer,
  type DisputeInput,
  type ResolveDispute,
  type WithdrawDispute,
  assignDisputeUpdate,
  clockAdvancedSignal,
  resolveDisputeUpdate,
  rowWakeSignal,
  withdrawDisputeUpdate,
} from './messages.ts';

/** Each resolves when the row shows it. @throws Refusal, Unavailable */
export interface DisputeCalls {
  assignDispute(request: AssignDispute, options: CallOptions): Promise<DisputeAnswer>;
  withdrawDispute(request: WithdrawDispute, options: CallOptions): Promise<DisputeAnswer>;
  /** The decision is made; its transactions follow. */
  resolveDispute(request: ResolveDispute, options: CallOptions): Promise<DisputeAnswer>;
  /** Tells open disputes that their marketplace's test clock went on. */
  disputeClockAdvanced(disputeIds: readonly string[], offsetMs: number): Promise<void>;
  /** Makes them look at their rows, and try deadlines that waited; one that does not run is started from its row. */
  wakeDisputes(disputeIds: readonly string[]): Promise<void>;
}

const TELL_TIMEOUT_MS = 10_000;

export function disputeCalls({ client, options, taskQueue, guarded }: Context): DisputeCalls {
  const start = (dispute_id: string) => ({
    workflowId: disputeWorkflowId(dispute_id),
    taskQueue,
    args: [{ dispute_id, task_queue_prefix: options.taskQueuePrefix } satisfies DisputeInput],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
    staticSummary: `dispute ${dispute_id}`,
  });
  const running = (dispute_id: string) =>
    new WithStartWorkflowOperation('dispute', { ...start(dispute_id), workflowIdConflictPolicy: 'USE_EXISTING' });
  return {
    assignDispute: (request, { updateId, ...call }) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(assignDisputeUpdate, {
          args: [request],
          updateId,
          startWorkflowOperation: running(request.dispute_id),
        }),
      ),
    withdrawDispute: (request, { updateId, ...call }) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(withdrawDisputeUpdate, {
          args: [request],
          updateId,
          startWorkflowOperation: running(request.dispute_id),
        }),
      ),
    resolveDispute: (request, { updateId, ...call }) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(resolveDisputeUpdate, {
          args: [request],
          updateId,
          startWorkflowOperation: running(request.dispute_id),
        }),
      ),
    disputeClockAdvanced: (disputeIds, offset_ms) =>
      guarded({ timeoutMs: TELL_TIMEOUT_MS }, async () => {
        for (const id of disputeIds)
          await client.workflow
            .getHandle(disputeWorkflowId(id))
            .signal(clockAdvancedSignal, { offset_ms })
            .catch((error: unknown) => {
              if (!(error instanceof WorkflowNotFoundError)) throw error;
            });
      }),
    wakeDisputes: (disputeIds) =>
      guarded({ timeoutMs: TELL_TIMEOUT_MS }, async () => {
        for (const id of disputeIds)
          await client.workflow.signalWithStart('dispute', { ...start(id), signal: rowWakeSignal, signalArgs: [] });
      }),
  };
}
