/** The steps behind the verbs of an order: one local activity for those that touch only the database, transactions else. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { proxyActivities, setCurrentDetails, startChild } from '@temporalio/workflow';
import type { ChainActivities, OrderActivities } from '../activities/index.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import { disputeWorkflowId } from '../domain/workflow-ids.ts';
import { dispute } from './dispute.ts';
import type { CreateOrder, ExtendRequest, OpenDispute, OrderInput } from './messages.ts';
import {
  ALL_TO_BUYER,
  type ChainOperations,
  type OperationRequest,
  createChainOperations,
  deliverPart,
  releaseParts,
  resolveParts,
} from './order-chain.ts';
import { DUE_AT, ESCROW_CONTRACT_ID, MARKETPLACE_ID, ORDER_STATUS, TX_HASH } from './search-attributes.ts';
import { createSignatureDesk } from './user-signature.ts';
import { createVisibility } from './visibility.ts';
import { localSteps, steps } from './worded.ts';

export type OrderOperations = ReturnType<typeof createOrderOperations>;

/** @param publish gets the row's state after every step */
export function createOrderOperations(input: OrderInput, publish: (state: OrderState) => void) {
  const { order_id } = input;
  const { db, compensation, chainLook } = activitiesOf(input);
  const show = createVisibility();
  let last: OrderState | null = null;
  let hash: string | null = null;
  const settled = (next: OrderState): void => {
    if (isOutdated(next, last)) return;
    last = next;
    publish(next);
    show(
      { key: ORDER_STATUS, value: next.status },
      { key: ESCROW_CONTRACT_ID, value: next.contract_id ?? null },
      { key: TX_HASH, value: hash },
      { key: DUE_AT, value: next.due === null ? null : new Date(next.due.at) },
    );
    setCurrentDetails(details(next, hash));
  };
  const landed = (transactionHash: string, state: OrderState | null): void => {
    hash = transactionHash;
    if (state !== null) settled(state);
  };
  const signatures = createSignatureDesk(input);
  const chain = createChainOperations({ input, db, compensation, signatures, state: () => last, settled, landed });
  const verbs = createChainVerbs(order_id, chain);

  const refresh = async () => {
    const { marketplace_id, ...state } = await db.loadOrder({ order_id });
    show({ key: MARKETPLACE_ID, value: marketplace_id });
    settled(state);
  };

  return {
    ...verbs,
    /** of the step that runs: whether it can be given up */
    control: chain.control,
    signatures,
    create: async (request: CreateOrder) => settled(await db.createOrder(request)),
    refresh,
    /** A parked step that the row shows as taken up: another run of this workflow, or this one before it was lost, did. */
    resumeParked: async () => {
      if (!chain.repairs.isParked()) return;
      await refresh();
      if (last?.operation?.status !== 'PARKED') await chain.repairs.resume();
    },
    reserve: async (request: OperationRequest) => {
      const wanted = { order_id, ...operationOf(request) };
      const answer = await db.reserveFunds(wanted);
      settled('ask_chain' in answer ? await chainLook.reserveOwnFunds(wanted) : answer);
    },
    cancel: async (request: OperationRequest) => settled(await db.cancelOrder({ order_id, ...operationOf(request) })),
    extend: async ({ deadline, due_at, ...request }: ExtendRequest & OperationRequest) =>
      settled(await db.extendDeadline({ order_id, deadline, due_at, ...operationOf(request) })),
    ...createDisputeSteps(input, db, settled),
    /** Drives on what the row says is running: every step finds what was done before. */
    adopt: async ({ operation }: OrderState) => {
      const run = operation === null ? undefined : Object.entries(verbs).find(([verb]) => verb === operation.verb)?.[1];
      if (operation === null || run === undefined) return;
      await run({ operation_id: operation.id, request_id: null, actor: null, reason: null, cause: 'API' });
    },
    /** It is over, and its contract still holds something. */
    startSurplus: () => compensation.startSurplus({ order_id }),
    bookForeign: async (transaction_hash: string) => {
      await compensation.bookForeignTransaction({ order_id, transaction_hash });
    },
    repairs: chain.repairs,
  };
}

function activitiesOf({ task_queue_prefix }: OrderInput) {
  return {
    // Short database work inside updates: a third fewer events than normal activities. Every effect is keyed.
    db: localSteps<OrderActivities>({
      startToCloseTimeout: '10s',
      retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    }),
    // What an operator is to see by name.
    compensation: steps<OrderActivities>({
      taskQueue: `${task_queue_prefix}orders`,
      startToCloseTimeout: '10s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
    chainLook: proxyActivities<ChainActivities>({
      taskQueue: `${task_queue_prefix}chain`,
      summary: "look into the buyer's own wallet",
      startToCloseTimeout: '10s',
      retry: { initialInterval: '250ms', maximumInterval: '20s' },
    }),
  };
}

/** What a dispute's end wrote may be heard of before an earlier step of the order; histories from before know no times. */
export const isOutdated = (next: Pick<OrderState, 'as_of'>, last: Pick<OrderState, 'as_of'> | null): boolean =>
  (next.as_of ?? Number.POSITIVE_INFINITY) < (last?.as_of ?? 0);

/** Opening a dispute, and taking over what became of it; in between its own workflow drives those parts. */
function createDisputeSteps(input: OrderInput, db: OrderActivities, settled: (next: OrderState) => void) {
  const { order_id, task_queue_prefix } = input;
  const start = async (dispute_id: string): Promise<void> => {
    try {
      await startChild(dispute, {
        workflowId: disputeWorkflowId(dispute_id),
        args: [{ dispute_id, task_queue_prefix }],
        // It outlives this run, and a reset of it.
        parentClosePolicy: 'ABANDON',
        staticSummary: `dispute ${dispute_id} of ${order_id}`,
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  };
  const settleDisputes = async (): Promise<void> => settled(await db.settleDisputes({ order_id }));
  return {
    dispute: async (request: OpenDispute & OperationRequest): Promise<void> => {
      settled(await db.openDispute({ order_id, ...request }));
      await start(request.dispute.id);
    },
    settleDisputes,
    /** A resumed order: what its disputes came to meanwhile, and their workflows where they were lost. */
    takeUpDisputes: async (): Promise<void> => {
      await settleDisputes();
      for (const id of await db.openDisputesOf({ order_id })) await start(id);
    },
  };
}

/** Which transactions a verb is made of. */
function createChainVerbs(orderId: string, chain: ChainOperations) {
  const released = (request: OperationRequest, verb: 'release' | 'release_milestone') =>
    chain.run(request, verb, (targets) => targets.flatMap((target) => releaseParts(orderId, target)));
  const delivered = (request: OperationRequest, verb: 'deliver' | 'complete_milestone') =>
    chain.run(request, verb, (targets) => targets.map(({ index }) => deliverPart(orderId, index)));
  return {
    escrow: (request: OperationRequest) =>
      chain.run(request, 'escrow', () => [{ step: 'deploy', intent: { kind: 'DEPLOY_ESCROW', orderId } }]),
    fund: (request: OperationRequest) =>
      chain.run(request, 'fund', () => [
        { step: 'fund', intent: { kind: 'FUND_ESCROW', orderId }, undo: 'VOID_FUNDING' },
      ]),
    deliver: (request: OperationRequest) => delivered(request, 'deliver'),
    complete_milestone: (request: OperationRequest) => delivered(request, 'complete_milestone'),
    release: (request: OperationRequest) => released(request, 'release'),
    release_milestone: (request: OperationRequest) => released(request, 'release_milestone'),
    refund: (request: OperationRequest) =>
      chain.run(request, 'refund', (targets) =>
        targets.flatMap(({ index }) => resolveParts(orderId, index, ALL_TO_BUYER)),
      ),
  };
}

const operationOf = ({ operation_id, cause, request_id, actor, reason, deadline_at }: OperationRequest) => ({
  operation_id,
  cause,
  request_id,
  actor,
  reason,
  ...(deadline_at === undefined ? {} : { deadline_at }),
});

/** What an operator reads at the top of the workflow's page. */
function details(state: OrderState, hash: string | null): string {
  const operation =
    state.operation === null ? 'none' : `${state.operation.verb} (${state.operation.status.toLowerCase()})`;
  const due = state.due === null ? 'none' : `${state.due.action} at ${state.due.at}`;
  return [
    `**${state.status}**`,
    '',
    `- operation: ${operation}`,
    `- waiting for: ${state.waiting_for ?? 'nothing'}`,
    `- next timer: ${due}`,
    `- contract: ${state.contract_id ?? 'none'}`,
    `- last transaction: ${hash ?? 'none'}`,
  ].join('\n');
}
