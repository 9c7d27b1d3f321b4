/**
 * The façade through which the API drives workflows: ids, policies and deadlines live here, so that routes speak of
 * orders and users only. Failures come back as `Refusal` (a reason and its details), `NotRunning` or `Unavailable`.
 */
import {
  ApplicationFailure,
  Client,
  Connection,
  ServiceError,
  WithStartWorkflowOperation,
  type WorkflowHandle,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
  isRetryableError,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { isReason } from '../domain/reasons.ts';
import { Refusal, type RefusalDetails, Unavailable } from '../domain/refusal.ts';
import { orderWorkflowId, paymentWorkflowId, provisionerWorkflowId, walletWorkflowId } from '../domain/workflow-ids.ts';
import type { PaymentRef } from '../domain/intents.ts';
import { type DisputeCalls, disputeCalls } from './client-disputes.ts';
import {
  type ChangeUser,
  type CreateOrder,
  type CreatePayment,
  type CreateUser,
  type DeliverRequest,
  type ExtendRequest,
  type OpenDispute,
  type OrderAnswer,
  type OrderInput,
  type SubmitSignature,
  type PartsRequest,
  type Origin,
  type PaymentAnswer,
  type PaymentInput,
  type PaymentVerbRequest,
  type UserAnswer,
  type VerbRequest,
  type WalletClosed,
  type WalletInput,
  approvePaymentUpdate,
  cancelPaymentUpdate,
  cancelUpdate,
  changeUserUpdate,
  clockAdvancedSignal,
  closeWalletUpdate,
  completeMilestoneUpdate,
  createOrderUpdate,
  createPaymentUpdate,
  createUserUpdate,
  deliverUpdate,
  disputeUpdate,
  escrowUpdate,
  extendUpdate,
  fundUpdate,
  openSigningRequestUpdate,
  orderWakeSignal,
  provisionSignal,
  refundUpdate,
  releaseMilestoneUpdate,
  releaseUpdate,
  reserveUpdate,
  submitSignatureUpdate,
} from './messages.ts';

const ORDER_ID = defineSearchAttributeKey('OrderId', 'KEYWORD');
const MARKETPLACE_ID = defineSearchAttributeKey('MarketplaceId', 'KEYWORD');
const ORDER_STATUS = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
const WALLET_ID = defineSearchAttributeKey('WalletId', 'KEYWORD');

/** A verb with what it takes. */
export type VerbCall =
  | { readonly verb: 'reserve' | 'cancel' | 'escrow' | 'fund'; readonly request: VerbRequest }
  | { readonly verb: 'release_milestone' | 'release' | 'refund'; readonly request: PartsRequest }
  | { readonly verb: 'deliver' | 'complete_milestone'; readonly request: DeliverRequest }
  | { readonly verb: 'dispute'; readonly request: OpenDispute }
  | { readonly verb: 'extend'; readonly request: ExtendRequest };

const PLAIN_UPDATES = {
  reserve: reserveUpdate,
  cancel: cancelUpdate,
  escrow: escrowUpdate,
  fund: fundUpdate,
  release_milestone: releaseMilestoneUpdate,
  release: releaseUpdate,
  refund: refundUpdate,
} as const;

export interface CallOptions {
  /** Repeating a call with the same id attaches to the first one and gets its outcome. */
  readonly updateId: string;
  /** milliseconds until the call ends as `Unavailable` */
  readonly timeoutMs: number;
  /** ends the call when nobody waits for its answer any more; what was accepted goes on */
  readonly signal?: AbortSignal;
}

/** No open workflow of this id: the order is closed, or Temporal lost it. The rows know which. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

export interface WorkflowClient extends DisputeCalls {
  /** Creates the order, or finds it. @throws Refusal, Unavailable; NotRunning when it was created and closed long ago */
  createOrder(request: CreateOrder, options: CallOptions): Promise<OrderAnswer>;
  /** Resolves when the verb's operation has settled. @throws Refusal, NotRunning, Unavailable */
  orderVerb(orderId: string, call: VerbCall, options: CallOptions): Promise<OrderAnswer>;
  /** Afterwards the request's row names what is to be signed. @throws Refusal, NotRunning, Unavailable */
  openSigningRequest(orderId: string, signingRequestId: string, options: CallOptions): Promise<void>;
  /** @throws Refusal VALIDATION_ERROR when it is not the user's signature of what was handed out; NotRunning, Unavailable */
  submitSignature(orderId: string, signature: SubmitSignature, options: CallOptions): Promise<void>;
  /** Starts the workflow of an open order from its row. */
  resumeOrder(orderId: string): Promise<void>;
  /** Tells open orders that their marketplace's test clock went on; what has no workflow reads it when it starts. */
  clockAdvanced(orderIds: readonly string[], offsetMs: number): Promise<void>;
  /** Their marketplace goes on: deadlines that waited for it run. */
  wakeOrders(orderIds: readonly string[]): Promise<void>;
  /** Creates a withdrawal or an adjustment, or finds it. @throws Refusal, Unavailable; NotRunning when it is over */
  createPayment(request: CreatePayment, options: CallOptions): Promise<PaymentAnswer>;
  /** A workflow that does not run is started from its row. @throws Refusal, Unavailable */
  paymentVerb(
    payment: PaymentRef,
    verb: 'approve' | 'cancel',
    request: PaymentVerbRequest,
    options: CallOptions,
  ): Promise<PaymentAnswer>;
  createUser(request: CreateUser, options: CallOptions): Promise<UserAnswer>;
  changeUser(walletId: string, change: ChangeUser, options: CallOptions): Promise<UserAnswer>;
  /** Starts the workflows of wallets that are rows already (a marketplace's own); running ones stay. */
  ensureWallets(walletIds: readonly string[]): Promise<void>;
  /** Closes a wallet on chain. @throws Refusal INVALID_STATE, TRANSACTION_FAILED (it stays open), NOT_FOUND */
  closeWallet(walletId: string, origin: Origin, options: CallOptions): Promise<WalletClosed>;
  /** Tells the provisioner that wallets wait to be created. */
  provisionWallets(): Promise<void>;
  /** How many pollers serve the workflows' queue. */
  orderPollers(): Promise<number>;
  close(): Promise<void>;
}

export interface WorkflowClientOptions {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueuePrefix: string;
  readonly network: string;
  readonly paymentSource: 'shared' | 'stream';
}

const START_TIMEOUT_MS = 10_000;
const LOOK_TIMEOUT_MS = 2_000;
/** Long enough for a server that restarts; who calls is told 503 after it. */
const UNREACHABLE_MS = 4_000;
const FIRST_RETRY_MS = 40;
const LAST_RETRY_MS = 500;
const GRPC_UNAVAILABLE = 14;

/** Connects at the first call: an API that boots while Temporal is down still serves reads. */
export function createWorkflowClient(options: WorkflowClientOptions): WorkflowClient {
  // Without the SDK's retries: they begin at a second for a busy workflow, and one that is pending when the connection
  // closes throws out of a timer. `guard` retries instead.
  const connection = Connection.lazy({ address: options.address, interceptors: [] });
  const client = new Client({ connection, namespace: options.namespace });
  const taskQueue = `${options.taskQueuePrefix}orders`;
  const context: Context = { client, options, taskQueue, guarded: createGuard(client) };
  return {
    ...orderCalls(context),
    ...walletCalls(context),
    ...paymentCalls(context),
    ...disputeCalls(context),
    orderPollers: () =>
      context.guarded({ timeoutMs: LOOK_TIMEOUT_MS }, async () => {
        const { pollers } = await client.workflowService.describeTaskQueue({
          namespace: options.namespace,
          taskQueue: { name: taskQueue },
          // workflow tasks
          taskQueueType: 1,
        });
        return pollers?.length ?? 0;
      }),
    close: () => connection.close(),
  };
}

type Guard = <T>(call: Omit<CallOptions, 'updateId'>, work: () => Promise<T>) => Promise<T>;

/** What every group of calls works with. */
export interface Context {
  readonly client: Client;
  readonly options: WorkflowClientOptions;
  readonly taskQueue: string;
  readonly guarded: Guard;
}

/**
 * Every call has a deadline, and is repeated while the server is away or the workflow is busy (ten updates in flight). A
 * repeat is the same call: update ids and workflow ids make it attach.
 */
function createGuard(client: Client): Guard {
  return async ({ timeoutMs, signal }, work) => {
    const begun = Date.now();
    const limited = () => client.withDeadline(begun + timeoutMs, work);
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(delay * 2, LAST_RETRY_MS)) {
      try {
        return await (signal === undefined ? limited() : client.withAbortSignal(signal, limited));
      } catch (error) {
        const patience = patienceWith(error, timeoutMs);
        if (signal?.aborted === true || Date.now() + delay > begun + patience) throw translate(error);
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  };
}

/**
 * Verbs of one order are handed in one at a time, up to their acceptance: a workflow takes ten updates at once, and many
 * that arrive during one task are given up by the server. Their outcomes are waited for side by side.
 */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => undefined);
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}

function orderCalls({ client, options, taskQueue, guarded }: Context) {
  const inTurn = createTurns();
  const start = (input: OrderInput) => ({
    workflowId: orderWorkflowId(input.order_id),
    taskQueue,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    staticSummary: `order ${input.order_id}`,
  });
  /** What has no workflow any more reads its row when it is started. */
  const eachOpen = (orderIds: readonly string[], tell: (handle: WorkflowHandle) => Promise<void>): Promise<void> =>
    guarded({ timeoutMs: START_TIMEOUT_MS }, async () => {
      for (const id of orderIds)
        await tell(client.workflow.getHandle(orderWorkflowId(id))).catch((error: unknown) => {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        });
    });
  return {
    createOrder: (request, call) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(createOrderUpdate, {
          args: [request],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation('order', {
            ...start({ order_id: request.order_id, task_queue_prefix: options.taskQueuePrefix }),
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            typedSearchAttributes: [
              { key: ORDER_ID, value: request.order_id },
              { key: MARKETPLACE_ID, value: request.marketplace_id },
              { key: ORDER_STATUS, value: 'ORDER_CREATED' },
            ],
            memo: { request_id: request.request_id },
          }),
        }),
      ),

    orderVerb: (orderId, { verb, request }, { updateId, ...call }) =>
      guarded(call, async () => {
        const handle = client.workflow.getHandle(orderWorkflowId(orderId));
        const options = { updateId, waitForStage: 'ACCEPTED' } as const;
        const update = await inTurn(orderId, () => {
          if (verb === 'deliver') return handle.startUpdate(deliverUpdate, { ...options, args: [request] });
          if (verb === 'complete_milestone')
            return handle.startUpdate(completeMilestoneUpdate, { ...options, args: [request] });
          if (verb === 'dispute') return handle.startUpdate(disputeUpdate, { ...options, args: [request] });
          if (verb === 'extend') return handle.startUpdate(extendUpdate, { ...options, args: [request] });
          return handle.startUpdate(PLAIN_UPDATES[verb], { ...options, args: [request] });
        });
        return update.result();
      }),

    clockAdvanced: (orderIds, offsetMs) =>
      eachOpen(orderIds, (handle) => handle.signal(clockAdvancedSignal, { offset_ms: offsetMs })),

    wakeOrders: (orderIds) => eachOpen(orderIds, (handle) => handle.signal(orderWakeSignal, { cause: 'RESUME' })),

    openSigningRequest: (orderId, signing_request_id, { updateId, ...call }) =>
      guarded(call, () =>
        client.workflow
          .getHandle(orderWorkflowId(orderId))
          .executeUpdate(openSigningRequestUpdate, { updateId, args: [{ signing_request_id }] }),
      ),

    submitSignature: (orderId, signature, { updateId, ...call }) =>
      guarded(call, () =>
        client.workflow
          .getHandle(orderWorkflowId(orderId))
          .executeUpdate(submitSignatureUpdate, { updateId, args: [signature] }),
      ),

    resumeOrder: (orderId) =>
      guarded({ timeoutMs: START_TIMEOUT_MS }, async () => {
        await client.workflow.start('order', {
          ...start({ order_id: orderId, task_queue_prefix: options.taskQueuePrefix, resume: true }),
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          typedSearchAttributes: [{ key: ORDER_ID, value: orderId }],
        });
      }),
  } satisfies Partial<WorkflowClient>;
}

function walletCalls({ client, options, taskQueue, guarded }: Context) {
  const start = (walletId: string, resume: boolean) => ({
    workflowId: walletWorkflowId(walletId),
    taskQueue,
    args: [
      {
        wallet_id: walletId,
        network: options.network,
        task_queue_prefix: options.taskQueuePrefix,
        follow: true,
        source: options.paymentSource,
        ...(resume ? { resume } : {}),
      } satisfies WalletInput,
    ],
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
    typedSearchAttributes: [{ key: WALLET_ID, value: walletId }],
    staticSummary: `wallet ${walletId}`,
  });
  return {
    createUser: (request, call) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(createUserUpdate, {
          args: [request],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation('wallet', {
            ...start(request.wallet_id, false),
            typedSearchAttributes: [
              { key: WALLET_ID, value: request.wallet_id },
              { key: MARKETPLACE_ID, value: request.marketplace_id },
            ],
            memo: { request_id: request.request_id },
          }),
        }),
      ),

    changeUser: (walletId, change, call) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(changeUserUpdate, {
          args: [change],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation('wallet', start(walletId, true)),
        }),
      ),

    closeWallet: (walletId, origin, call) =>
      guarded(call, () =>
        client.workflow.executeUpdateWithStart(closeWalletUpdate, {
          args: [origin],
          updateId: call.updateId,
          startWorkflowOperation: new WithStartWorkflowOperation('wallet', start(walletId, true)),
        }),
      ),

    provisionWallets: () =>
      guarded({ timeoutMs: START_TIMEOUT_MS }, async () => {
        await client.workflow.signalWithStart('provisioner', {
          workflowId: provisionerWorkflowId(options.network),
          taskQueue,
          args: [{ network: options.network, task_queue_prefix: options.taskQueuePrefix }],
          signal: provisionSignal,
          signalArgs: [],
        });
      }),

    ensureWallets: async (walletIds) => {
      await guarded({ timeoutMs: START_TIMEOUT_MS }, () =>
        Promise.all(walletIds.map((id) => client.workflow.start('wallet', start(id, true)))),
      );
    },
  } satisfies Partial<WorkflowClient>;
}

function paymentCalls({ client, options, taskQueue, guarded }: Context) {
  const start = (payment: PaymentRef, resume: boolean) => ({
    workflowId: paymentWorkflowId(payment),
    taskQueue,
    args: [
      { payment, task_queue_prefix: options.taskQueuePrefix, ...(resume ? { resume } : {}) } satisfies PaymentInput,
    ],
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
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
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          }),
        }),
      ),
  } satisfies Partial<WorkflowClient>;
}

/** Milliseconds for which a call that failed like this is repeated. */
function patienceWith(error: unknown, timeoutMs: number): number {
  if (isUnprocessed(error)) return timeoutMs;
  const cause = error instanceof Error ? error.cause : undefined;
  const status = isGrpcServiceError(error) ? error : isGrpcServiceError(cause) ? cause : null;
  if (status === null || !isRetryableError(status)) return 0;
  return status.code === GRPC_UNAVAILABLE ? Math.min(timeoutMs, UNREACHABLE_MS) : timeoutMs;
}

/**
 * The server gave the update up before the workflow had taken it, which happens when many arrive while a workflow task is
 * being prolonged by a local activity. Nothing is remembered of it: the same update may be sent again.
 */
const isUnprocessed = (error: unknown): boolean =>
  error instanceof WorkflowUpdateFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === 'UnprocessedUpdate';

/** What a failed call means to the API. */
function translate(error: unknown): unknown {
  if (error instanceof WorkflowUpdateFailedError) return refusalIn(error.cause) ?? error;
  if (error instanceof WorkflowNotFoundError || error instanceof WorkflowExecutionAlreadyStartedError)
    return new NotRunning(error.message);
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || error instanceof ServiceError)
    return new Unavailable(error.message, { cause: error });
  return error;
}

/** Handlers throw ApplicationFailures with a reason as type and the problem's extra fields as first detail. */
function refusalIn(cause: unknown): Refusal | null {
  if (!(cause instanceof ApplicationFailure) || !isReason(cause.type)) return null;
  const details: unknown = cause.details?.[0];
  return new Refusal(cause.type, cause.message, isObject(details) ? details : {});
}

const isObject = (value: unknown): value is RefusalDetails => typeof value === 'object' && value !== null;
