/**
 * Signing requests: what only a user's own wallet can sign. A request holds the intent; the envelope is built when the
 * signer opens it. From that moment on it is out of our hands: handed out counts as submitted, and only a look at the
 * ledger tells what became of it. A request expires, or hands out another envelope, only when the last one is proved dead.
 */
import { sql } from 'kysely';
import { appendEvents } from '../../db/events.ts';
import { signingRequestResource } from '../../db/resources/signing-request.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { EventType } from '../../domain/events/index.ts';
import { newId } from '../../domain/ids.ts';
import type { EscrowIntent } from '../../domain/intents.ts';
import { SIGNING_REQUEST_LIFETIME_S } from '../../domain/limits.ts';
import { formatAmount } from '../../domain/money.ts';
import type { SigningRequestStatus } from '../../domain/statuses.ts';
import { type OrderRow, changeOrder, correlation, lockOrder } from '../booking/order-row.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import type { ResolvedCall } from '../escrow/call.ts';
import { walletOfUser } from '../payments/user-wallet.ts';

export interface StoredRequest {
  readonly id: string;
  readonly userId: string;
  readonly orderId: string;
  readonly operationId: string | null;
  readonly intentKey: string;
  readonly intent: EscrowIntent;
  readonly status: SigningRequestStatus;
  /** the transaction that was handed out last, dead or alive */
  readonly transactionId: string | null;
  readonly expiresAt: Date;
}

const select = (db: Sql, where: ReturnType<typeof sql>) =>
  sql<Omit<StoredRequest, 'expiresAt'> & { expiresAt: Date | string }>`
    select id, user_id as "userId", order_id as "orderId", operation_id as "operationId", intent_key as "intentKey", intent,
      status, transaction_id as "transactionId", expires_at as "expiresAt"
    from signing_requests where ${where}`
    .execute(db)
    .then(({ rows }) => rows.map((row): StoredRequest => ({ ...row, expiresAt: new Date(row.expiresAt) }))[0] ?? null);

/** @throws Error when there is none: its id came from our own history */
export async function requestById(db: Sql, id: string): Promise<StoredRequest> {
  const request = await select(db, sql`id = ${id}`);
  if (request === null) throw new Error(`no signing request ${id}`);
  return request;
}

/** Whoever locks it decides about it; the order is locked before, if at all. */
export async function lockRequest(trx: Sql, id: string): Promise<StoredRequest> {
  await sql`select from signing_requests where id = ${id} for update`.execute(trx);
  return requestById(trx, id);
}

/** It may land, with a signature that we never saw if need be. */
export const isLive = (transaction: Pick<StoredTransaction, 'status'> | null): boolean =>
  transaction !== null && ['SIGNED', 'SUBMITTED', 'CONFIRMED'].includes(transaction.status);

interface Wanted {
  /** the intent's */
  readonly key: string;
  readonly operationId: string | null;
}

/**
 * Asks the user, unless we can sign for him.
 * @returns the id of the pending request, the same one for every repeat; null when nobody has to be asked
 */
export async function askForSignature(
  deps: Deps,
  call: ResolvedCall | null,
  { key, operationId }: Wanted,
): Promise<string | null> {
  // A user's own wallet signs exactly one thing: every other role is played by a wallet of ours.
  if (call?.call.fn !== 'fund') return null;
  const { provider } = await walletOfUser(pool(deps.orm), deps, call.order.buyerId);
  if (provider.custodial) return null;
  return inTransaction(deps.orm, async (trx) => {
    const order = await lockOrder(trx, call.order.id);
    const known = await select(trx, sql`intent_key = ${key} and status = 'PENDING'`);
    const requestId = known?.id ?? (await insertRequest(trx, order, { key, operationId }));
    if (order.waitingFor !== 'SIGNATURE') await changeOrder(trx, order, { waitingFor: 'SIGNATURE' }, originOf(order));
    if (known === null) await recordSigning(trx, order, requestId, 'signing.requested', {});
    return requestId;
  });
}

async function insertRequest(trx: Sql, order: OrderRow, { key, operationId }: Wanted): Promise<string> {
  const id = newId('signingRequest');
  const intent: EscrowIntent = { kind: 'FUND_ESCROW', orderId: order.id };
  const amount = `${formatAmount(order.amount)} ${order.asset}`;
  const summary = `Pay ${amount} from your wallet into the escrow of "${order.title}" (${order.id})`;
  // Not longer than the order itself waits for its money.
  await sql`
    insert into signing_requests (id, marketplace_id, user_id, order_id, operation_id, intent_key, intent, verb, summary,
      status, expires_at, created_at, updated_at)
    select ${id}, marketplace_id, buyer_id, id, ${operationId}, ${key}, ${JSON.stringify(intent)}, 'fund', ${summary},
      'PENDING', least(now() + make_interval(secs => ${SIGNING_REQUEST_LIFETIME_S}),
        case when due_action = 'EXPIRE' then due_at end), now(), now()
    from orders where id = ${order.id}`.execute(trx);
  return id;
}

/** An event of the request; the envelope is never in it. */
export async function recordSigning(
  trx: Sql,
  order: Pick<OrderRow, 'marketplaceId' | 'operation'>,
  requestId: string,
  type: Extract<EventType, `signing.${string}`>,
  change: unknown,
): Promise<void> {
  await appendEvents(trx, [
    {
      type,
      marketplaceId: order.marketplaceId,
      resource: { type: 'signing_request', id: requestId },
      object: await signingRequestResource(trx, requestId),
      change,
      actor: null,
      requestId: originOf(order).request_id,
      ...correlation(),
    },
  ]);
}

export const originOf = (order: Pick<OrderRow, 'operation'>) => ({
  request_id: order.operation?.request_id ?? null,
  actor: null,
});

/** What was signed has landed: part of booking it. */
export async function completeRequest(trx: Sql, order: OrderRow, stored: StoredTransaction): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update signing_requests set status = 'COMPLETED', updated_at = now()
    where intent_key = ${stored.intentKey} and status = 'PENDING' returning id`.execute(trx);
  for (const { id } of rows)
    await recordSigning(trx, order, id, 'signing.completed', { transaction_hash: stored.innerHash });
}
