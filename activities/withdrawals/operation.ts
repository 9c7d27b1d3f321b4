/** The transaction of a payment as its row shows it: signed, landed, dead, parked. */
import { sql } from 'kysely';
import { paymentConfirmed } from '../../db/ledger/payments.ts';
import { type Sql, inTransaction } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { isOver } from '../../domain/payment/machine.ts';
import type { PaymentState } from '../../domain/payment/shapes.ts';
import { type Reason, isReason } from '../../domain/reasons.ts';
import type { Repair } from '../../domain/repairs.ts';
import { paymentWorkflowId } from '../../domain/workflow-ids.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import { releaseLease } from '../chain/leases.ts';
import type { Landed } from '../chain/look.ts';
import type { StoredTransaction } from '../chain/store.ts';
import { resolvePayment } from '../chain/targets/payment.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { problemOf } from '../problem.ts';
import {
  type PaymentRow,
  balanceEvents,
  changePayment,
  intentKeyOf,
  ledgerRef,
  lockPayment,
  releaseHeld,
  stateOf,
  stepKey,
  typeOf,
} from './row.ts';

/** Canceling is a verb of its own. */
const PAYMENT_REPAIRS: readonly Repair[] = ['retry', 'adopt'];

const origin = ({ operation }: PaymentRow) => ({ request_id: operation.request_id, actor: null });

/**
 * The envelope is being saved: from here on it may land. Runs in that transaction, so that either this or a cancel wins.
 * @throws ApplicationFailure INVALID_STATE when the payment was canceled meanwhile
 */
export async function paymentSigned(trx: Sql, paymentId: string, stored: StoredTransaction): Promise<void> {
  const payment = await lockPayment(trx, paymentId);
  if (payment.status !== 'APPROVED') throw refuse('INVALID_STATE', `the payment is ${payment.status}`);
  const { innerHash } = stored;
  await changePayment(
    trx,
    payment,
    {
      status: 'SUBMITTED',
      transactionHash: innerHash,
      operation: { ...payment.operation, step: 'signed', transaction_hash: innerHash },
    },
    origin(payment),
    { own: [{ what: 'submitted', change: { transaction_hash: innerHash } }] },
  );
}

/** It landed: what was held is posted, from what the chain moved (F7). @throws ApplicationFailure BOOKS_DIFFER */
export async function bookPaid(trx: Sql, deps: Deps, paymentId: string, landed: Landed): Promise<void> {
  const payment = await lockPayment(trx, paymentId);
  const resolved = await resolvePayment(trx, deps, paymentId);
  const paid = landed.movements
    .filter(
      ({ from, to, asset: { code, issuer } }) =>
        from === resolved?.from.address &&
        to === resolved.account &&
        code === payment.asset &&
        issuer === resolved.asset.issuer,
    )
    .reduce((sum, { amount }) => sum + amount, 0n);
  if (paid !== payment.amount)
    throw refuse('BOOKS_DIFFER', `${formatAmount(paid)} were paid instead of ${formatAmount(payment.amount)}`);
  const { hash, ledger } = landed;
  await paymentConfirmed(trx, stepKey(payment, 'paid'), {
    ...ledgerRef(payment),
    transactionHash: hash,
    ledgerSeq: ledger,
  });
  const at = new Date();
  const others = [
    ...(await balanceEvents(trx, payment, payment.payer, 'balance.debited', hash)),
    ...(await balanceEvents(trx, payment, payment.payee, 'balance.credited', hash)),
  ];
  await changePayment(
    trx,
    payment,
    {
      status: 'COMPLETED',
      ledger,
      completedAt: at,
      transactionHash: hash,
      operation: {
        ...payment.operation,
        status: 'SUCCEEDED',
        step: 'booked',
        transaction_hash: hash,
        finished_at: at.toISOString(),
      },
    },
    origin(payment),
    { own: [{ what: 'completed', change: { transaction_hash: hash, ledger } }], others },
  );
}

async function mayLand(trx: Sql, payment: PaymentRow): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from chain_transactions where intent_key = ${intentKeyOf(payment)}
      and status in ('SIGNED', 'SUBMITTED', 'CONFIRMED')) as found`.execute(trx);
  return rows[0]?.found === true;
}

async function park(
  trx: Sql,
  payment: PaymentRow,
  { reason, detail }: { readonly reason: Reason; readonly detail: unknown },
): Promise<PaymentState> {
  const resource = { type: typeOf(payment), id: payment.id };
  await raiseAttention(trx, {
    marketplaceId: payment.marketplaceId,
    resource,
    workflowId: paymentWorkflowId(resource),
    reason,
    detail: { detail },
    allowedRepairs: PAYMENT_REPAIRS,
  });
  const patch = { operation: { ...payment.operation, status: 'PARKED' as const } };
  return stateOf(await changePayment(trx, payment, patch, origin(payment)));
}

export function createPaymentOperations({ orm }: Pick<Deps, 'orm'>) {
  return {
    /** Compensation: it is proved dead, or was refused before anything was signed. The money is available again. */
    async failPayment(input: {
      payment_id: string;
      reason: string;
      detail: string;
      transaction_hash: string | null;
    }): Promise<PaymentState> {
      return inTransaction(orm, async (trx) => {
        const payment = await lockPayment(trx, input.payment_id);
        await releaseLease(trx, intentKeyOf(payment));
        if (isOver(payment.status)) return stateOf(payment);
        // Whoever calls, and how late: what may still land is not given back.
        if (await mayLand(trx, payment)) return park(trx, payment, { ...input, reason: 'BOOKS_DIFFER' });
        const reason = isReason(input.reason) ? input.reason : 'OPERATION_FAILED';
        const { operation } = payment;
        const failed = {
          ...operation,
          status: 'FAILED' as const,
          transaction_hash: input.transaction_hash ?? operation.transaction_hash,
          error: problemOf(reason, input.detail, {
            instance: `/api/v1/${typeOf(payment)}s/${payment.id}`,
            requestId: operation.request_id,
          }),
          finished_at: new Date().toISOString(),
        };
        const others = await releaseHeld(trx, payment);
        const patch = { status: 'FAILED', operation: failed } as const;
        const own = [{ what: 'failed', change: { operation: failed } }] as const;
        return stateOf(await changePayment(trx, payment, patch, origin(payment), { own, others }));
      });
    },

    /** Only an operator can help: shown on the payment and in the attention list. */
    async parkPayment(input: { payment_id: string; reason: Reason; detail: unknown }): Promise<PaymentState> {
      return inTransaction(orm, async (trx) => {
        const payment = await lockPayment(trx, input.payment_id);
        if (isOver(payment.status) || payment.operation.status === 'PARKED') return stateOf(payment);
        return park(trx, payment, input);
      });
    },

    async unparkPayment({ payment_id }: { payment_id: string }): Promise<PaymentState> {
      return inTransaction(orm, async (trx) => {
        const payment = await lockPayment(trx, payment_id);
        if (payment.operation.status !== 'PARKED') return stateOf(payment);
        await clearAttention(trx, { type: typeOf(payment), id: payment.id }, null);
        const patch = { operation: { ...payment.operation, status: 'RUNNING' as const } };
        return stateOf(await changePayment(trx, payment, patch, origin(payment)));
      });
    },
  };
}
