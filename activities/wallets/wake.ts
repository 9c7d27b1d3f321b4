/** Signals from activities to workflows. Facts only: whoever is woken looks at its rows. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { type WalletInput, walletWakeSignal } from '../../workflows/messages.ts';
import { WALLET_ID } from '../../workflows/search-attributes.ts';
import type { Deps } from '../context.ts';

type WakeDeps = Pick<Deps, 'client' | 'network' | 'taskQueuePrefix' | 'paymentSource'>;

/** Wakes the wallet's workflow; starts it from its row when it does not run. */
export const wakeWallet = (deps: WakeDeps, walletId: string): Promise<void> =>
  signalWallet(deps, walletId, walletWakeSignal);

/** Signals the wallet's workflow; starts it from its row when it does not run. */
export async function signalWallet(deps: WakeDeps, walletId: string, signal: SignalDefinition): Promise<void> {
  const input: WalletInput = {
    wallet_id: walletId,
    network: deps.network.name,
    task_queue_prefix: deps.taskQueuePrefix,
    follow: true,
    source: deps.paymentSource,
    resume: true,
  };
  await deps.client.workflow.signalWithStart('wallet', {
    workflowId: walletWorkflowId(walletId),
    taskQueue: `${deps.taskQueuePrefix}orders`,
    args: [input],
    signal,
    signalArgs: [],
    staticSummary: `wallet ${walletId}`,
    typedSearchAttributes: [{ key: WALLET_ID, value: walletId }],
  });
}

/** @returns false when no such workflow runs */
export async function signalIfOpen<Args extends unknown[]>(
  client: Client,
  workflowId: string,
  signal: SignalDefinition<Args>,
  args: Args,
): Promise<boolean> {
  try {
    await client.workflow.getHandle(workflowId).signal(signal, ...args);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
