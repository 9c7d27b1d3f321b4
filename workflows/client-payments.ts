/** Withdrawals and adjustments, as the API drives them. */
import { WithStartWorkflowOperation } from '@temporalio/client';
import type { PaymentRef } from '../domain/intents.ts';
import { paymentWorkflowId } from '../domain/workflow-ids.ts';
import type { Context } from './client.ts';
import type { CallOptions } from './client-guard.ts';
import {
  type CreatePayment,
  type PaymentAnswer,
  type PaymentInput,
  type PaymentVerbRequest,
  approvePaymentUpdate,
  cancelPaymentUpdate,
  createPaymentUpdate,
  rowWakeSignal,
} from './messages.ts';
import { MARKETPLACE_ID } from './search-attributes.ts';

const WAKE_TIMEOUT_MS = 10_000;

export interface PaymentCalls {
  /** Creates a withdrawal or an adjustment, or finds it. @throws Refusal, Unavailable; NotRunning when it is over */
  createPayment(request: CreatePayment, options: CallOptions): Promise<PaymentAnswer>;
  /** A workflow that does not run is started from its row. @throws Refusal, Unavailable */
  paymentVerb(
    payment: PaymentRef,
    verb: 'approve' | 'cancel',
    request: PaymentVerbRequest,
    options: CallOptions,
  ): Promise<PaymentAnswer>;
  /** Makes it look at its row; one that does not run is started from there. */
  wakePayment(payment: PaymentRef): Promise<void>;
}

export function paymentCalls({ client, options, taskQueue, guarded }: Context): PaymentCalls {
  const start = (payment: PaymentRef, resume: boolean) => ({
    workflowId: paymentWorkflowId(payment),
    taskQueue,
    args: [
      { payment, task_queue_prefix: options.taskQueuePrefix, ...(resume ? { resume } : {}) } satisfies PaymentInput,
    ],
    staticSummary: paymentWorkflowId(payment),
  });
  return {
    createPayment: (request, call) => {
      const type = request.kind === 'WITHDRAWAL' ? 'withdrawal' : 'adjustment';
      return guarded(call, () =>
        client.workflow.executeUpdateWithStart(createPaymentUpdate, {
          args: [request],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation(type, {
            ...start({ type, id: request.payment_id }, false),
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            typedSearchAttributes: [{ key: MARKETPLACE_ID, value: request.marketplace_id }],
            memo: { request_id: request.request_id },
          }),
        }),
      );
    },

    paymentVerb: (payment, verb, request, call) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(verb === 'approve' ? approvePaymentUpdate : cancelPaymentUpdate, {
          args: [request],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation(payment.type, {
            ...start(payment, true),
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          }),
        }),
      ),

    wakePayment: (payment) =>
      guarded({ timeoutMs: WAKE_TIMEOUT_MS }, async () => {
        const signal = { signal: rowWakeSignal, signalArgs: [] };
        await client.workflow.signalWithStart(payment.type, { ...start(payment, true), ...signal });
      }),
  };
}
