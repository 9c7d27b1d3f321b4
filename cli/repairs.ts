/** `orchestrator retry` and `give-up`: repairs of parked steps, of one resource or of all that are parked for a reason. */
import { sql } from 'kysely';
import { recordAudit } from '../db/audit.ts';
import { type Sql, inTransaction, pool } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import { RESOURCE_TYPES } from '../domain/statuses.ts';
import { type ServiceOptions, withSystem } from './services.ts';

export interface RepairOptions extends ServiceOptions {
  /** all that are parked for it */
  readonly reason?: string;
  /** why the operator does it, for the audit log */
  readonly note: string;
}

interface Parked {
  readonly id: string;
  readonly marketplaceId: string | null;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly workflowId: string;
  readonly reason: string;
}

const TIMEOUT_MS = 30_000;

/** Open items that allow the repair: of this attention item or resource, or with this reason. */
export async function parkedFor(
  db: Sql,
  action: string,
  of: { readonly id: string | null; readonly reason: string | null },
): Promise<Parked[]> {
  const { rows } = await sql<Parked>`
    select id, marketplace_id as "marketplaceId", resource_type as "resourceType", resource_id as "resourceId",
      workflow_id as "workflowId", reason
    from attention where cleared_at is null and ${action} = any(allowed_repairs)
      and (${of.id}::text is null or id = ${of.id} or resource_id = ${of.id})
      and (${of.reason}::text is null or reason = ${of.reason})
    order by since, id`.execute(db);
  return rows;
}

/** Carries the repair out on each; one JSON line each. Fails in the end when one of them failed. */
export async function runRepair(
  action: 'retry' | 'give_up',
  id: string | null,
  { reason, note, ...options }: RepairOptions,
): Promise<void> {
  if ((id === null) === (reason === undefined)) throw new Error('name either an id or a --reason');
  await withSystem(options, async ({ orm, workflows }) => {
    const items = await parkedFor(pool(orm), action, { id, reason: reason ?? null });
    if (items.length === 0) throw new Error(`nothing is parked there that ${action} helps with`);
    let failed = 0;
    for (const { workflowId, resourceType, resourceId, marketplaceId, ...item } of items) {
      const type = RESOURCE_TYPES.find((known) => known === resourceType);
      if (type === undefined) continue;
      await inTransaction(orm, (trx) =>
        recordAudit(trx, {
          marketplaceId,
          actor: 'command',
          requestId: null,
          action: `attention.${action}`,
          resource: { type, id: resourceId },
          before: { attention_id: item.id, reason: item.reason },
          after: { reason: note },
        }),
      );
      const request = { request_id: null, actor: 'command', reason: note };
      const outcome = await workflows
        .repair(workflowId, action, request, { updateId: newId('operation'), timeoutMs: TIMEOUT_MS })
        .then(
          () => ({ event: `repair.${action}` }),
          (error: unknown) => ({ event: 'repair.failed', detail: error instanceof Error ? error.message : 'unknown' }),
        );
      if (outcome.event === 'repair.failed') failed += 1;
      process.stdout.write(`${JSON.stringify({ ...outcome, ...item, resource_id: resourceId })}\n`);
    }
    if (failed > 0) throw new Error(`${failed} of ${items.length} did not work`);
  });
}
