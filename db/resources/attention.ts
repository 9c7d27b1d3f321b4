/** The attention list as the API shows it: what is open, newest first. */
import { type RawBuilder, sql } from 'kysely';
import type { AttentionResource } from '../../domain/resources/attention.ts';
import type { Sql } from '../sql.ts';
import { type Page, type PageRequest, allOf, amountText, iso, pageOf } from './select.ts';

export type { AttentionResource };

type Row = AttentionResource & { readonly created_at: string; readonly cleared: boolean };

/** As long as nobody has carried it out. */
const PROPOSAL = sql`(
  select json_build_object('action', r.action, 'address', r.address, 'amount', r.amount::text, 'asset', r.asset,
    'reason', r.reason, 'proposed_by', r.proposed_by, 'proposed_at', ${iso('r.proposed_at')})
  from repair_approvals r where r.attention_id = a.id and r.used_at is null)`;

const select = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<Row>`
  select a.id, a.marketplace_id, json_build_object('type', a.resource_type, 'id', a.resource_id) as resource,
    a.workflow_id, a.reason, a.detail, ${iso('a.since')} as since, a.allowed_repairs, ${PROPOSAL} as proposal,
    ${iso('a.since')} as created_at, a.cleared_at is not null as cleared
  from attention a where ${where} ${rest}`;

/** `marketplaceId` null: of every marketplace, and of the deployment. */
const within = (marketplaceId: string | null) =>
  marketplaceId === null ? [] : [sql`a.marketplace_id = ${marketplaceId}`];

const shown = ({ created_at: _at, cleared: _cleared, proposal, ...item }: Row): AttentionResource => ({
  ...item,
  proposal: proposal && { ...proposal, amount: amountText(proposal.amount) },
});

/** An item, also when it is cleared; null when there is none, or it is another marketplace's. */
export async function findAttention(
  db: Sql,
  marketplaceId: string | null,
  id: string,
): Promise<{ readonly item: AttentionResource; readonly cleared: boolean } | null> {
  const { rows } = await select(allOf([sql`a.id = ${id}`, ...within(marketplaceId)])).execute(db);
  return rows[0] === undefined ? null : { item: shown(rows[0]), cleared: rows[0].cleared };
}

interface AttentionFilter {
  readonly marketplaceId: string | null;
  readonly reason?: string | undefined;
}

export async function listAttention(
  db: Sql,
  { marketplaceId, reason }: AttentionFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<AttentionResource & { readonly created_at: string }>> {
  const where = allOf([
    sql`a.cleared_at is null`,
    ...within(marketplaceId),
    ...(reason === undefined ? [] : [sql`a.reason = ${reason}`]),
    ...(cursor === null ? [] : [sql`(a.since, a.id) < (${cursor.at}::timestamptz, ${cursor.id})`]),
  ]);
  const { rows } = await select(where, sql`order by a.since desc, a.id desc limit ${limit + 1}`).execute(db);
  return pageOf(
    rows.map((row) => ({ ...shown(row), created_at: row.created_at })),
    limit,
  );
}
