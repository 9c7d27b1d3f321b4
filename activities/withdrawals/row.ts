/**
 * The row of a withdrawal or an adjustment as activities write it: locked, compared, changed, and every change leaves its
 * events in the same transaction. Only the payment's own workflow comes here (one writer per row).
 */
import { type RawBuilder, sql } from 'kysely';
import { type EventInput, recordChange } from '../../db/events.ts';
import { type PaymentRef, paymentVoided } from '../../db/ledger/payments.ts';
import { paymentResource } from '../../db/resources/payment.ts';
import { userResource } from '../../db/resources/user.ts';
import type { Sql } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { allowedPaymentVerbs, paymentRefusal } from '../../domain/payment/machine.ts';
import type { Destination, PaymentOperation, PaymentParty, PaymentState } from '../../domain/payment/shapes.ts';
import type { PaymentKind, PaymentStatus, PaymentVerb } from '../../domain/statuses.ts';
import { paymentWorkflowId } from '../../domain/workflow-ids.ts';
import { correlation } from '../booking/order-row.ts';
import { refuse } from '../failure.ts';

export interface PaymentRow {
  readonly id: string;
  readonly kind: PaymentKind;
  readonly marketplaceId: string;
  readonly userId: string | null;
  /** stroops */
  readonly amount: bigint;
  readonly asset: string;
  readonly payer: PaymentParty;
  readonly payee: PaymentParty;
  readonly destination: Destination | null;
  readonly status: PaymentStatus;
  readonly operation: PaymentOperation;
  readonly requestedPerson: string | null;
}

/** Who asked for it. */
export interface Origin {
  readonly request_id: string | null;
  readonly actor: string | null;
}

type Raw = Omit<PaymentRow, 'amount'> & { amount: string };

const SELECT = sql`
  select id, kind, marketplace_id as "marketplaceId", user_id as "userId", amount, asset, payer, payee, destination, status,
    operation, requested_person as "requestedPerson"
  from payments`;

async function select(db: Sql, id: string, lock: RawBuilder<unknown>): Promise<PaymentRow | null> {
  const { rows } = await sql<Raw>`${SELECT} where id = ${id} ${lock}`.execute(db);
  return rows[0] === undefined ? null : { ...rows[0], amount: BigInt(rows[0].amount) };
}

/** For looking only; null when there is none. */
export const findPayment = (db: Sql, id: string): Promise<PaymentRow | null> => select(db, id, sql``);

/** Whoever locks it writes it. @throws ApplicationFailure NOT_FOUND */
export async function lockPayment(trx: Sql, id: string): Promise<PaymentRow> {
  const payment = await select(trx, id, sql`for update`);
  if (payment === null) throw refuse('NOT_FOUND', `payment ${id} does not exist`);
  return payment;
}

export const stateOf = ({ status, operation: { id, verb, status: progress } }: PaymentRow): PaymentState => ({
  status,
  operation: { id, verb, status: progress },
});

/** @throws ApplicationFailure INVALID_STATE when the row does not allow the verb now */
export function demand(payment: PaymentRow, verb: PaymentVerb): void {
  const allowed = allowedPaymentVerbs(payment.status);
  if (allowed.includes(verb)) return;
  const { status } = payment;
  throw refuse('INVALID_STATE', paymentRefusal(status, verb), { current_status: status, allowed, retryable: false });
}

/** The resource, the event prefix and the workflow's type are one word. */
export const typeOf = ({ kind }: Pick<PaymentRow, 'kind'>): 'withdrawal' | 'adjustment' =>
  kind === 'WITHDRAWAL' ? 'withdrawal' : 'adjustment';

export const ledgerRef = (payment: PaymentRow): PaymentRef => ({
  marketplaceId: payment.marketplaceId,
  code: payment.kind,
  resource: { type: typeOf(payment), id: payment.id },
});

/** The step of the one transaction a payment has. */
const PAY_STEP = 'pay';
export const intentKeyOf = (payment: PaymentRow): string =>
  `${paymentWorkflowId({ type: typeOf(payment), id: payment.id })}/${PAY_STEP}`;

export const stepKey = (payment: PaymentRow, step: string) => ({
  workflowId: paymentWorkflowId({ type: typeOf(payment), id: payment.id }),
  step,
});

interface PaymentPatch {
  readonly status?: PaymentStatus;
  readonly operation?: PaymentOperation;
  readonly approvedBy?: string;
  readonly transactionHash?: string;
  readonly ledger?: number;
  readonly completedAt?: Date;
}

/** What happened, as the part of the event's type behind the dot. */
export interface Happened {
  readonly what: 'created' | 'approval_required' | 'approved' | 'submitted' | 'completed' | 'failed' | 'canceled';
  readonly change?: unknown;
}

/** Events of users that belong to the change. */
type Others = readonly Pick<EventInput, 'type' | 'resource' | 'object' | 'change'>[];

/** Writes the patch with its events. @returns the payment as it is then */
export async function changePayment(
  trx: Sql,
  payment: PaymentRow,
  patch: PaymentPatch,
  origin: Origin,
  events: { readonly own?: readonly Happened[]; readonly others?: Others } = {},
): Promise<PaymentRow> {
  const columns = {
    status: patch.status,
    operation: patch.operation === undefined ? undefined : JSON.stringify(patch.operation),
    approved_by: patch.approvedBy,
    transaction_hash: patch.transactionHash,
    ledger: patch.ledger,
    completed_at: patch.completedAt,
  };
  const sets = Object.entries(columns).flatMap(([name, value]) =>
    value === undefined ? [] : [sql`${sql.ref(name)} = ${value}`],
  );
  await sql`update payments set ${sql.join([...sets, sql`updated_at = clock_timestamp()`])}
    where id = ${payment.id}`.execute(trx);
  const { status = payment.status, operation = payment.operation } = patch;
  const changed = { ...payment, status, operation };
  await recordEvents(trx, changed, origin, events);
  return changed;
}

/** Counts the change and writes its events; also of a row that was inserted just now. */
export async function recordEvents(
  trx: Sql,
  payment: PaymentRow,
  origin: Origin,
  { own = [], others = [] }: { readonly own?: readonly Happened[]; readonly others?: Others },
): Promise<void> {
  const common = {
    marketplaceId: payment.marketplaceId,
    actor: origin.actor,
    requestId: origin.request_id,
    ...correlation(),
  };
  const object = own.length === 0 ? null : await paymentResource(trx, payment.kind, payment.id);
  const events = own.map(({ what, change }) => ({
    type: `${typeOf(payment)}.${what}` as const,
    resource: { type: typeOf(payment), id: payment.id },
    object,
    change: change ?? {},
    ...common,
  }));
  const following = others.map((other) => ({ ...other, ...common }));
  await recordChange(trx, { resourceId: payment.id, events: [...events, ...following] });
}

/** What the payment did to the balance of a user who takes part; nothing for other parties. */
export async function balanceEvents(
  trx: Sql,
  payment: PaymentRow,
  party: PaymentParty,
  type: 'balance.reserved' | 'balance.released' | 'balance.debited' | 'balance.credited',
  transactionHash: string | null = null,
): Promise<Others> {
  if (party.kind !== 'USER') return [];
  const change = {
    amount: formatAmount(payment.amount),
    asset: payment.asset,
    resource: { type: typeOf(payment), id: payment.id },
    transaction_hash: transactionHash,
  };
  const resource = { type: 'user' as const, id: party.userId };
  return [{ type, resource, object: await userResource(trx, party.userId), change }];
}

/** The money is available again. */
export async function releaseHeld(trx: Sql, payment: PaymentRow): Promise<Others> {
  await paymentVoided(trx, stepKey(payment, 'void'), ledgerRef(payment));
  return balanceEvents(trx, payment, payment.payer, 'balance.released');
}

/**
 * What has to be true when money is about to leave; `userId` null where a suspended user does not matter: support corrects
 * balances also of those. @throws ApplicationFailure MARKETPLACE_PAUSED, USER_SUSPENDED
 */
export async function demandOpen(trx: Sql, marketplaceId: string, userId: string | null): Promise<void> {
  const { rows } = await sql<{ paused: boolean; suspended: boolean | null }>`
    select status = 'PAUSED' as paused,
      (select u.status = 'SUSPENDED' from users u where u.id = ${userId}) as suspended
    from marketplaces where id = ${marketplaceId}`.execute(trx);
  if (rows[0]?.paused === true) throw refuse('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
  if (rows[0]?.suspended === true) throw refuse('USER_SUSPENDED', `user ${userId} is suspended`);
}
