/** An operation on chain as the order's row shows it: begun, failed (compensated), parked, taken up again. */
import { type Sql, inTransaction } from '../../db/sql.ts';
import type { Evidence } from '../../domain/intents.ts';
import { TRANSITIONS, type Transition } from '../../domain/order/machine.ts';
import { derive } from '../../domain/order/milestones.ts';
import type { OperationTask, OrderState } from '../../domain/order/shapes.ts';
import { isReason } from '../../domain/reasons.ts';
import type { EscrowStatus, OrderStatus, OrderVerb } from '../../domain/statuses.ts';
import type { Deps } from '../context.ts';
import { releaseLease } from '../chain/leases.ts';
import { type PreparedOn, preparedOn } from '../escrow/gateway.ts';
import { openEscrow, walletsReady } from '../escrow/roles.ts';
import { refuse } from '../failure.ts';
import { demandTargets, settlesRest } from './order-parts.ts';
import { newOperation } from '../operation.ts';
import {
  type OperationInput,
  type OrderEvent,
  type OrderRow,
  changeOrder,
  correlation,
  demand,
  isRepeat,
  lockOrder,
  mayLand,
  orderTime,
  refuseVerb,
  stateOf,
  storedProblem,
} from './order-row.ts';
import { voidFundingOf } from './void-funding.ts';

interface BeginInput extends OperationInput {
  readonly verb: OrderVerb;
  /** absent or null: every part that can take the verb */
  readonly milestone_refs?: readonly string[] | null;
  readonly evidence?: readonly Evidence[];
}

function enteredEvents(entered: OrderStatus, reason: string | null): OrderEvent[] {
  if (entered === 'ESCROW_CREATING') return [{ type: 'order.escrow_creating' }];
  if (entered === 'RELEASE_REQUESTED') return [{ type: 'order.release_requested' }];
  return entered === 'REFUND_REQUESTED' ? [{ type: 'order.refund_requested', change: { reason } }] : [];
}

/** They move a milestone's money or state: what they are about is decided when they begin. */
const ABOUT_PARTS: readonly OrderVerb[] = ['deliver', 'complete_milestone', 'release_milestone', 'release', 'refund'];
const PAYS_OUT: readonly OrderVerb[] = ['release_milestone', 'release', 'refund'];

/** Statuses an escrow shows while, and after, an operation that was proved dead. */
const ESCROW_WHILE: Partial<Record<OrderVerb, { running: EscrowStatus; dead: EscrowStatus }>> = {
  escrow: { running: 'CREATING', dead: 'CREATING' },
  fund: { running: 'FUNDING', dead: 'CREATED' },
};

export function createOrderOperationActivities(deps: Deps) {
  const { orm } = deps;
  return {
    /**
     * Opens an operation on the row, or finds it there: `live` when something of it may land. An escrow cannot be deployed
     * before its wallets exist: then the order waits, without an operation, when the system asked; a caller's operation
     * waits in its first step.
     * @throws ApplicationFailure INVALID_STATE, MARKETPLACE_PAUSED
     */
    async beginOperation(input: BeginInput): Promise<OrderState & PreparedOn & { readonly live?: true }> {
      const state = await inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        if (isRepeat(order, input.operation_id))
          return { ...stateOf(order), ...((await mayLand(trx, order.id)) ? { live: true as const } : {}) };
        const transition = demand(order, input.verb);
        if (order.paused && input.cause === 'DEADLINE') return waitFor(trx, order, input, 'RESUME');
        if (order.paused && PAYS_OUT.includes(input.verb))
          throw refuse('MARKETPLACE_PAUSED', 'nothing is paid out while the marketplace is paused');
        if (input.verb === 'escrow') {
          if (input.cause === 'AUTO' && !(await walletsReady(trx, order))) return waitFor(trx, order, input, 'WALLET');
          await openEscrow(trx, deps, order);
        }
        return begin(trx, order, input, transition);
      });
      return { ...state, ...preparedOn(deps) };
    },

    /**
     * Compensation: the operation's transaction is proved dead, the order stands where the machine says.
     * @throws ApplicationFailure INVALID_STATE while something of it may land: whoever calls, there is only finding out (F2)
     */
    async failOperation(input: {
      order_id: string;
      operation_id: string;
      step: string;
      reason: string;
      detail: string;
      transaction_hash: string | null;
    }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status === 'FAILED') return stateOf(order);
        const reason = isReason(input.reason) ? input.reason : 'OPERATION_FAILED';
        const failed = {
          ...operation,
          status: 'FAILED' as const,
          transaction_hash: input.transaction_hash ?? operation.transaction_hash,
          error: storedProblem(reason, input.detail, { orderId: order.id, requestId: operation.request_id }),
          finished_at: orderTime(order).toISOString(),
        };
        // One that was given up while it waited for its source account holds on to it no longer.
        await releaseLease(trx, `${correlation().workflowId}/${input.step}`);
        if (await mayLand(trx, order.id)) refuseVerb(order, 'a transaction of this operation may still land');
        const status = statusAfterDeath(order, operation.verb);
        const patch = { status, ...escrowIs(ESCROW_WHILE[operation.verb]?.dead), waitingFor: null, operation: failed };
        const event = { type: 'order.operation_failed' as const, change: { operation: failed } };
        return changeOrder(trx, order, patch, origin(operation.request_id), { events: [event] });
      });
    },

    /** Compensation: the money that was on its way into the contract never left; a no-op where death was booked with it. */
    voidFunding: (input: { order_id: string }): Promise<void> =>
      inTransaction(orm, (trx) => voidFundingOf(trx, input.order_id)),
  };
}

const escrowIs = (escrowStatus: EscrowStatus | undefined) => (escrowStatus === undefined ? {} : { escrowStatus });

const origin = (requestId: string | null) => ({ request_id: requestId, actor: null });

/** What landed before stays: an order in progress stands where its parts say. */
function statusAfterDeath(order: OrderRow, verb: OrderVerb): OrderStatus {
  if (ABOUT_PARTS.includes(verb)) return derive(order.parts.map((part) => part.status)).status;
  const dead = TRANSITIONS.find((one) => one.verb === verb && [one.from, one.enters].includes(order.status));
  return dead?.ifDead ?? order.status;
}

function begin(trx: Sql, order: OrderRow, input: BeginInput, { enters }: Transition): Promise<OrderState> {
  const targets = ABOUT_PARTS.includes(input.verb) ? demandTargets(order, input.verb, input) : [];
  const task: OperationTask = { parts: targets.map(({ index }) => index), evidence: input.evidence ?? [] };
  // The status in between is shown only while everything that is left is being settled.
  const entered = enters !== null && (targets.length === 0 || settlesRest(order, targets)) ? enters : null;
  const patch = {
    ...(entered === null ? {} : { status: entered }),
    ...escrowIs(ESCROW_WHILE[input.verb]?.running),
    waitingFor: null,
    operation: newOperation(input, input.verb, orderTime(order)),
    task,
  };
  return changeOrder(trx, order, patch, input, {
    events: entered === null ? [] : enteredEvents(entered, input.reason),
  });
}

/** Without an operation: verbs and deadlines work meanwhile. */
function waitFor(
  trx: Sql,
  order: OrderRow,
  input: OperationInput,
  waitingFor: 'WALLET' | 'RESUME',
): OrderState | Promise<OrderState> {
  return order.waitingFor === waitingFor ? stateOf(order) : changeOrder(trx, order, { waitingFor }, input);
}
