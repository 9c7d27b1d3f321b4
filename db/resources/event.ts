/** Relayed events, in the relay's order. Those without a position are not there yet, for anybody. */
import { type RawBuilder, sql } from 'kysely';
import type { EventResource } from '../../domain/resources/event.ts';
import type { Sql } from '../sql.ts';
import { type Page, allOf, iso, only, pageOf } from './select.ts';

export type { EventResource };

const select = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<EventResource>`
  select e.id, e.type, ${iso('e.occurred_at')} as occurred_at, e.marketplace_id,
    json_build_object('type', e.resource_type, 'id', e.resource_id) as resource, e.sequence, e.data, e.actor,
    e.request_id, e.correlation
  from events e where e.position is not null and ${where} ${rest}`;

/** The relayed event of this marketplace with this id, or null. */
export async function findEvent(db: Sql, marketplaceId: string, id: string): Promise<EventResource | null> {
  return (await select(sql`e.id = ${id} and e.marketplace_id = ${marketplaceId}`).execute(db)).rows[0] ?? null;
}

/** By the names of the query on the wire. */
export interface EventFilter {
  /** exact types and patterns like `order.*` */
  readonly type?: readonly string[] | undefined;
  readonly resource_type?: string | undefined;
  readonly resource_id?: string | undefined;
}

function conditions(marketplaceId: string, filter: EventFilter): RawBuilder<unknown>[] {
  // `_` is a wildcard of LIKE
  const patterns = filter.type?.map((type) => type.replaceAll('_', '\\_').replace('*', '%'));
  return [
    sql`e.marketplace_id = ${marketplaceId}`,
    ...(patterns === undefined ? [] : [sql`e.type like any(${patterns}::text[])`]),
    ...only('e.resource_type', filter.resource_type),
    ...only('e.resource_id', filter.resource_id),
  ];
}

/** Events before (newest first) or after (oldest first) an event of this marketplace; none when there is no such event. */
export async function listEvents(
  db: Sql,
  marketplaceId: string,
  filter: EventFilter,
  page: { readonly limit: number; readonly before?: string | undefined; readonly after?: string | undefined },
): Promise<Page<EventResource>> {
  const positionOf = (id: string) =>
    sql`(select a.position from events a where a.id = ${id} and a.marketplace_id = ${marketplaceId})`;
  const where = allOf([
    ...conditions(marketplaceId, filter),
    ...(page.before === undefined ? [] : [sql`e.position < ${positionOf(page.before)}`]),
    ...(page.after === undefined ? [] : [sql`e.position > ${positionOf(page.after)}`]),
  ]);
  const order = page.after === undefined ? sql`e.position desc` : sql`e.position`;
  const { rows } = await select(where, sql`order by ${order} limit ${page.limit + 1}`).execute(db);
  return pageOf(rows, page.limit);
}
