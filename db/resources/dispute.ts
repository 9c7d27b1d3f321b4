/** Disputes as the API shows them. */
import { type RawBuilder, sql } from 'kysely';
import { allowedDisputeVerbs } from '../../domain/dispute/machine.ts';
import type { DisputedPart } from '../../domain/dispute/shapes.ts';
import { formatAmount } from '../../domain/money.ts';
import type { DisputeResource } from '../../domain/resources/dispute.ts';
import type { DisputeStatus, EvidenceType, PartyName } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import {
  type Page,
  type PageRequest,
  allOf,
  amountText,
  attentionOf,
  beyond,
  iso,
  newestFirst,
  only,
  pageOf,
} from './select.ts';

export type { DisputeResource };

type Selected = Omit<DisputeResource, 'milestone_refs' | 'allowed' | 'release_amount' | 'refund_amount' | 'due'> & {
  readonly parts: readonly DisputedPart[];
  readonly due_at: string | null;
};

const select = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<Selected>`
  select d.id, d.order_id, d.amount::text as amount, d.asset, d.opened_by, d.reason, d.description, d.status,
    d.assigned_to,
    (select coalesce(json_agg(json_build_object('type', e.type, 'value', e.value, 'note', e.note, 'by', e.by,
      'created_at', ${iso('e.created_at')}) order by e.ordinal), '[]')
      from dispute_evidence e where e.dispute_id = d.id) as evidence,
    (select coalesce(json_agg(json_build_object('by', k.by, 'text', k.text, 'created_at', ${iso('k.created_at')})
      order by k.ordinal), '[]') from dispute_comments k where k.dispute_id = d.id) as comments,
    d.decision, d.note, d.resolved_by, d.operation, ${attentionOf('d')} as attention, d.parts, ${iso('d.due_at')} as due_at,
    coalesce(c.version, 0) as version, ${iso('d.created_at')} as created_at, ${iso('d.updated_at')} as updated_at,
    ${iso('d.resolved_at')} as resolved_at
  from disputes d left join resource_counters c on c.resource_id = d.id where ${where} ${rest}`;

/** What a decision gives to one side, all parts together. */
const total = (parts: readonly DisputedPart[], side: 'seller' | 'buyer'): string | null =>
  parts.some(({ shares }) => shares === null)
    ? null
    : formatAmount(parts.reduce((sum, { shares }) => sum + BigInt(shares?.[side] ?? 0), 0n));

function toResource({ parts, due_at, ...row }: Selected): DisputeResource {
  const open = row.status === 'OPEN' || row.status === 'UNDER_REVIEW';
  return {
    ...row,
    milestone_refs: parts.flatMap(({ ref }) => (ref === null ? [] : [ref])),
    amount: amountText(row.amount),
    allowed: [...allowedDisputeVerbs(row.status)],
    release_amount: total(parts, 'seller'),
    refund_amount: total(parts, 'buyer'),
    due: due_at === null || !open ? null : { at: due_at, action: 'DISPUTE_DEFAULT' },
  };
}

/** The dispute of this marketplace with this id, or null. */
export async function findDispute(db: Sql, marketplaceId: string, id: string): Promise<DisputeResource | null> {
  const { rows } = await select(sql`d.id = ${id} and d.marketplace_id = ${marketplaceId}`).execute(db);
  return rows[0] === undefined ? null : toResource(rows[0]);
}

/** The dispute as GET shows it now, in this transaction; for writers of events. @throws Error when there is none */
export async function disputeResource(trx: Sql, id: string): Promise<DisputeResource> {
  const { rows } = await select(sql`d.id = ${id}`).execute(trx);
  if (rows[0] === undefined) throw new Error(`no dispute ${id}`);
  return toResource(rows[0]);
}

/** The query of the list, by its names on the wire. */
interface DisputeQuery extends PageRequest {
  readonly order_id?: string | undefined;
  readonly status?: readonly DisputeStatus[] | undefined;
  readonly opened_by?: PartyName | undefined;
}

export async function listDisputes(
  db: Sql,
  marketplaceId: string,
  query: DisputeQuery,
): Promise<Page<DisputeResource>> {
  const where = allOf([
    sql`d.marketplace_id = ${marketplaceId}`,
    ...only('d.order_id', query.order_id),
    ...only('d.status', query.status),
    ...only('d.opened_by', query.opened_by),
    ...beyond('d', query.cursor),
  ]);
  const { rows } = await select(where, newestFirst('d', query.limit)).execute(db);
  return pageOf(rows.map(toResource), query.limit);
}

/** Whether the order has taken over what became of the dispute. */
export async function isDisputeApplied(db: Sql, id: string): Promise<boolean> {
  const { rows } = await sql`select from disputes where id = ${id} and applied_at is not null`.execute(db);
  return rows.length > 0;
}

/** Ids of the disputes of a marketplace that are not over. */
export async function openDisputes(db: Sql, marketplaceId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from disputes where marketplace_id = ${marketplaceId} and status not in ('RESOLVED', 'WITHDRAWN')
    order by id`.execute(db);
  return rows.map(({ id }) => id);
}

export interface EvidenceInput {
  readonly type: EvidenceType;
  readonly value: string;
  readonly note: string | null;
}

/** Appends evidence; under the lock of the dispute's row. @returns what was added, as the dispute shows it */
export async function appendEvidence(
  trx: Sql,
  disputeId: string,
  by: string,
  evidence: readonly EvidenceInput[],
): Promise<DisputeResource['evidence']> {
  const pieces = evidence.map((piece, index) => ({ ...piece, place: index + 1 }));
  const { rows } = await sql<DisputeResource['evidence'][number]>`
    insert into dispute_evidence (dispute_id, ordinal, type, value, note, by, created_at)
    select ${disputeId}, t.place + (select count(*)::int from dispute_evidence where dispute_id = ${disputeId}), t.type,
      t.value, t.note, ${by}, clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(pieces)}::jsonb) as t(place int, type text, value text, note text)
    returning type, value, note, by, ${iso('created_at')} as created_at`.execute(trx);
  return rows;
}

/** Appends a comment; under the lock of the dispute's row. @returns it, as the dispute shows it */
export async function appendComment(
  trx: Sql,
  disputeId: string,
  by: string,
  text: string,
): Promise<DisputeResource['comments'][number]> {
  const { rows } = await sql<DisputeResource['comments'][number]>`
    insert into dispute_comments (dispute_id, ordinal, by, text, created_at)
    select ${disputeId}, 1 + count(*)::int, ${by}, ${text}, clock_timestamp()
    from dispute_comments where dispute_id = ${disputeId}
    returning by, text, ${iso('created_at')} as created_at`.execute(trx);
  if (rows[0] === undefined) throw new Error(`no comment on ${disputeId}`);
  return rows[0];
}

/** Ids and external ids of everybody who takes part in an order: none of them decides about it. */
export async function partyNames(db: Sql, orderId: string): Promise<Set<string>> {
  const { rows } = await sql<{ id: string; external_user_id: string }>`
    select u.id, u.external_user_id from users u
    where u.id in (select unnest(array[o.buyer_id, o.seller_id]) from orders o where o.id = ${orderId}
      union all select m.seller_id from milestones m where m.order_id = ${orderId})`.execute(db);
  return new Set(rows.flatMap((row) => [row.id, row.external_user_id]));
}
