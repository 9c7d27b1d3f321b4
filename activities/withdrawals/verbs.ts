/** What people do to a payment: ask for it, approve it, cancel it. One transaction each, idempotent by the operation's id. */
import { sql } from 'kysely';
import { recordAudit } from '../../db/audit.ts';
import { InsufficientFunds } from '../../db/ledger/post.ts';
import { paymentRequested } from '../../db/ledger/payments.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import { isSecondPerson, needsApproval } from '../../domain/payment/approval.ts';
import type { PaymentState } from '../../domain/payment/shapes.ts';
import type { PaymentVerb } from '../../domain/statuses.ts';
import type { CreatePayment, PaymentVerbRequest } from '../../workflows/messages.ts';
import { clearAttention } from '../attention.ts';
import { releaseLease } from '../chain/leases.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { doneOperation, newOperation } from '../operation.ts';
import { partiesOf } from './parties.ts';
import {
  type PaymentRow,
  balanceEvents,
  changePayment,
  demand,
  demandOpen,
  findPayment,
  intentKeyOf,
  ledgerRef,
  lockPayment,
  recordEvents,
  releaseHeld,
  stateOf,
  stepKey,
  typeOf,
} from './row.ts';

export function createPaymentVerbs({ orm }: Pick<Deps, 'orm'>) {
  return {
    /**
     * Inserts the payment, or finds it, and holds its money.
     * @throws ApplicationFailure INSUFFICIENT_FUNDS, LIMIT_EXCEEDED, DESTINATION_INVALID, CLIENT_REF_REUSED,
     *   USER_SUSPENDED, MARKETPLACE_PAUSED
     */
    async createPayment(request: CreatePayment): Promise<PaymentState> {
      try {
        return await inTransaction(orm, (trx) => createInside(trx, request));
      } catch (error) {
        if (!(error instanceof InsufficientFunds)) throw error;
        throw refuse('INSUFFICIENT_FUNDS', 'the available balance is less than the amount');
      }
    },

    async loadPayment({
      payment_id,
    }: {
      payment_id: string;
    }): Promise<PaymentState & { readonly marketplace_id: string }> {
      const payment = await findPayment(pool(orm), payment_id);
      if (payment === null) throw refuse('NOT_FOUND', `payment ${payment_id} does not exist`);
      return { ...stateOf(payment), marketplace_id: payment.marketplaceId };
    },

    /** @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_SCOPE (not another person), MARKETPLACE_PAUSED, USER_SUSPENDED */
    approvePayment: (request: PaymentVerbRequest): Promise<PaymentState> =>
      inTransaction(orm, (trx) => approveInside(trx, request)),

    /** As long as nothing is signed; the money is available again. @throws ApplicationFailure INVALID_STATE */
    cancelPayment: (request: PaymentVerbRequest): Promise<PaymentState> =>
      inTransaction(orm, (trx) => cancelInside(trx, request)),
  };
}

async function createInside(trx: Sql, request: CreatePayment): Promise<PaymentState> {
  const known = await findPayment(trx, request.payment_id);
  if (known !== null) return stateOf(known);
  const { marketplace_id: marketplaceId, user_id: userId, kind } = request;
  // One after the other per user: two that are each within the day's limit may exceed it together.
  await sql`select from users where id = ${userId} for no key update`.execute(trx);
  await demandOpen(trx, marketplaceId, kind === 'WITHDRAWAL' ? userId : null);
  const { payer, payee } = await partiesOf(trx, request);
  await demandDayLimit(trx, request);
  const inserted = await insert(trx, request, { payer, payee });
  const payment = await lockPayment(trx, request.payment_id);
  if (!inserted) return stateOf(payment);
  await recordEvents(trx, payment, request, { own: [{ what: 'created' }] });
  const { asset, amount } = payment;
  await paymentRequested(trx, stepKey(payment, 'hold'), { ...ledgerRef(payment), asset, amount, payer, payee });
  const held = await balanceEvents(trx, payment, payer, 'balance.reserved');
  const waits = needsApproval(kind, amount, await thresholdOf(trx, marketplaceId));
  const changed = waits
    ? await changePayment(
        trx,
        payment,
        {
          status: 'APPROVAL_REQUIRED',
          operation: { ...payment.operation, status: 'SUCCEEDED', step: 'held', finished_at: new Date().toISOString() },
        },
        request,
        { own: [{ what: 'approval_required' }], others: held },
      )
    : await changePayment(trx, payment, { status: 'APPROVED' }, request, {
        own: [{ what: 'approved', change: { approved_by: null } }],
        others: held,
      });
  if (kind === 'ADJUSTMENT') await audit(trx, changed, 'create', request, null);
  return stateOf(changed);
}

async function approveInside(trx: Sql, request: PaymentVerbRequest): Promise<PaymentState> {
  const payment = await lockPayment(trx, request.payment_id);
  if (payment.operation.id === request.operation_id) return stateOf(payment);
  demand(payment, 'approve');
  if (!isSecondPerson(request.person, payment.requestedPerson))
    throw refuse('INSUFFICIENT_SCOPE', 'approve with a key that names another person than the one who asked');
  await demandOpen(trx, payment.marketplaceId, payment.kind === 'WITHDRAWAL' ? payment.userId : null);
  const changed = await changePayment(
    trx,
    payment,
    { status: 'APPROVED', approvedBy: request.key_id, operation: newOperation(request, 'approve', new Date()) },
    request,
    { own: [{ what: 'approved', change: { approved_by: request.key_id } }] },
  );
  await audit(trx, changed, 'approve', request, payment);
  return stateOf(changed);
}

async function cancelInside(trx: Sql, request: PaymentVerbRequest): Promise<PaymentState> {
  const payment = await lockPayment(trx, request.payment_id);
  if (payment.operation.id === request.operation_id) return stateOf(payment);
  demand(payment, 'cancel');
  const released = await releaseHeld(trx, payment);
  // Nothing is signed: others may use the source account.
  await releaseLease(trx, intentKeyOf(payment));
  await clearAttention(trx, { type: typeOf(payment), id: payment.id }, null);
  const changed = await changePayment(
    trx,
    payment,
    { status: 'CANCELED', operation: doneOperation(request, 'cancel', new Date()) },
    request,
    { own: [{ what: 'canceled', change: { reason: request.reason } }], others: released },
  );
  await audit(trx, changed, 'cancel', request, payment);
  return stateOf(changed);
}

function audit(
  trx: Sql,
  payment: PaymentRow,
  verb: PaymentVerb,
  origin: { readonly request_id: string | null; readonly actor: string | null },
  before: PaymentRow | null,
): Promise<void> {
  const { id, marketplaceId, status, userId, asset } = payment;
  return recordAudit(trx, {
    marketplaceId,
    actor: origin.actor,
    requestId: origin.request_id,
    action: `${typeOf(payment)}.${verb}`,
    resource: { type: typeOf(payment), id },
    before: before === null ? null : { status: before.status },
    after: { status, user_id: userId, amount: formatAmount(payment.amount), asset },
  });
}

async function thresholdOf(trx: Sql, marketplaceId: string): Promise<bigint | null> {
  const { rows } = await sql<{ threshold: string | null }>`
    select approval_threshold::text as threshold from marketplaces where id = ${marketplaceId}`.execute(trx);
  const threshold = rows[0]?.threshold ?? null;
  return threshold === null ? null : BigInt(threshold);
}

/** What the user asked for within a day and was not refused, canceled or failed. */
async function demandDayLimit(trx: Sql, request: CreatePayment): Promise<void> {
  if (request.day_max === null || request.user_id === null) return;
  const { rows } = await sql<{ sum: string }>`
    select coalesce(sum(amount), 0)::text as sum from payments
    where user_id = ${request.user_id} and kind = 'WITHDRAWAL' and asset = ${request.asset}
      and status not in ('FAILED', 'CANCELED') and created_at > clock_timestamp() - interval '24 hours'`.execute(trx);
  const asked = BigInt(rows[0]?.sum ?? 0);
  const max = parseAmount(request.day_max);
  if (asked + parseAmount(request.amount) <= max) return;
  const detail = `a user withdraws at most ${request.day_max} ${request.asset} within a day, ${formatAmount(asked)} are asked for`;
  throw refuse('LIMIT_EXCEEDED', detail, { errors: [{ pointer: '/amount', code: 'LIMIT_EXCEEDED', detail }] });
}

/** @returns false when another attempt of this very call was faster. @throws ApplicationFailure CLIENT_REF_REUSED */
async function insert(
  trx: Sql,
  request: CreatePayment,
  { payer, payee }: Pick<PaymentRow, 'payer' | 'payee'>,
): Promise<boolean> {
  const { destination } = request;
  const { rows } = await sql<{ id: string }>`
    insert into payments (id, kind, marketplace_id, user_id, direction, amount, asset, payer, payee, destination,
      client_ref, body_hash, reason, reference, status, operation, requested_by, requested_person, metadata, created_at,
      updated_at)
    values (${request.payment_id}, ${request.kind}, ${request.marketplace_id}, ${request.user_id}, ${request.direction},
      ${parseAmount(request.amount)}, ${request.asset}, ${JSON.stringify(payer)}, ${JSON.stringify(payee)},
      ${destination === null ? null : JSON.stringify(destination)}, ${request.client_ref}, ${request.body_hash},
      ${request.reason}, ${request.reference}, 'CREATED', ${JSON.stringify(newOperation(request, 'create', new Date()))},
      ${request.key_id}, ${request.person}, ${JSON.stringify(request.metadata)}, clock_timestamp(), clock_timestamp())
    on conflict do nothing returning id`.execute(trx);
  if (rows[0] !== undefined) return true;
  if ((await findPayment(trx, request.payment_id)) !== null) return false;
  throw refuse('CLIENT_REF_REUSED', 'the reference names another withdrawal');
}
