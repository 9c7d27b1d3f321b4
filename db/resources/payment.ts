/** Withdrawals and adjustments as the API shows them: two views of one table. */
import { type RawBuilder, sql } from 'kysely';
import type { AdjustmentResource, WithdrawalResource } from '../../domain/resources/payment.ts';
import type { PaymentKind, PaymentStatus } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import {
  type Page,
  type PageRequest,
  allOf,
  amountText,
  attentionOf,
  beyond,
  iso,
  metadataHas,
  newestFirst,
  only,
  pageOf,
} from './select.ts';

export type { AdjustmentResource, WithdrawalResource };

/** What callers and the workflow's façade have in common of both. */
export interface PaymentView {
  readonly id: string;
  readonly version: number;
  readonly status: PaymentStatus;
  readonly operation: WithdrawalResource['operation'];
}

const COMMON = sql`p.id, p.user_id, p.amount::text as amount, p.asset, p.status, p.operation,
  coalesce(c.version, 0) as version, ${iso('p.created_at')} as created_at`;

const FROM = sql`from payments p left join resource_counters c on c.resource_id = p.id`;

const withdrawals = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<WithdrawalResource>`
  select ${COMMON}, json_build_object('address', p.destination->>'address', 'memo', p.destination->'memo') as destination,
    p.client_ref, p.requested_by, p.approved_by, p.transaction_hash, p.ledger, ${attentionOf('p')} as attention, p.metadata,
    ${iso('p.updated_at')} as updated_at, ${iso('p.completed_at')} as completed_at
  ${FROM} where p.kind = 'WITHDRAWAL' and ${where} ${rest}`;

const adjustments = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<AdjustmentResource>`
  select ${COMMON}, p.direction, p.reason, p.reference ${FROM} where p.kind = 'ADJUSTMENT' and ${where} ${rest}`;

const shown = <T extends { readonly amount: string }>(row: T): T => ({ ...row, amount: amountText(row.amount) });

const one = <T extends { readonly amount: string }>({ rows }: { rows: T[] }): T | null =>
  rows[0] === undefined ? null : shown(rows[0]);

const of = (marketplaceId: string, id: string) => sql`p.id = ${id} and p.marketplace_id = ${marketplaceId}`;

/** The withdrawal of this marketplace with this id, or null. */
export const findWithdrawal = async (db: Sql, marketplaceId: string, id: string): Promise<WithdrawalResource | null> =>
  one(await withdrawals(of(marketplaceId, id)).execute(db));

/** The adjustment of this marketplace with this id, or null. */
export const findAdjustment = async (db: Sql, marketplaceId: string, id: string): Promise<AdjustmentResource | null> =>
  one(await adjustments(of(marketplaceId, id)).execute(db));

/** As GET shows it now in this transaction; for writers of events. @throws Error when there is none */
export async function paymentResource(
  trx: Sql,
  kind: PaymentKind,
  id: string,
): Promise<WithdrawalResource | AdjustmentResource> {
  const where = sql`p.id = ${id}`;
  const found =
    kind === 'WITHDRAWAL' ? one(await withdrawals(where).execute(trx)) : one(await adjustments(where).execute(trx));
  if (found === null) throw new Error(`no payment ${id}`);
  return found;
}

/** The withdrawal made under a client reference, with the hash of the body it was made from. */
export async function findWithdrawalByRef(
  db: Sql,
  marketplaceId: string,
  clientRef: string,
): Promise<{ id: string; bodyHash: string } | null> {
  const { rows } = await sql<{ id: string; body_hash: string }>`select id, body_hash from payments
    where marketplace_id = ${marketplaceId} and client_ref = ${clientRef}`.execute(db);
  return rows[0] === undefined ? null : { id: rows[0].id, bodyHash: rows[0].body_hash };
}

/** The query of the list, by its names on the wire. */
interface WithdrawalQuery extends PageRequest {
  readonly user_id?: string | undefined;
  readonly status?: readonly PaymentStatus[] | undefined;
  readonly client_ref?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Withdrawals of a marketplace, newest first. */
export async function listWithdrawals(
  db: Sql,
  marketplaceId: string,
  query: WithdrawalQuery,
): Promise<Page<WithdrawalResource>> {
  const where = allOf([
    sql`p.marketplace_id = ${marketplaceId}`,
    ...only('p.user_id', query.user_id),
    ...only('p.status', query.status),
    ...only('p.client_ref', query.client_ref),
    ...metadataHas('p', query.metadata),
    ...beyond('p', query.cursor),
  ]);
  const { rows } = await withdrawals(where, newestFirst('p', query.limit)).execute(db);
  return pageOf(rows.map(shown), query.limit);
}

/** Adjustments of a marketplace, newest first. */
export async function listAdjustments(
  db: Sql,
  marketplaceId: string,
  page: PageRequest,
): Promise<Page<AdjustmentResource>> {
  const where = allOf([sql`p.marketplace_id = ${marketplaceId}`, ...beyond('p', page.cursor)]);
  const { rows } = await adjustments(where, newestFirst('p', page.limit)).execute(db);
  return pageOf(rows.map(shown), page.limit);
}
