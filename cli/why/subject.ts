/** From any id or hash that somebody has at hand to the resource it belongs to. */
import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';

/** One workflow and its row; `type` is what stands before the slash of the workflow's id. */
export interface Subject {
  readonly type: string;
  readonly id: string;
  readonly workflowId: string;
}

/**
 * @param needle id of an order, dispute, withdrawal, adjustment, escrow, attention item, signing request or transaction; of
 *   a workflow or a contract; an inner or outer hash (hex, either case)
 * @returns null when no row knows it
 */
export async function findSubject(db: Sql, needle: string): Promise<Subject | null> {
  const hash = needle.toLowerCase();
  const { rows } = await sql<{ workflowId: string }>`
    select 'order/' || id as "workflowId" from orders where id = ${needle} or 'order/' || id = ${needle}
    union all select 'order/' || order_id from escrows
      where id = ${needle} or contract_id = ${needle} or 'surplus/' || id = ${needle}
    union all select 'order/' || order_id from signing_requests where id = ${needle}
    union all select 'dispute/' || id from disputes where id = ${needle} or 'dispute/' || id = ${needle}
    union all select lower(kind) || '/' || id from payments
      where id = ${needle} or lower(kind) || '/' || id = ${needle}
    union all select ${ofOrder(sql`coalesce(nullif(workflow_id, ''), resource_type || '/' || resource_id)`, sql`resource_id`)}
      from attention where id = ${needle}
    union all select ${ofOrder(sql`workflow_id`, sql`order_id`)} from chain_transactions t where id = ${needle} or inner_hash = ${hash}
      or exists (select from chain_envelopes e where e.outer_hash = ${hash} and e.transaction_id = t.id)
    limit 1`.execute(db);
  const [found] = rows;
  return found === undefined ? null : subjectOf(found.workflowId);
}

/** What is left in an order's contract is told with the order. */
const ofOrder = (workflowId: RawBuilder<unknown>, orderId: RawBuilder<unknown>) =>
  sql`case when ${workflowId} like 'surplus/%' then 'order/' || ${orderId} else ${workflowId} end`;

export function subjectOf(workflowId: string): Subject {
  const slash = workflowId.indexOf('/');
  return { type: workflowId.slice(0, slash), id: workflowId.slice(slash + 1), workflowId };
}
