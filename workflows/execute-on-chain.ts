/**
 * The only path to the chain, for every workflow: prepare and verify, sign and save, submit until it landed or is proved
 * dead, book. Between *saved* and *landed or dead* there is neither forward nor back, only finding out (F2, F14).
 */
import { CancellationScope, proxyActivities } from '@temporalio/workflow';
import type { ChainActivities, EscrowApiActivities, SigningActivities } from '../activities/index.ts';
import { type Intent, intentSummary, prepareQueue } from '../domain/intents.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import type { StepControl } from './step-control.ts';
import { type SignatureDesk, signedByUser, watchRequest } from './user-signature.ts';

interface ChainStep {
  readonly intent: Intent;
  /** stable name within the workflow: with the workflow id it is the key under which the transaction is found again */
  readonly step: string;
  /** the operation this belongs to, shown on its row; null outside of orders */
  readonly operation_id: string | null;
  /** who gets the source account first: lower goes first */
  readonly priority: number;
  /** task queue of the escrow gateway, when it is not the usual one */
  readonly prepare_on?: 'chain' | undefined;
  readonly task_queue_prefix: string;
  /** with it the step can be given up as long as nothing is signed */
  readonly control?: StepControl;
  /** where users' own signatures arrive; without one, everything is signed by us */
  readonly signatures?: SignatureDesk;
}

export type ChainOutcome =
  | { readonly status: 'LANDED'; readonly transaction_hash: string; readonly state: OrderState | null }
  /** proved that it never landed, or landed with a failed result: no effect */
  | {
      readonly status: 'DEAD';
      /** null when there never was one */
      readonly transaction_hash: string | null;
      readonly reason: string;
      readonly detail: string;
    };

/** It does not get into a ledger for what it bids: it needs a new envelope, and is the same transaction. */
export interface Underpriced {
  readonly status: 'UNDERPRICED';
  /** of the envelope that was not taken */
  readonly outer_hash: string;
}

/** A killed worker's attempt is repeated after this long: within the recovery budget of 12 s. */
const ATTEMPT_LIMIT = '10s';
/** What waits says for how long; this is for attempts that died with their worker, however often they waited before. */
const RETRY = { initialInterval: '250ms', backoffCoefficient: 1.6, maximumInterval: '3s' } as const;

/**
 * @throws ApplicationFailure with an operator's reason (`ENVELOPE_REJECTED`, `TRUSTLINE_UNUSABLE`, `BOOKS_DIFFER`) when
 *   a retry cannot help; anything that may pass by itself is retried inside, for ever
 */
export async function executeOnChain(step: ChainStep): Promise<ChainOutcome> {
  return CancellationScope.nonCancellable(() =>
    runChainStep({
      prepare: () => step.control?.preparing(() => prepare(step)) ?? prepare(step),
      sign: (id) => step.control?.signing(() => sign(step, id)) ?? sign(step, id),
      settle: (id) => settle(step, id),
      raiseFee: (id, outerHash) => raiseFee(step, id, outerHash),
      signedByUser: (requestId, settled) => {
        const { control, signatures: desk } = step;
        if (desk === undefined) throw new TypeError(`nobody takes signatures for ${step.step}`);
        return signedByUser(desk, requestId, {
          watch: watchRequest(step),
          settle: settled,
          live: (isLive) => (isLive ? control?.landing() : control?.waiting(desk.abandon)),
        });
      },
    }),
  );
}

/** The activities of one step; each is repeated until it succeeds or refuses. */
interface ChainStepActivities {
  prepare(): ReturnType<ChainActivities['prepareTransaction']>;
  sign(transactionId: string): ReturnType<SigningActivities['signTransaction']>;
  settle(transactionId: string): ReturnType<ChainActivities['settleTransaction']>;
  raiseFee(transactionId: string, outerHash: string): Promise<void>;
  /** Instead of `sign`, where only the user can. */
  signedByUser(requestId: string, settled: (transactionId: string) => Promise<ChainOutcome>): Promise<ChainOutcome>;
}

/** The order of things; without Temporal, so that every crash in between can be tried out. */
export async function runChainStep(activities: ChainStepActivities): Promise<ChainOutcome> {
  const settled = async (id: string): Promise<ChainOutcome> => {
    for (;;) {
      const outcome = await activities.settle(id);
      if (outcome.status !== 'UNDERPRICED') return outcome;
      await activities.raiseFee(id, outcome.outer_hash);
    }
  };
  for (;;) {
    const prepared = await activities.prepare();
    if ('signing_request_id' in prepared) return activities.signedByUser(prepared.signing_request_id, settled);
    const signed = await activities.sign(prepared.transaction_id);
    // Bounds, sequence or the stored escrow went out of date before anything was signed: build it again.
    if (signed.status !== 'STALE') return settled(prepared.transaction_id);
  }
}

function prepare(step: ChainStep) {
  const { prepareTransaction } = proxyActivities<EscrowApiActivities>({
    taskQueue: `${step.task_queue_prefix}${step.prepare_on ?? prepareQueue(step.intent)}`,
    activityId: `${step.step}:prepare`,
    summary: `build and verify: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    retry: RETRY,
    // An attempt that runs goes to its end: what it prepared is then known.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
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
    retry: RETRY,
  });
  return signTransaction({ transaction_id: transactionId });
}

function raiseFee(step: ChainStep, transactionId: string, outerHash: string) {
  const { raiseFee: raise } = proxyActivities<SigningActivities>({
    taskQueue: `${step.task_queue_prefix}signing`,
    activityId: `${step.step}:raise-fee`,
    summary: `bid more: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    retry: RETRY,
  });
  return raise({ transaction_id: transactionId, outer_hash: outerHash });
}

function settle(step: ChainStep, transactionId: string) {
  const { settleTransaction } = proxyActivities<ChainActivities>({
    taskQueue: `${step.task_queue_prefix}chain`,
    activityId: `${step.step}:settle`,
    summary: `submit, confirm and book: ${intentSummary(step.intent)}`,
    startToCloseTimeout: ATTEMPT_LIMIT,
    // One look per attempt; the activity itself says when the next ledger may have closed.
    retry: RETRY,
  });
  return settleTransaction({ transaction_id: transactionId });
}
