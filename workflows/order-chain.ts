/**
 * An operation of an order on chain: written on the row, driven transaction by transaction, compensated when one is proved
 * dead, parked when only an operator can help.
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import { ApplicationFailure, condition, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import type { OrderActivities } from '../activities/index.ts';
import { type Intent, intentSummary } from '../domain/intents.ts';
import type { OperationTarget, OrderState } from '../domain/order/shapes.ts';
import { REASON_TABLE, type Reason, isReason } from '../domain/reasons.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type { DeliverRequest, OrderInput, VerbRequest } from './messages.ts';
import { createSaga } from './saga.ts';
import { type StepControl, createStepControl } from './step-control.ts';
import type { SignatureDesk } from './user-signature.ts';

const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');

export type OperationRequest = VerbRequest &
  Pick<Partial<DeliverRequest>, 'milestone_refs' | 'evidence'> & {
    readonly cause: 'API' | 'AUTO' | 'DEADLINE';
    /** by a deadline: the time that is over */
    readonly deadline_at?: string;
  };

/** Money that waits to be paid out goes before new business in the queue for a source account. */
const PRIORITY: Partial<Record<OrderVerb, number>> = {
  release: 1,
  release_milestone: 1,
  refund: 1,
  deliver: 3,
  complete_milestone: 3,
  fund: 4,
  escrow: 5,
};

/** So often a resolution is tried again by itself before somebody has to look. */
const RESOLUTION_ATTEMPTS = 3;
const RESOLUTION_PAUSE_MS = 5_000;

export interface ChainPart {
  readonly step: string;
  readonly intent: Intent;
  /** what a dead transaction leaves to be undone besides the status */
  readonly undo?: 'VOID_FUNDING';
  /** there is no way back before it: a dead transaction is followed by another, and in the end by an operator */
  readonly mustLand?: true;
}

const stepName = (step: string, index: number | null): string => (index === null ? step : `${step}:${index}`);

/** An approval is irreversible: what landed in an earlier attempt is not sent again (F4). */
export function releaseParts(orderId: string, { index, approved }: OperationTarget): ChainPart[] {
  const approve = { kind: 'APPROVE', orderId, milestoneIndex: index } as const;
  const release = { kind: 'RELEASE', orderId, milestoneIndex: index } as const;
  return [
    ...(approved ? [] : [{ step: stepName('approve', index), intent: approve }]),
    { step: stepName('release', index), intent: release },
  ];
}

/** Once the dispute is open on chain the money can only be shared out. @param shares weights as whole numbers */
export function resolveParts(
  orderId: string,
  index: number | null,
  shares: { readonly seller: string; readonly buyer: string },
): ChainPart[] {
  const dispute = { kind: 'OPEN_DISPUTE', orderId, milestoneIndex: index } as const;
  const resolve = { kind: 'RESOLVE_DISPUTE', orderId, milestoneIndex: index, shares } as const;
  return [
    { step: stepName('dispute', index), intent: dispute },
    { step: stepName('resolve', index), intent: resolve, mustLand: true },
  ];
}

export const deliverPart = (orderId: string, index: number | null): ChainPart => ({
  step: stepName('deliver', index),
  intent: { kind: 'DELIVER', orderId, milestoneIndex: index },
});

export interface ChainOperations {
  /**
   * Runs a verb's transactions to their settled end; an operation of this id that the row shows is taken up where it
   * stands. What they are is known when the operation has begun, and with it the parts it is about.
   * @throws ApplicationFailure
   */
  run(
    request: OperationRequest,
    verb: OrderVerb,
    partsOf: (targets: readonly OperationTarget[]) => readonly ChainPart[],
  ): Promise<void>;
  isParked(): boolean;
  /** Takes a parked step up again; resolves when it is running. */
  retry(): Promise<void>;
  readonly control: StepControl;
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

interface Dead {
  readonly reason: string;
  readonly detail: string;
  readonly transaction_hash: string | null;
}
const GIVEN_UP = 'canceled before anything was signed';

export function createChainOperations(context: ChainOperationContext): ChainOperations {
  const { input, db, compensation, settled } = context;
  const { order_id } = input;
  let parked: { retry: boolean } | null = null;

  const control = createStepControl();

  const run: ChainOperations['run'] = async (request, verb, partsOf) => {
    const { operation_id } = request;
    settled(await db.beginOperation({ order_id, verb, ...request }));
    const begun = context.state()?.operation;
    // Waiting for a wallet is not an operation: verbs and deadlines work meanwhile.
    if (begun?.id !== operation_id) return;
    control.reset();
    if (begun.status === 'PARKED') await untilRetried(operation_id);
    else if (begun.status !== 'RUNNING') return;
    const saga = createSaga();
    for (const part of partsOf(begun.targets)) {
      if (part.undo === 'VOID_FUNDING') saga.undoWith(() => compensation.voidFunding({ order_id }));
      const dead = await (part.mustLand === true ? driveOn : drive)(part, verb, operation_id);
      if (dead === null) continue;
      await saga.compensate();
      settled(await db.failOperation({ order_id, operation_id, step: part.step, ...dead }));
      throw ApplicationFailure.nonRetryable(dead.detail, 'OPERATION_FAILED', { reason: dead.reason });
    }
  };

  /** One transaction to its end: null when it landed, else why it is dead. */
  async function drive(part: ChainPart, verb: OrderVerb, operation_id: string): Promise<Dead | null> {
    const { step, intent } = part;
    const priority = PRIORITY[verb] ?? 5;
    for (;;) {
      if (control.isGivenUp()) return { reason: 'CANCELED', detail: GIVEN_UP, transaction_hash: null };
      try {
        const { task_queue_prefix } = input;
        const { signatures } = context;
        const wanted = { intent, step, operation_id, priority, task_queue_prefix, signatures, control };
        const outcome = await executeOnChain(wanted);
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
        await park(intent, operation_id, { reason, message: failure.message, detail: failure.details?.[0] ?? null });
      }
    }
  }

  /** One that has to land: whatever becomes of an attempt, there is another. */
  async function driveOn(part: ChainPart, verb: OrderVerb, operation_id: string): Promise<null> {
    for (let attempt = 1; ; attempt += 1) {
      const dead = await drive(part, verb, operation_id);
      if (dead === null) return null;
      if (attempt % RESOLUTION_ATTEMPTS !== 0) await sleep(RESOLUTION_PAUSE_MS * attempt);
      else await park(part.intent, operation_id, { reason: 'RESOLUTION_STUCK', message: dead.detail, detail: dead });
    }
  }

  async function park(
    intent: Intent,
    operation_id: string,
    why: { readonly reason: Reason; readonly message: string; readonly detail: unknown },
  ): Promise<void> {
    settled(await db.parkOperation({ order_id, operation_id, ...why, step: intentSummary(intent) }));
    // The row was restored to a time before this operation: whoever goes on begins at the row.
    if (context.state()?.operation?.id !== operation_id)
      throw ApplicationFailure.nonRetryable('the order does not know this operation any more', 'INVALID_STATE');
    await untilRetried(operation_id);
  }

  async function untilRetried(operation_id: string): Promise<void> {
    parked = { retry: false };
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    await condition(() => parked?.retry === true || control.isGivenUp());
    settled(await db.unparkOperation({ order_id, operation_id }));
    parked = null;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
  }

  return {
    run,
    control,
    isParked: () => parked !== null,
    retry: async () => {
      if (parked !== null) parked.retry = true;
      await condition(() => parked === null);
    },
  };
}
