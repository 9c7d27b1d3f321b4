/** Events for the outbox, idempotency keys, versions, attention and audit. */
import { defineEntity, p } from '@mikro-orm/core';

/** One counter row per resource: every writer increments it in its own transaction. */
export const ResourceCounter = defineEntity({
  name: 'ResourceCounter',
  tableName: 'resource_counters',
  properties: { resourceId: p.text().primary(), version: p.integer(), sequence: p.integer() },
});

export const Event = defineEntity({
  name: 'Event',
  tableName: 'events',
  properties: {
    id: p.text().primary(),
    /** the relay's order: total, without gaps in what a reader sees (F54); null until relayed */
    position: p.bigint('bigint').nullable().unique(),
    marketplaceId: p.text(),
    type: p.text(),
    resourceType: p.text(),
    resourceId: p.text(),
    sequence: p.integer(),
    data: p.json<{ object: unknown; change: unknown }>(),
    actor: p.text().nullable(),
    requestId: p.text().nullable(),
    correlation: p.json<{ workflow_id: string | null; run_id: string | null }>(),
    occurredAt: p.datetime(3),
  },
  uniques: [{ properties: ['resourceId', 'sequence'] }],
  indexes: [{ properties: ['marketplaceId', 'position'] }],
});

export const IdempotencyKey = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    /** marketplace id, or `platform` */
    tenant: p.text().primary(),
    key: p.text().primary(),
    /** SHA-256 over method, path and body (F43) */
    requestHash: p.text(),
    /** id of the resource a creation will have: allotted before the workflow is called */
    resourceId: p.text().nullable(),
    /** row id: with the attempt it is the update id */
    id: p.text().unique(),
    attempt: p.integer(),
    responseStatus: p.integer().nullable(),
    responseBody: p.json<unknown>().nullable(),
    responseHeaders: p.json<Record<string, string>>().nullable(),
    createdAt: p.datetime(3),
    finishedAt: p.datetime(3).nullable(),
  },
});

export const Attention = defineEntity({
  name: 'Attention',
  tableName: 'attention',
  properties: {
    id: p.text().primary(),
    marketplaceId: p.text().nullable(),
    resourceType: p.text(),
    resourceId: p.text(),
    workflowId: p.text(),
    reason: p.text(),
    detail: p.json<unknown>(),
    allowedRepairs: p.array(),
    since: p.datetime(3),
    clearedAt: p.datetime(3).nullable(),
  },
  indexes: [{ properties: ['resourceId', 'clearedAt'] }],
});

/** Append-only: the application's role may insert and read, nothing else (F56). */
export const AuditEntry = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_log',
  properties: {
    id: p.text().primary(),
    at: p.datetime(3),
    marketplaceId: p.text().nullable(),
    actor: p.text().nullable(),
    action: p.text(),
    resourceType: p.text(),
    resourceId: p.text(),
    before: p.json<unknown>().nullable(),
    after: p.json<unknown>().nullable(),
    requestId: p.text().nullable(),
  },
  indexes: [{ properties: ['marketplaceId', 'at'] }],
});
