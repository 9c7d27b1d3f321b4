/**
 * The façade through which the API drives workflows: ids, policies and deadlines live here, so that routes speak of
 * orders and users only. Failures come back as `Refusal` (a reason and its details), `NotRunning` or `Unavailable`.
 */
import {
  Client,
  Connection,
  WithStartWorkflowOperation,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { orderWorkflowId, provisionerWorkflowId, walletWorkflowId } from '../domain/workflow-ids.ts';
import { type DisputeCalls, disputeCalls } from './client-disputes.ts';
import { type RepairCalls, repairCalls } from './client-repairs.ts';
import { type CallOptions, type Guard, createGuard } from './client-guard.ts';
import { type PaymentCalls, paymentCalls } from './client-payments.ts';
import { type WorkerCalls, workerCalls } from './client-workers.ts';
import {
  type ChangeUser,
  type CreateOrder,
  type CreateUser,
  type DeliverRequest,
  type ExtendRequest,
  type OpenDispute,
  type OrderAnswer,
  type OrderInput,
  type SubmitSignature,
  type PartsRequest,
  type Origin,
  type UserAnswer,
  type VerbRequest,
  type WalletClosed,
  type WalletInput,
  cancelUpdate,
  changeUserUpdate,
  clockAdvancedSignal,
  closeWalletUpdate,
  completeMilestoneUpdate,
  createOrderUpdate,
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
import { MARKETPLACE_ID, ORDER_ID, ORDER_STATUS, WALLET_ID } from './search-attributes.ts';

export { type CallOptions, NotRunning } from './client-guard.ts';

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

export interface WorkflowClient extends DisputeCalls, PaymentCalls, RepairCalls, WorkerCalls {
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
  createUser(request: CreateUser, options: CallOptions): Promise<UserAnswer>;
  changeUser(walletId: string, change: ChangeUser, options: CallOptions): Promise<UserAnswer>;
  /** Starts the workflows of wallets that are rows already (a marketplace's own); running ones stay. */
  ensureWallets(walletIds: readonly string[]): Promise<void>;
  /** Closes a wallet on chain. @throws Refusal INVALID_STATE, TRANSACTION_FAILED (it stays open), NOT_FOUND */
  closeWallet(walletId: string, origin: Origin, options: CallOptions): Promise<WalletClosed>;
  /** Tells the provisioner that wallets wait to be created. */
  provisionWallets(): Promise<void>;
  close(): Promise<void>;
}

interface WorkflowClientOptions {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueuePrefix: string;
  readonly network: string;
  readonly paymentSource: 'shared' | 'stream';
}

const START_TIMEOUT_MS = 10_000;

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
    ...orderNews(context),
    ...walletCalls(context),
    ...paymentCalls(context),
    ...disputeCalls(context),
    ...repairCalls(context),
    ...workerCalls(context),
    close: () => connection.close(),
  };
}

/** What every group of calls works with. */
export interface Context {
  readonly client: Client;
  readonly options: WorkflowClientOptions;
  readonly taskQueue: string;
  readonly guarded: Guard;
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

/** What orders are told of, and what only their users can sign. */
function orderNews({ client, guarded }: Pick<Context, 'client' | 'guarded'>) {
  /** What has no workflow any more reads its row when it is started. */
  const eachOpen = (orderIds: readonly string[], tell: (handle: WorkflowHandle) => Promise<void>): Promise<void> =>
    guarded({ timeoutMs: START_TIMEOUT_MS }, async () => {
      for (const id of orderIds)
        await tell(client.workflow.getHandle(orderWorkflowId(id))).catch((error: unknown) => {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        });
    });
  return {
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
          staticSummary: `provisioner of ${options.network}`,
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
