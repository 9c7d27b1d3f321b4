/**
 * What keeps failing in a way that nobody foresaw is a fault of ours. Temporal repeats it until it goes through, at the
 * latest on fixed code; meanwhile it stands on the attention list, and clears itself there.
 */
import type { Context } from '@temporalio/activity';
import { TemporalFailure } from '@temporalio/common';
import type { ActivityInterceptors } from '@temporalio/worker';
import { sql } from 'kysely';
import { raiseAttention } from '../activities/attention.ts';
import type { Deps } from '../activities/context.ts';
import { pool } from '../db/sql.ts';
import { ProviderError } from '../providers/errors.ts';

/** What passes by itself, such as two transactions in each other's way, is over by then: some seconds. */
const LOOK_AT_ATTEMPT = 6;

/** Refusals, and what is waited for, are failures that we threw ourselves. */
const isOurFault = (error: unknown): boolean =>
  !(error instanceof TemporalFailure) && !(error instanceof ProviderError);

export function stuckInterceptor({ orm, log }: Pick<Deps, 'orm' | 'log'>) {
  const raise = async (workflowId: string, activity: string, error: unknown): Promise<void> => {
    const resource = resourceOf(workflowId);
    const { rows } = await sql<{ marketplaceId: string }>`
      select marketplace_id as "marketplaceId" from orders where id = ${resource.id}
      union all select marketplace_id from disputes where id = ${resource.id}
      union all select marketplace_id from payments where id = ${resource.id}
      union all select marketplace_id from wallets where id = ${resource.id}`.execute(pool(orm));
    await raiseAttention(pool(orm), {
      marketplaceId: rows[0]?.marketplaceId ?? null,
      resource,
      workflowId,
      reason: 'INTERNAL_ERROR',
      detail: { matter: 'a step keeps failing', activity, detail: String(error).slice(0, 300) },
    });
  };
  const clear = async (workflowId: string, activity: string): Promise<void> => {
    const { type, id } = resourceOf(workflowId);
    await sql`update attention set cleared_at = clock_timestamp() where resource_type = ${type} and resource_id = ${id}
      and reason = 'INTERNAL_ERROR' and detail->>'activity' = ${activity} and cleared_at is null`.execute(pool(orm));
  };

  return ({ info }: Context): ActivityInterceptors => {
    const { attempt, activityType, workflowExecution } = info;
    const look = async (at: typeof clear): Promise<void> => {
      if (attempt < LOOK_AT_ATTEMPT || workflowExecution === undefined) return;
      // Where the database is what fails, there is nowhere to write it; the next attempt does.
      await at(workflowExecution.workflowId, activityType).catch((error: unknown) =>
        log.warn({ workflow_id: workflowExecution.workflowId, reason: String(error) }, 'worker.attention_not_written'),
      );
    };
    return {
      inbound: {
        execute: async (input, next) => {
          try {
            const result = await next(input);
            await look(clear);
            return result;
          } catch (error) {
            if (isOurFault(error)) await look((workflowId, activity) => raise(workflowId, activity, error));
            throw error;
          }
        },
      },
    };
  };
}

/** Workflows are named after what they are about. */
function resourceOf(workflowId: string): { type: string; id: string } {
  const slash = workflowId.indexOf('/');
  return { type: workflowId.slice(0, slash), id: workflowId.slice(slash + 1) };
}
