/**
 * An operation of an order on chain: written on the row, driven transaction by transaction, compensated when one is proved
 * dead, parked when only an operator can help.
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import { ApplicationFailure, condition, upsertSearchAttributes } from '@temporalio/workflow';
import type { OrderActivities } from '../activities/index.ts';
import { type Intent, intentSummary } from '../domain/intents.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import { REASON_TABLE, isReason } from '../domain/reasons.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type { OrderInput, VerbRequest } from './messages.ts';
import { createSaga } from './saga.ts';
import type { SignatureDesk } from './user-signature.ts';

const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');

export type OperationRequest = VerbRequest & { readonly cause: 'API' | 'AUTO' | 'DEADLINE' };

/** Money that waits to be paid out goes before new business in the queue for a source account. */
const PRIORITY: Partial<Record<OrderVerb, number>> = { release: 1, deliver: 3, fund: 4, escrow: 5 };

export interface ChainPart {
  readonly step: string;
  readonly intent: Intent;
  /** what a dead transaction leaves to be undone besides the status */
  readonly undo?: 'VOID_FUNDING';
}

export interface ChainOperations {
  /** Runs a verb's transactions to their settled end. @throws ApplicationFailure */
  run(request: OperationRequest, verb: OrderVerb, parts: readonly ChainPart[]): Promise<void>;
  isParked(): boolean;
  /** Takes a parked step up again; resolves when it is running. */
  retry(): Promise<void>;
  /** Waits, parked, for a retry: what a resumed workflow does that finds its operation parked. */
  untilRetried(operationId: string): Promise<void>;
}

export interface ChainOperationContext {
  readonly input: OrderInput;
  /** local activities: they run within the workflow task */
  readonly db: OrderActivities;
  /** normal activities: compensations that an operator sees by name */
  readonly compensation: OrderActivities;
  readonly signatures: SignatureDesk;
  /** the row as the last step left it */
  state(): OrderState | null;
  settled(next: OrderState): void;
}

export function createChainOperations(context: ChainOperationContext): ChainOperations {
  const { input, db, compensation, settled } = context;
  const { order_id } = input;
  let parked: { retry: boolean } | null = null;

  async function run(request: OperationRequest, verb: OrderVerb, parts: readonly ChainPart[]): Promise<void> {
    const { operation_id, cause, request_id, actor, reason } = request;
    settled(await db.beginOperation({ order_id, verb, operation_id, cause, request_id, actor, reason }));
    const begun = context.state()?.operation;
    // Waiting for a wallet is not an operation: verbs and deadlines work meanwhile.
    if (begun?.id !== operation_id || begun.status !== 'RUNNING') return;
    const saga = createSaga();
    for (const part of parts) {
      if (part.undo === 'VOID_FUNDING') saga.undoWith(() => compensation.voidFunding({ order_id }));
      const dead = await drive(part, verb, operation_id);
      if (dead === null) continue;
      await saga.compensate();
      settled(await db.failOperation({ order_id, operation_id, ...dead }));
      throw ApplicationFailure.nonRetryable(dead.detail, 'OPERATION_FAILED', { reason: dead.reason });
    }
  }

  /** One transaction to its end: null when it landed, else why it is dead. */
  async function drive(part: ChainPart, verb: OrderVerb, operation_id: string) {
    const { step, intent } = part;
    const priority = PRIORITY[verb] ?? 5;
    for (;;) {
      try {
        const { task_queue_prefix } = input;
        const outcome = await executeOnChain({
          intent,
          step,
          operation_id,
          priority,
          task_queue_prefix,
          signatures: context.signatures,
        });
        if (outcome.status === 'DEAD') {
          const { reason, detail, transaction_hash } = outcome;
          return { reason, detail, transaction_hash };
        }
        if (outcome.state !== null) settled(outcome.state);
        return null;
      } catch (error) {
        const failure = asRefusal(error);
        const reason = isReason(failure?.type) ? failure.type : null;
        if (failure === null || reason === null) throw error;
        if (REASON_TABLE[reason].retry !== 'operator')
          return { reason, detail: failure.message, transaction_hash: null };
        const { message, details } = failure;
        const detail = details?.[0] ?? null;
        const words = intentSummary(intent);
        settled(await db.parkOperation({ order_id, operation_id, reason, message, detail, step: words }));
        await untilRetried(operation_id);
      }
    }
  }

  async function untilRetried(operation_id: string): Promise<void> {
    parked = { retry: false };
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    await condition(() => parked?.retry === true);
    settled(await db.unparkOperation({ order_id, operation_id }));
    parked = null;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
  }

  return {
    run,
    untilRetried,
    isParked: () => parked !== null,
    retry: async () => {
      if (parked !== null) parked.retry = true;
      await condition(() => parked === null);
    },
  };
}
