/** An operation on chain as the order's row shows it: begun, failed (compensated), parked, taken up again. */
import { type Sql, inTransaction } from '../../db/sql.ts';
import { TRANSITIONS } from '../../domain/order/machine.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import { isReason } from '../../domain/reasons.ts';
import type { EscrowStatus, OrderStatus, OrderVerb } from '../../domain/statuses.ts';
import type { Deps } from '../context.ts';
import { openEscrow, walletsReady } from '../escrow/roles.ts';
import {
  type OperationInput,
  type OrderEvent,
  type OrderRow,
  changeOrder,
  demand,
  isRepeat,
  lockOrder,
  newOperation,
  stateOf,
  storedProblem,
} from './order-row.ts';
import { voidFundingOf } from './void-funding.ts';

const ENTERED_EVENTS: Partial<Record<OrderStatus, OrderEvent>> = {
  ESCROW_CREATING: { type: 'order.escrow_creating' },
  RELEASE_REQUESTED: { type: 'order.release_requested' },
};

/** Statuses an escrow shows while, and after, an operation that was proved dead. */
const ESCROW_WHILE: Partial<Record<OrderVerb, { running: EscrowStatus; dead: EscrowStatus }>> = {
  escrow: { running: 'CREATING', dead: 'CREATING' },
  fund: { running: 'FUNDING', dead: 'CREATED' },
};

export function createOrderOperationActivities(deps: Deps) {
  const { orm } = deps;
  return {
    /**
     * Opens an operation on the row. An escrow cannot be deployed before its wallets exist: then the order waits, without
     * an operation, when the system asked; a caller's operation waits in its first step.
     * @throws ApplicationFailure INVALID_STATE
     */
    async beginOperation(input: OperationInput & { verb: OrderVerb }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        if (isRepeat(order, input.operation_id)) return stateOf(order);
        const { enters } = demand(order, input.verb);
        if (input.verb === 'escrow') {
          if (input.cause === 'AUTO' && !(await walletsReady(trx, order))) return waitForWallet(trx, order, input);
          await openEscrow(trx, deps, order);
        }
        const patch = {
          ...(enters === null ? {} : { status: enters }),
          ...escrowIs(ESCROW_WHILE[input.verb]?.running),
          waitingFor: null,
          operation: newOperation(input, input.verb, new Date()),
        };
        const event = enters === null ? undefined : ENTERED_EVENTS[enters];
        return changeOrder(trx, order, patch, input, { events: event === undefined ? [] : [event] });
      });
    },

    /** Compensation: the operation's transaction is proved dead, the order stands where the machine says. */
    async failOperation(input: {
      order_id: string;
      operation_id: string;
      reason: string;
      detail: string;
      transaction_hash: string | null;
    }): Promise<OrderState> {
      return inTransaction(orm, async (trx) => {
        const order = await lockOrder(trx, input.order_id);
        const operation = order.operation;
        if (operation?.id !== input.operation_id || operation.status === 'FAILED') return stateOf(order);
        const reason = isReason(input.reason) ? input.reason : 'OPERATION_FAILED';
        const back = TRANSITIONS.find(
          (candidate) =>
            candidate.verb === operation.verb && (candidate.from === order.status || candidate.enters === order.status),
        );
        const failed = {
          ...operation,
          status: 'FAILED' as const,
          transaction_hash: input.transaction_hash ?? operation.transaction_hash,
          error: storedProblem(reason, input.detail, { orderId: order.id, requestId: operation.request_id }),
          finished_at: new Date().toISOString(),
        };
        const status = back?.ifDead ?? order.status;
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

function waitForWallet(trx: Sql, order: OrderRow, input: OperationInput): OrderState | Promise<OrderState> {
  return order.waitingFor === 'WALLET' ? stateOf(order) : changeOrder(trx, order, { waitingFor: 'WALLET' }, input);
}
