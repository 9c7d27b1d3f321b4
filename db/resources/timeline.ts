/**
 * The timeline of an order, from our own rows: it stays when Temporal has forgotten the workflow. Oldest first; what has
 * the same time stands in causal order, from the request to the event that tells of its outcome.
 */
import { sql } from 'kysely';
import type { TimelineItem } from '../../domain/resources/timeline.ts';
import type { Sql } from '../sql.ts';
import { type Page, amountText, iso, pageOf } from './select.ts';

/** An item, and where it stands: the cursor of what comes after it. */
interface PlacedItem extends TimelineItem {
  readonly place: string;
}

type Row = PlacedItem & { amount: string | null };

/**
 * Operations are read from the events, each of which shows the order with the operation of that moment, and from the row.
 * An operation begins no later than the first event that shows it: clocks of two machines may differ.
 */
const OPERATIONS = sql`
  shown as (
    select e.occurred_at as seen, e.data #> '{object,operation}' as operation, e.actor from events e, of
    where e.resource_type = 'order' and e.resource_id = of.id
      and jsonb_typeof(e.data #> '{object,operation}') = 'object'
    union all
    select o.updated_at, o.operation, null from orders o, of where o.id = of.id and o.operation is not null
  ), operations as (
    select operation ->> 'id' as id, least(min((operation ->> 'started_at')::timestamptz), min(seen)) as begun,
      (array_agg(operation order by seen desc))[1] as last,
      (array_agg(actor order by seen) filter (where actor is not null))[1] as actor
    from shown group by operation ->> 'id'
  )`;

/** What is not an operation of its own belongs to the request of the operation that ran then. */
const ITEMS = sql`
  select 0 as rank, o.created_at as at, 'REQUEST' as kind, 'create' as name, 'SUCCEEDED' as status, null::int as attempt,
    e.actor as detail, null::text as amount, o.id as ref, e.request_id
  from orders o join of on of.id = o.id
  left join events e on e.resource_id = o.id and e.type = 'order.created'
  union all
  select 0, p.begun, case p.last ->> 'cause' when 'API' then 'REQUEST' when 'REPAIR' then 'REQUEST' else 'STEP' end,
    p.last ->> 'verb', p.last ->> 'status', null,
    coalesce(p.last #>> '{error,detail}', p.actor, lower(p.last ->> 'cause')), null, p.id, p.last ->> 'request_id'
  from operations p
  union all
  select 1, s.at, 'STEP', t.intent ->> 'kind' || ': ' || s.name, 'SUCCEEDED', t.attempt, t.inner_hash, null, t.id, null
  from chain_transactions t join of on of.id = t.order_id,
    lateral (values ('prepared', t.created_at), ('signed', t.signed_at)) as s(name, at) where s.at is not null
  union all
  select 2, t.confirmed_at, 'TRANSACTION', t.intent ->> 'kind', t.status, t.attempt, 'ledger ' || t.ledger, null,
    t.inner_hash, null
  from chain_transactions t join of on of.id = t.order_id where t.confirmed_at is not null
  union all
  select 3, l.created_at, 'TRANSFER', l.code, l.kind, null,
    d.asset || ': debit ' || d.kind || ' ' || d.owner_id || ', credit ' || c.kind || ' ' || c.owner_id, l.amount::text,
    l.id::text, null
  from ledger_transfers l join of on of.id = l.resource_id or of.escrow_id = l.resource_id
  join ledger_accounts d on d.id = l.debit_account join ledger_accounts c on c.id = l.credit_account
  union all
  select 4 + e.sequence * 0.000001, e.occurred_at, 'EVENT', e.type, e.data #>> '{object,status}', null, null, null, e.id, e.request_id
  from events e join of on (e.resource_type = 'order' and e.resource_id = of.id)
    or (e.resource_type = 'dispute' and e.data #>> '{object,order_id}' = of.id)`;

/**
 * @param after the `place` of the last item of the page before, else null
 * @throws nothing for a place that is none: it is compared as text
 */
export async function orderTimeline(
  db: Sql,
  orderId: string,
  page: { readonly limit: number; readonly after: string | null },
): Promise<Page<PlacedItem>> {
  const { rows } = await sql<Row>`
    with of as (
      select o.id, e.id as escrow_id from orders o left join escrows e on e.order_id = o.id where o.id = ${orderId}
    ), ${OPERATIONS}, items as (${ITEMS}), placed as (
      select i.*, to_char(i.at at time zone 'utc', 'YYYYMMDDHH24MISSUS') || i.rank || i.kind || i.name || i.ref as place
      from items i
    )
    select ${iso('i.at')} as at, i.kind, i.name, i.status, i.attempt, i.detail, i.amount, i.ref, i.place,
      coalesce(i.request_id, (
        select p.last ->> 'request_id' from operations p where p.begun <= i.at order by p.begun desc limit 1)) as request_id
    from placed i where ${page.after}::text is null or i.place collate "C" > ${page.after} collate "C"
    order by i.place collate "C" limit ${page.limit + 1}`.execute(db);
  return pageOf(
    rows.map(({ amount, ...item }) =>
      amount === null ? item : { ...item, detail: `${amountText(amount)} ${item.detail ?? ''}` },
    ),
    page.limit,
  );
}
