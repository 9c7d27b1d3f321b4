/** What we send to the chain: one row per transaction, one per outer envelope, and who may use a source account now. */
import { defineEntity, p } from '@mikro-orm/core';
import type { Intent } from '../../domain/intents.ts';
import { CHAIN_TRANSACTION_STATUSES } from '../../domain/statuses.ts';

export const ChainTransaction = defineEntity({
  name: 'ChainTransaction',
  tableName: 'chain_transactions',
  properties: {
    id: p.text().primary(),
    /** what it is for: workflow id and step; a proved dead attempt is followed by the next one */
    intentKey: p.text(),
    attempt: p.integer(),
    intent: p.json<Intent>(),
    workflowId: p.text(),
    marketplaceId: p.text().nullable(),
    orderId: p.text().nullable(),
    status: p.enum(CHAIN_TRANSACTION_STATUSES),
    source: p.text(),
    sequence: p.bigint('bigint'),
    /** unix seconds on chain time: after it, absence is proof of death */
    maxTime: p.bigint('bigint'),
    unsignedEnvelope: p.text(),
    /** of the inner transaction: the only hash sure to be the one that lands */
    innerHash: p.text().unique(),
    contractId: p.text().nullable(),
    /** latest ledger when it was signed: a history that begins later cannot prove absence */
    signedLedger: p.integer().nullable(),
    ledger: p.integer().nullable(),
    feeCharged: p.bigint('bigint').nullable(),
    resultXdr: p.text().nullable(),
    createdAt: p.datetime(3),
    signedAt: p.datetime(3).nullable(),
    confirmedAt: p.datetime(3).nullable(),
    /** its effects are in the books; confirmed without it is what reconcile looks for */
    bookedAt: p.datetime(3).nullable(),
  },
  uniques: [{ properties: ['intentKey', 'attempt'] }],
  indexes: [{ properties: ['orderId'] }, { properties: ['status'] }, { properties: ['source', 'sequence'] }],
});

/** One row per outer hash: a fee bump that is raised gets a new one, the inner hash stays. */
export const ChainEnvelope = defineEntity({
  name: 'ChainEnvelope',
  tableName: 'chain_envelopes',
  properties: {
    outerHash: p.text().primary(),
    transactionId: p.text(),
    envelope: p.text(),
    createdAt: p.datetime(3),
    /** latest ledger when a node was first known to have taken it */
    sentLedger: p.integer().nullable(),
  },
  indexes: [{ properties: ['transactionId'] }],
});

/** Who waits for, or holds, a source account: one source is one transaction per ledger. */
export const SourceLease = defineEntity({
  name: 'SourceLease',
  tableName: 'source_leases',
  properties: {
    source: p.text().primary(),
    /** intent key */
    owner: p.text().primary(),
    /** lower goes first: refund and release before the rest */
    priority: p.integer(),
    queuedAt: p.datetime(6),
    /** a waiter that stopped asking is passed over */
    polledAt: p.datetime(6),
    heldAt: p.datetime(6).nullable(),
  },
});
