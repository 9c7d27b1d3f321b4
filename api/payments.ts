/**
 * What withdrawals and adjustments have in common: updates of the payment's workflow. An update is over when its row shows
 * the operation; how long the caller waits for the transaction is decided here.
 */
import type { PaymentView } from '../db/resources/payment.ts';
import { type Sql, pool } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import { allowedPaymentVerbs, paymentRefusal } from '../domain/payment/machine.ts';
import { Refusal, Unavailable } from '../domain/refusal.ts';
import { NotRunning } from '../workflows/client.ts';
import type { CreatePayment } from '../workflows/messages.ts';
import { operationIdOf, updateIdOf } from './idempotency.ts';
import { type Answer, BASE_PATH, type Call, found, marketplaceOf } from './route.ts';
import { whenSettled } from './waiting.ts';

/** A database step behind a workflow: it is answered in milliseconds or not at all. */
const TIMEOUT_MS = 10_000;

export interface PaymentType<T extends PaymentView> {
  readonly type: 'withdrawal' | 'adjustment';
  find(db: Sql, marketplaceId: string, id: string): Promise<T | null>;
}

export const paymentAnswer = (of: { readonly type: string }, status: number, payment: PaymentView): Answer => ({
  status,
  body: payment,
  headers: {
    ETag: `"${payment.version}"`,
    ...(status === 202 ? { Location: `${BASE_PATH}/${of.type}s/${payment.id}` } : {}),
  },
});

/** @throws Refusal NOT_FOUND */
export const paymentOf = async <T extends PaymentView>(of: PaymentType<T>, call: Call, id: string): Promise<T> =>
  found(await of.find(pool(call.deps.orm), marketplaceOf(call).id, id), of.type);

/** The id that the payment of this call has, also when the call is repeated. */
export const allottedId = (call: Call, of: { readonly type: 'withdrawal' | 'adjustment' }): string =>
  call.idempotency?.resourceId ?? newId(of.type);

const operationIds = ({ idempotency }: Call) => {
  const operationId = idempotency === null ? newId('operation') : operationIdOf(idempotency);
  return { operationId, updateId: idempotency === null ? operationId : updateIdOf(idempotency) };
};

const asker = ({ auth }: Call) => ({ key_id: auth?.key.id ?? '', person: auth?.key.person ?? null });

type Terms = Omit<
  CreatePayment,
  'payment_id' | 'marketplace_id' | 'operation_id' | 'key_id' | 'person' | 'request_id' | 'actor'
>;

/** Creates the payment, or goes on with the one this very call made before. */
export async function createPayment<T extends PaymentView>(
  call: Call,
  of: PaymentType<T>,
  id: string,
  terms: () => Promise<Terms>,
): Promise<Answer> {
  const marketplaceId = marketplaceOf(call).id;
  const { operationId, updateId } = operationIds(call);
  if ((await of.find(pool(call.deps.orm), marketplaceId, id)) === null) {
    const request = {
      ...(await terms()),
      ...call.origin,
      ...asker(call),
      payment_id: id,
      marketplace_id: marketplaceId,
      operation_id: operationId,
    };
    try {
      await call.deps.workflows.createPayment(request, { updateId, timeoutMs: TIMEOUT_MS });
    } catch (error) {
      // Over meanwhile: its row says how.
      if (!(error instanceof NotRunning)) throw error;
    }
  }
  return settledAnswer(call, of, id, operationId);
}

export async function approvePayment<T extends PaymentView>(
  call: Call<{ id: string }, unknown, { reason?: string | null | undefined }>,
  of: PaymentType<T>,
): Promise<Answer> {
  const operationId = await drive(call, of, 'approve');
  return settledAnswer(call, of, call.params.id, operationId);
}

export async function cancelPayment<T extends PaymentView>(
  call: Call<{ id: string }, unknown, { reason?: string | null | undefined }>,
  of: PaymentType<T>,
): Promise<Answer> {
  await drive(call, of, 'cancel');
  return paymentAnswer(of, 200, await paymentOf(of, call, call.params.id));
}

/** @returns the operation's id, when the row shows it. @throws Refusal */
async function drive<T extends PaymentView>(
  call: Call<{ id: string }, unknown, { reason?: string | null | undefined }>,
  of: PaymentType<T>,
  verb: 'approve' | 'cancel',
): Promise<string> {
  const { id } = await paymentOf(of, call, call.params.id);
  const { operationId, updateId } = operationIds(call);
  const request = {
    ...call.origin,
    ...asker(call),
    payment_id: id,
    operation_id: operationId,
    reason: call.body.reason ?? null,
  };
  try {
    await call.deps.workflows.paymentVerb({ type: of.type, id }, verb, request, { updateId, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    const now = await paymentOf(of, call, id);
    // Its answer was lost, or it was sent twice: the row shows that it was done.
    const isDone = now.operation.id === operationId;
    if (isDone && (error instanceof Unavailable || error instanceof Refusal || error instanceof NotRunning))
      return operationId;
    if (!(error instanceof Refusal) || error.reason !== 'INVALID_STATE') throw error;
    throw new Refusal('INVALID_STATE', paymentRefusal(now.status, verb), {
      current_status: now.status,
      allowed: allowedPaymentVerbs(now.status),
      operation: now.operation,
    });
  }
  return operationId;
}

const settledAnswer = <T extends PaymentView>(call: Call, of: PaymentType<T>, id: string, operationId: string) =>
  whenSettled(
    call,
    operationId,
    () => paymentOf(of, call, id),
    (status, payment) => paymentAnswer(of, status, payment),
  );
