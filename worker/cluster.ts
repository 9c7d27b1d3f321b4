/**
 * Which Temporal cluster owns the rows. After a loss, `orchestrator recover` hands them to another one; should the lost
 * one come back, with workers that still poll it, its activities must change nothing: two workflows would write one row.
 */
import type { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInterceptors } from '@temporalio/worker';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Orm } from '../db/orm.ts';
import { inTransaction, pool } from '../db/sql.ts';

/** A worker of a cluster that lost the rows notices after this long. */
const LOOK_MS = 1_000;
const CLAIM_LOCK = 0x0e7e_17c1;

export interface Cluster {
  readonly epoch: number;
  readonly namespaceId: string;
}

const NEWEST = sql<Cluster>`
  select epoch, namespace_id as "namespaceId" from temporal_clusters order by epoch desc limit 1`;

/**
 * The namespace's claim on the rows; the first one to ask gets them.
 * @param options.takeOver takes them from another namespace: only when that one is lost
 * @throws Error when they belong to another namespace
 */
export async function claimCluster(
  orm: Orm,
  { client, namespace }: { readonly client: Client; readonly namespace: string },
  options: { readonly takeOver: boolean } = { takeOver: false },
): Promise<Cluster & { readonly takenOver: boolean }> {
  const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace });
  const namespaceId = namespaceInfo?.id ?? '';
  if (namespaceId === '') throw new Error(`Temporal does not tell the id of namespace ${namespace}`);
  return inTransaction(orm, async (trx) => {
    await sql`select pg_advisory_xact_lock(${CLAIM_LOCK})`.execute(trx);
    const owner = (await NEWEST.execute(trx)).rows[0];
    if (owner?.namespaceId === namespaceId) return { ...owner, takenOver: false };
    if (owner !== undefined && !options.takeOver)
      throw new Error(
        `the rows belong to another Temporal namespace (epoch ${owner.epoch}) than this ${namespace}; ` +
          'if that one is lost: orchestrator recover --take-over (docs/guides/recovery.md)',
      );
    const epoch = (owner?.epoch ?? 0) + 1;
    await sql`insert into temporal_clusters (epoch, namespace_id, since)
      values (${epoch}, ${namespaceId}, clock_timestamp())`.execute(trx);
    return { epoch, namespaceId, takenOver: owner !== undefined };
  });
}

/** Refuses every activity once the rows belong to another cluster; looks at most once a second. */
export function clusterFence({ orm, log }: { readonly orm: Orm; readonly log: Logger }, { namespaceId }: Cluster) {
  let looked = Number.NEGATIVE_INFINITY;
  let owner: Cluster | undefined;
  const demand = async (): Promise<void> => {
    if (performance.now() - looked > LOOK_MS) {
      owner = (await NEWEST.execute(pool(orm))).rows[0];
      looked = performance.now();
      if (owner?.namespaceId !== namespaceId) log.error({ epoch: owner?.epoch }, 'worker.fenced');
    }
    if (owner?.namespaceId !== namespaceId)
      throw ApplicationFailure.retryable('the rows belong to another Temporal cluster', 'FENCED');
  };
  return (_context: Context): ActivityInterceptors => ({
    inbound: {
      execute: async (input, next) => {
        await demand();
        return next(input);
      },
    },
  });
}
