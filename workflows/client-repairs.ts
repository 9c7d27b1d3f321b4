/** Repairs of parked steps: the same updates on every workflow that can park. */
import type { Repair } from '../domain/repairs.ts';
import type { Context } from './client.ts';
import type { CallOptions } from './client-guard.ts';
import { type RepairRequest, repairUpdates } from './messages.ts';

export interface RepairCalls {
  /**
   * Resolves when the step runs again, or was let go. @throws Refusal INVALID_STATE when nothing is parked or the step does
   * not allow it; NotRunning, Unavailable
   */
  repair(workflowId: string, action: Repair, request: RepairRequest, options: CallOptions): Promise<void>;
}

export const repairCalls = ({ client, guarded }: Context): RepairCalls => ({
  repair: (workflowId, action, request, { updateId, ...call }) =>
    guarded(call, async () => {
      const handle = client.workflow.getHandle(workflowId);
      await handle.executeUpdate(repairUpdates[action], { updateId, args: [request] });
    }),
});
