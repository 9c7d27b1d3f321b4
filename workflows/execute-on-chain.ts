/**
 * The only path to the chain, for every workflow: prepare and verify, sign and save, submit until it landed or is proved
 * dead, book. Between *saved* and *landed or dead* there is neither forward nor back, only finding out (F2, F14).
 */
import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { ChainActivities, EscrowApiActivities, SigningActivities } from '../activities/index.ts';
import { type Intent, intentSummary, prepareQueue } from '../domain/intents.ts';
import type { OrderState } from '../domain/order/shapes.ts';

export interface ChainStep {
  readonly intent: Intent;
  /** stable name within the workflow: with the workflow id it is the key under which the transaction is found again */
  readonly step: string;
  /** the operation this belongs to, shown on its row; null outside of orders */
  readonly operation_id: string | null;
  /** who gets the source account first: lower goes first */
  readonly priority: number;
  readonly task_queue_prefix: string;
}

export type ChainOutcome =
  | { readonly status: 'LANDED'; readonly transaction_hash: string; readonly state: OrderState | null }
  /** proved that it never landed, or landed with a failed result: no effect */
  | { readonly status: 'DEAD'; readonly transaction_hash: string; readonly reason: string; readonly detail: string };

/** A killed worker's attempt is repeated after this long: within the recovery budget of 12 s. */
const ATTEMPT_LIMIT = '10s';

/**
 * @throws ApplicationFailure with an operator's reason (`ENVELOPE_REJECTED`, `TRUSTLINE_UNUSABLE`, `BOOKS_DIFFER`) when
 *   a retry cannot help; anything that may pass by itself is retried inside, for ever
 */
export async function executeOnChain(step: ChainStep): Promise<ChainOutcome> {
  return CancellationScope.nonCancellable(async () => {
    for (;;) {
      const { transaction_id } = await prepare(step);
      const signed = await sign(step, transaction_id);
      // Bounds, sequence or the stored escrow went out of date before anything was signed: build it again.
      if (signed.status === 'STALE') continue;
      return settle(step, transaction_id);
    }
  });
}

function prepare(step: ChainStep) {
  const { prepareTransaction } = proxyActivities<EscrowApiActivities>({
    taskQueue: `${step.task_queue_prefix}${prepareQueue(step.intent)}`,
    activityId: `${step.step}:prepare`,
    summary: `build and verify: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    retry: { initialInterval: '250ms', backoffCoefficient: 1.6, maximumInterval: '20s' },
  });
  return prepareTransaction({
    intent: step.intent,
    step: step.step,
    operation_id: step.operation_id,
    priority: step.priority,
  });
}

function sign(step: ChainStep, transactionId: string) {
  const { signTransaction } = proxyActivities<SigningActivities>({
    taskQueue: `${step.task_queue_prefix}signing`,
    activityId: `${step.step}:sign`,
    summary: `sign and save: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    retry: { initialInterval: '250ms', backoffCoefficient: 1.6, maximumInterval: '20s' },
  });
  return signTransaction({ transaction_id: transactionId });
}

function settle(step: ChainStep, transactionId: string) {
  const { settleTransaction } = proxyActivities<ChainActivities>({
    taskQueue: `${step.task_queue_prefix}chain`,
    activityId: `${step.step}:settle`,
    summary: `submit, confirm and book: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    // One look per attempt; the activity itself says when the next ledger may have closed.
    retry: { initialInterval: '500ms', backoffCoefficient: 1.2, maximumInterval: '10s' },
  });
  return settleTransaction({ transaction_id: transactionId });
}
