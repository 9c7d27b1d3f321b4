/** What outlives Temporal, and what outlived our rows. Written by `orchestrator recover`. */
import { defineEntity, p } from '@mikro-orm/core';

/** The newest owns the rows: activities of an older cluster that comes back change nothing. Append-only. */
export const TemporalCluster = defineEntity({
  name: 'TemporalCluster',
  tableName: 'temporal_clusters',
  properties: {
    epoch: p.integer().primary().autoincrement(false),
    /** of the namespace, as its cluster made it: one made anew under the same name has another */
    namespaceId: p.text(),
    since: p.datetime(3),
  },
});

/** A transaction with the sequence number of an account of ours that no row of ours knows: our rows are older than it. */
export const UnaccountedTransaction = defineEntity({
  name: 'UnaccountedTransaction',
  tableName: 'unaccounted_transactions',
  properties: {
    /** of the inner transaction */
    hash: p.text().primary(),
    source: p.text(),
    sequence: p.bigint('bigint'),
    ledger: p.integer(),
    successful: p.boolean(),
    closedAt: p.datetime(3),
    /** our escrows, their contracts, and the wallets of users and marketplaces whose money it may have moved */
    involved: p.array(),
    foundAt: p.datetime(3),
    /** when an operator put the books right: what is involved may be used again */
    settledAt: p.datetime(3).nullable(),
    note: p.text().nullable(),
  },
  indexes: [{ properties: ['source', 'sequence'] }],
});
