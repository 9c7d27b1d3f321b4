/** Repairs of parked steps: the same updates on every workflow that can park. */
import type { Repair } from '../domain/repairs.ts';
import { surplusWorkflowId } from '../domain/workflow-ids.ts';
import type { Context } from './client.ts';
import type { CallOptions } from './client-guard.ts';
import { type RepairRequest, type SurplusInput, repairUpdates, rowWakeSignal } from './messages.ts';

export interface RepairCalls {
  /**
   * Resolves when the step runs again, or was let go. @throws Refusal INVALID_STATE when nothing is parked or the step does
   * not allow it; NotRunning, Unavailable
   */
  repair(workflowId: string, action: Repair, request: RepairRequest, options: CallOptions): Promise<void>;
  /** Makes it look at its rows; one that does not run is started. @param workflowId `surplus/{escrow_id}` */
  wakeSurplus(workflowId: string): Promise<void>;
}

const WAKE_TIMEOUT_MS = 10_000;

export const repairCalls = ({ client, guarded, options, taskQueue }: Context): RepairCalls => ({
  repair: (workflowId, action, request, { updateId, ...call }) =>
    guarded(call, async () => {
      const handle = client.workflow.getHandle(workflowId);
      await handle.executeUpdate(repairUpdates[action], { updateId, args: [request] });
    }),

  wakeSurplus: (workflowId) =>
    guarded({ timeoutMs: WAKE_TIMEOUT_MS }, async () => {
      const escrow_id = workflowId.slice(surplusWorkflowId('').length);
      const input: SurplusInput = { escrow_id, task_queue_prefix: options.taskQueuePrefix };
      await client.workflow.signalWithStart('surplus', {
        workflowId,
        taskQueue,
        args: [input],
        staticSummary: `what is left in ${escrow_id}`,
        signal: rowWakeSignal,
        signalArgs: [],
      });
    }),
});
