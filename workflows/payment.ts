/**
 * One withdrawal or one adjustment, until it is over:
 *
 *   CREATED → [APPROVAL_REQUIRED →] APPROVED → SUBMITTED → COMPLETED | FAILED, CANCELED before SUBMITTED
 *
 * The money is held with the row; what is true is the row: every step writes it under its lock, so that a cancel and a
 * signature cannot both win, and the workflow can start from it in mid-life (`resume`).
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { PaymentRowActivities } from '../activities/withdrawals/index.ts';
import { isDue, isOver } from '../domain/payment/machine.ts';
import type { PaymentState } from '../domain/payment/shapes.ts';
import { REASON_TABLE, isReason } from '../domain/reasons.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import {
  type PaymentInput,
  type RetryRequest,
  approvePaymentUpdate,
  cancelPaymentUpdate,
  createPaymentUpdate,
  retryPaymentUpdate,
} from './messages.ts';

const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');
/** A creation that was refused leaves a workflow without a payment: it ends itself when none comes. */
const CREATION_LIMIT = '1 minute';
/** Money that waits to be paid out, behind releases. */
const PRIORITY = 2;

export const withdrawal = (input: PaymentInput): Promise<void> => payment(input);
export const adjustment = (input: PaymentInput): Promise<void> => payment(input);

async function payment(input: PaymentInput): Promise<void> {
  const { id: payment_id } = input.payment;
  const { db, compensation } = activitiesOf(input);
  let state: PaymentState | null = null;
  let retried = false;
  const settled = (next: PaymentState): void => {
    // What is over stays so, in whatever order the steps report.
    if (state !== null && isOver(state.status)) return;
    state = next;
    setCurrentDetails(`**${next.status}**\n\n- ${next.operation.verb}: ${next.operation.status.toLowerCase()}`);
  };
  const current = (): PaymentState | null => state;
  const answer = (next: PaymentState) => {
    settled(next);
    return { payment_id, status: next.status };
  };

  setHandler(createPaymentUpdate, async (request) => answer(await refusing(db.createPayment(request))));
  setHandler(approvePaymentUpdate, async (request) => answer(await refusing(db.approvePayment(request))));
  setHandler(cancelPaymentUpdate, async (request) => answer(await refusing(db.cancelPayment(request))));
  setHandler(
    retryPaymentUpdate,
    async (_request: RetryRequest) => {
      retried = true;
      await condition(() => !retried);
      return { payment_id, status: current()?.status ?? 'CREATED' };
    },
    {
      validator: (_request: RetryRequest) => {
        if (current()?.operation.status !== 'PARKED')
          throw ApplicationFailure.nonRetryable('nothing is parked', 'INVALID_STATE');
      },
    },
  );

  if (input.resume === true) settled(await db.loadPayment({ payment_id }));
  else if (!(await condition(() => state !== null, CREATION_LIMIT))) return;

  const isEnded = (): boolean => isOver(current()?.status ?? 'CREATED');
  while (!isEnded()) {
    await condition(() => isEnded() || isDue(current()?.status ?? 'CREATED'));
    if (current()?.operation.status === 'PARKED') await untilRetried();
    if (!isEnded()) await pay();
  }
  await condition(allHandlersFinished);

  /** Drives the transaction to its end: landed, dead, or parked. */
  async function pay(): Promise<void> {
    try {
      const outcome = await executeOnChain({
        intent: { kind: 'PAY', payment: input.payment },
        step: 'pay',
        operation_id: current()?.operation.id ?? null,
        priority: PRIORITY,
        task_queue_prefix: input.task_queue_prefix,
      });
      if (outcome.status === 'LANDED') settled(await db.loadPayment({ payment_id }));
      else {
        const { reason, detail, transaction_hash } = outcome;
        settled(await compensation.failPayment({ payment_id, reason, detail, transaction_hash }));
      }
    } catch (error) {
      const failure = asRefusal(error);
      const reason = isReason(failure?.type) ? failure.type : null;
      if (failure === null || reason === null) throw error;
      const { message, details } = failure;
      if (REASON_TABLE[reason].retry === 'operator')
        settled(await db.parkPayment({ payment_id, reason, detail: { message, detail: details?.[0] ?? null } }));
      // Refused before anything was signed; also what became of it when it was canceled meanwhile.
      else settled(await compensation.failPayment({ payment_id, reason, detail: message, transaction_hash: null }));
    }
  }

  /** Parked: an operator looks at it and retries, or it is canceled as long as nothing is signed. */
  async function untilRetried(): Promise<void> {
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    await condition(() => retried || isEnded());
    if (!isEnded()) settled(await db.unparkPayment({ payment_id }));
    retried = false;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
  }
}

function activitiesOf(input: PaymentInput) {
  return {
    db: proxyLocalActivities<PaymentRowActivities>({
      startToCloseTimeout: '10s',
      retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    }),
    compensation: proxyActivities<PaymentRowActivities>({
      taskQueue: `${input.task_queue_prefix}orders`,
      startToCloseTimeout: '10s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
  };
}

/** Updates throw only ApplicationFailure. */
async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw asRefusal(error) ?? error;
  }
}
