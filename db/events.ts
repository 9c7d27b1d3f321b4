/**
 * The outbox: events are rows, written in the transaction that makes the change (F54). Every resource has one counter
 * row; `version` grows with each change of the resource, `sequence` with each of its events, without gaps.
 */
import { sql } from 'kysely';
import { type EventType, checkEvent } from '../domain/events/index.ts';
import { newId } from '../domain/ids.ts';
import type { ResourceType } from '../domain/statuses.ts';
import type { Sql } from './sql.ts';

export interface EventInput {
  readonly type: EventType;
  readonly marketplaceId: string;
  readonly resource: { readonly type: ResourceType; readonly id: string };
  /** the resource as GET shows it after this change, read in this transaction; its `version` is set here */
  readonly object: unknown;
  readonly change: unknown;
  /** id of the API key; null for timers and `auto` */
  readonly actor: string | null;
  readonly requestId: string | null;
  readonly workflowId: string | null;
  readonly runId: string | null;
}

/**
 * One change of a resource with its events, in one statement: the version grows by one, the events get their sequence
 * numbers. Events of other resources (the buyer's `balance.reserved` beside `order.funds_reserved`) may come along;
 * they do not change the version of those.
 * @returns the new version of `resourceId`
 */
export async function recordChange(
  trx: Sql,
  change: { readonly resourceId: string; readonly events: readonly EventInput[] },
): Promise<number> {
  const versions = await write(trx, change.events, change.resourceId);
  const version = versions.get(change.resourceId);
  if (version === undefined) throw new Error(`no counter for ${change.resourceId}`);
  return version;
}

/** Events that are no change of the resource they belong to. */
export async function appendEvents(trx: Sql, events: readonly EventInput[]): Promise<void> {
  if (events.length > 0) await write(trx, events, null);
}

/** A change that sends no event: the version grows by one. */
export async function bumpVersion(trx: Sql, resourceId: string): Promise<number> {
  return recordChange(trx, { resourceId, events: [] });
}

async function write(trx: Sql, events: readonly EventInput[], changed: string | null): Promise<Map<string, number>> {
  const ids = new Set(events.map((event) => event.resource.id));
  if (changed !== null) ids.add(changed);
  const counters = [...ids].map((id) => ({
    id,
    versions: id === changed ? 1 : 0,
    sequences: events.filter((event) => event.resource.id === id).length,
  }));
  const rows = events.map((event, index) => row(event, events.slice(index + 1), changed));
  const { rows: written } = await sql<{ resource_id: string; version: number }>`
    with counted as (
      insert into resource_counters as c (resource_id, version, sequence)
      select id, versions, sequences
      from jsonb_to_recordset(${JSON.stringify(counters)}::jsonb) as t(id text, versions int, sequences int)
      order by id -- one lock order for everybody
      on conflict (resource_id)
      do update set version = c.version + excluded.version, sequence = c.sequence + excluded.sequence
      returning c.resource_id, c.version, c.sequence, clock_timestamp() as at -- with the lock: as the numbers, so the times
    ), written as (
      insert into events (id, position, marketplace_id, type, resource_type, resource_id, sequence, data, actor,
        request_id, correlation, occurred_at)
      select e.id, null, e.marketplace_id, e.type, e.resource_type, e.resource_id, counted.sequence - e.later,
        case when e.versioned then jsonb_set(e.data, '{object,version}', to_jsonb(counted.version)) else e.data end,
        e.actor, e.request_id, e.correlation, counted.at
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(id text, marketplace_id text, type text,
        resource_type text, resource_id text, later int, versioned boolean, data jsonb, actor text, request_id text,
        correlation jsonb)
      join counted on counted.resource_id = e.resource_id
    )
    select resource_id, version from counted`.execute(trx);
  return new Map(written.map((counter) => [counter.resource_id, counter.version]));
}

/** `later` counts this resource's events after this one in the batch: what its sequence stays behind the counter. */
function row(event: EventInput, following: readonly EventInput[], changed: string | null) {
  return {
    id: newId('event'),
    marketplace_id: event.marketplaceId,
    type: event.type,
    resource_type: event.resource.type,
    resource_id: event.resource.id,
    later: following.filter((other) => other.resource.id === event.resource.id).length,
    versioned: event.resource.id === changed,
    data: checkEvent(event),
    actor: event.actor,
    request_id: event.requestId,
    correlation: { workflow_id: event.workflowId, run_id: event.runId },
  };
}
