/**
 * The steps behind the verbs of an order. Database-only verbs are one local activity; verbs on chain open an operation
 * on the row, drive their transactions through `executeOnChain`, and are compensated when one is proved dead.
 */
import {
  ApplicationFailure,
  condition,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { OrderActivities } from '../activities/index.ts';
import { type Intent, intentSummary } from '../domain/intents.ts';
import { REASON_TABLE, isReason } from '../domain/reasons.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type {
  CreateOrder,
  DeliverRequest,
  ExtendRequest,
  OrderAnswer,
  OrderInput,
  RetryRequest,
  VerbRequest,
} from './messages.ts';
import { createSaga } from './saga.ts';

const ORDER_STATUS = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');

export type OperationRequest = VerbRequest & { readonly cause: 'API' | 'AUTO' | 'DEADLINE' };

/** Money that waits to be returned goes before new business in the queue for a source account. */
const PRIORITY: Partial<Record<OrderVerb, number>> = { release: 1, deliver: 3, fund: 4, escrow: 5 };

interface ChainPart {
  readonly step: string;
  readonly intent: Intent;
  /** what a dead transaction leaves to be undone besides the status */
  readonly undo?: 'VOID_FUNDING';
}

export function createOrderOperations(input: OrderInput, publish: (state: OrderState) => void) {
  const order_id = input.order_id;
  // Short database work inside updates: a third fewer events than normal activities. Every effect is keyed.
  const db = proxyLocalActivities<OrderActivities>({
    startToCloseTimeout: '10s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
  });
  const compensation = proxyActivities<OrderActivities>({
    taskQueue: `${input.task_queue_prefix}orders`,
    startToCloseTimeout: '10s',
    retry: { initialInterval: '500ms', maximumInterval: '20s' },
  });
  let last: OrderState | null = null;
  let parked: { retry: boolean } | null = null;

  const settled = (next: OrderState): void => {
    if (next.status !== last?.status) upsertSearchAttributes([{ key: ORDER_STATUS, value: next.status }]);
    last = next;
    publish(next);
    setCurrentDetails(details(next));
  };

  /** Writes the operation on the row, runs its transactions, undoes what a dead one leaves. */
  async function onChain(request: OperationRequest, verb: OrderVerb, parts: ChainPart[]) {
    settled(await db.beginOperation({ order_id, verb, ...operationOf(request) }));
    // Waiting for a wallet is not an operation: verbs and deadlines work meanwhile.
    if (last?.operation?.id !== request.operation_id || last.operation.status !== 'RUNNING') return;
    const saga = createSaga();
    for (const part of parts) {
      if (part.undo === 'VOID_FUNDING') saga.undoWith(() => compensation.voidFunding({ order_id }));
      const dead = await drive(part, verb, request);
      if (dead === null) continue;
      await saga.compensate();
      settled(await db.failOperation({ order_id, operation_id: request.operation_id, ...dead }));
      throw ApplicationFailure.nonRetryable(dead.detail, 'OPERATION_FAILED', { reason: dead.reason });
    }
  }

  /** One transaction to its end; parks when only an operator can help, and tries again when one says so. */
  async function drive(part: ChainPart, verb: OrderVerb, request: OperationRequest) {
    for (;;) {
      try {
        const outcome = await executeOnChain({
          intent: part.intent,
          step: part.step,
          operation_id: request.operation_id,
          priority: PRIORITY[verb] ?? 5,
          task_queue_prefix: input.task_queue_prefix,
        });
        if (outcome.status === 'DEAD')
          return { reason: outcome.reason, detail: outcome.detail, transaction_hash: outcome.transaction_hash };
        if (outcome.state !== null) settled(outcome.state);
        return null;
      } catch (error) {
        const failure = asRefusal(error);
        const reason = isReason(failure?.type) ? failure.type : null;
        if (failure === null || reason === null) throw error;
        if (REASON_TABLE[reason].retry !== 'operator')
          return { reason, detail: failure.message, transaction_hash: null };
        await park(request.operation_id, part, reason, failure);
      }
    }
  }

  async function park(operation_id: string, part: ChainPart, reason: string, failure: ApplicationFailure) {
    settled(
      await db.parkOperation({
        order_id,
        operation_id,
        reason,
        message: failure.message,
        detail: failure.details?.[0] ?? null,
        step: intentSummary(part.intent),
      }),
    );
    await untilRetried(operation_id);
  }

  async function untilRetried(operation_id: string) {
    parked = { retry: false };
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    await condition(() => parked?.retry === true);
    settled(await db.unparkOperation({ order_id, operation_id }));
    parked = null;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
  }

  const verbs = {
    escrow: (request: OperationRequest) =>
      onChain(request, 'escrow', [{ step: 'deploy', intent: { kind: 'DEPLOY_ESCROW', orderId: order_id } }]),
    fund: (request: OperationRequest) =>
      onChain(request, 'fund', [
        { step: 'fund', intent: { kind: 'FUND_ESCROW', orderId: order_id }, undo: 'VOID_FUNDING' },
      ]),
    deliver: (request: OperationRequest & { readonly evidence?: DeliverRequest['evidence'] }) =>
      onChain(request, 'deliver', [
        { step: 'deliver', intent: { kind: 'DELIVER', orderId: order_id, evidence: request.evidence ?? [] } },
      ]),
    release: (request: OperationRequest) =>
      onChain(request, 'release', [
        // An approval is irreversible: what landed in an earlier attempt is not sent again (F4).
        ...(last?.approved === true
          ? []
          : [{ step: 'approve', intent: { kind: 'APPROVE', orderId: order_id, milestoneIndex: 0 } as const }]),
        { step: 'release', intent: { kind: 'RELEASE', orderId: order_id, milestoneIndex: null } },
      ]),
  };

  return {
    create: async (request: CreateOrder) => settled(await db.createOrder(request)),
    resume: async () => settled(await db.loadOrder({ order_id })),
    refresh: async () => settled(await db.loadOrder({ order_id })),
    reserve: async (request: OperationRequest) => settled(await db.reserveFunds({ order_id, ...operationOf(request) })),
    cancel: async (request: OperationRequest) => settled(await db.cancelOrder({ order_id, ...operationOf(request) })),
    extend: async (request: ExtendRequest & OperationRequest) =>
      settled(
        await db.extendDeadline({
          order_id,
          deadline: request.deadline,
          due_at: request.due_at,
          ...operationOf(request),
        }),
      ),
    ...verbs,
    /** Drives on what the row says is running: every step finds what was done before. */
    adopt: async (state: OrderState) => {
      const operation = state.operation;
      if (operation === null || !(operation.verb in verbs)) return;
      if (operation.status === 'PARKED') await untilRetried(operation.id);
      const request = {
        operation_id: operation.id,
        request_id: null,
        actor: null,
        reason: null,
        cause: 'API',
      } as const;
      await verbs[operation.verb as keyof typeof verbs](request);
    },
    bookForeign: async (transaction_hash: string) => {
      await compensation.bookForeignTransaction({ order_id, transaction_hash });
    },
    validateRetry: (_request: RetryRequest) => {
      if (parked === null) throw ApplicationFailure.nonRetryable('nothing is parked', 'INVALID_STATE');
    },
    retry: async (_request: RetryRequest): Promise<OrderAnswer> => {
      if (parked !== null) parked.retry = true;
      await condition(() => parked === null);
      return { order_id, status: last?.status ?? 'ORDER_CREATED' };
    },
  };
}

const operationOf = (request: OperationRequest) => ({
  operation_id: request.operation_id,
  cause: request.cause,
  request_id: request.request_id,
  actor: request.actor,
  reason: request.reason,
});

/** What an operator reads at the top of the workflow's page. */
function details(state: OrderState): string {
  const operation =
    state.operation === null ? 'none' : `${state.operation.verb} (${state.operation.status.toLowerCase()})`;
  const due = state.due === null ? 'none' : `${state.due.action} at ${state.due.at}`;
  return `**${state.status}**\n\n- operation: ${operation}\n- waiting for: ${state.waiting_for ?? 'nothing'}\n- next timer: ${due}`;
}
