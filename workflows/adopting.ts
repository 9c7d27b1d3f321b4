/** The repair `adopt`: a parked step's transaction is in a ledger already, and the rows do not know it. */
import { proxyActivities } from '@temporalio/workflow';
import type { ChainActivities } from '../activities/index.ts';
import type { Intent } from '../domain/intents.ts';
import type { RepairRequest } from './messages.ts';

/** One of these is meant: the first that is not booked. */
type Parts = readonly { readonly step: string; readonly intent: Intent }[];

/**
 * Afterwards the step finds its transaction landed and books it. The chain is believed and nobody's word: one person is
 * enough. @throws ActivityFailure: the transaction is nowhere, failed, or is not this step's
 */
export function createAdopting(taskQueuePrefix: string) {
  const { adoptTransaction } = proxyActivities<ChainActivities>({
    taskQueue: `${taskQueuePrefix}chain`,
    summary: 'adopt a transaction that the rows do not know',
    startToCloseTimeout: '10s',
    retry: { initialInterval: '250ms', backoffCoefficient: 1.6, maximumInterval: '3s' },
  });
  return ({ transaction_hash = '', reason }: RepairRequest, parts: Parts): Promise<void> =>
    adoptTransaction({ parts: parts.map(({ step, intent }) => ({ step, intent })), transaction_hash, reason });
}
