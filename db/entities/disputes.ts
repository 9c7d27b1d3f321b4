/** Disputes. The row is inserted by the order's workflow and written by the dispute's; evidence and comments by the API. */
import { defineEntity, p } from '@mikro-orm/core';
import type { DisputeOperation, DisputedPart } from '../../domain/dispute/shapes.ts';
import {
  DISPUTE_DECISIONS,
  DISPUTE_REASONS,
  DISPUTE_STATUSES,
  EVIDENCE_TYPES,
  PARTIES,
} from '../../domain/statuses.ts';

export const Dispute = defineEntity({
  name: 'Dispute',
  tableName: 'disputes',
  properties: {
    id: p.text().primary(),
    orderId: p.text().index(),
    marketplaceId: p.text(),
    amount: p.bigint('bigint'),
    asset: p.text(),
    openedBy: p.enum(PARTIES),
    reason: p.enum(DISPUTE_REASONS),
    description: p.text().nullable(),
    status: p.enum(DISPUTE_STATUSES),
    parts: p.json<DisputedPart[]>(),
    assignedTo: p.text().nullable(),
    decision: p.enum(DISPUTE_DECISIONS).nullable(),
    note: p.text().nullable(),
    resolvedBy: p.text().nullable(),
    operation: p.json<DisputeOperation>().nullable(),
    dueAt: p.datetime(3).nullable(),
    /** when the order took over what became of it: written by the order */
    appliedAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    resolvedAt: p.datetime(3).nullable(),
  },
  indexes: [{ properties: ['marketplaceId', 'createdAt'] }],
});

/** Append-only: the application's role can neither change nor delete it. */
export const DisputeEvidence = defineEntity({
  name: 'DisputeEvidence',
  tableName: 'dispute_evidence',
  properties: {
    disputeId: p.text().primary(),
    ordinal: p.integer().primary(),
    type: p.enum(EVIDENCE_TYPES),
    value: p.text(),
    note: p.text().nullable(),
    by: p.text(),
    createdAt: p.datetime(3),
  },
});

/** Append-only, too. */
export const DisputeComment = defineEntity({
  name: 'DisputeComment',
  tableName: 'dispute_comments',
  properties: {
    disputeId: p.text().primary(),
    ordinal: p.integer().primary(),
    by: p.text(),
    text: p.text(),
    createdAt: p.datetime(3),
  },
});
