/** Attention: what an operator has to look at. One row per matter, cleared when the matter is settled. */
import { sql } from 'kysely';
import type { Sql } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import type { Reason } from '../domain/reasons.ts';

interface AttentionInput {
  readonly marketplaceId: string | null;
  readonly resource: { readonly type: string; readonly id: string };
  readonly workflowId: string;
  readonly reason: Reason;
  /** ids, amounts, ledger numbers; never a secret or an envelope */
  readonly detail: Readonly<Record<string, unknown>>;
  /** what an operator may ask for; default none */
  readonly allowedRepairs?: readonly string[];
}

/** A matter of its own: what parks is told apart by more than its reason. @returns its id */
export async function insertAttention(db: Sql, input: AttentionInput & { readonly since: Date }): Promise<string> {
  const { resource, reason } = input;
  const id = newId('attention');
  await sql`
    insert into attention (id, marketplace_id, resource_type, resource_id, workflow_id, reason, detail, allowed_repairs,
      since)
    values (${id}, ${input.marketplaceId}, ${resource.type}, ${resource.id}, ${input.workflowId}, ${reason},
      ${JSON.stringify(input.detail)}::jsonb, ${[...(input.allowedRepairs ?? [])]}::text[], ${input.since})`.execute(
    db,
  );
  return id;
}

/** Raises a matter of a resource once: while one with the same reason is open, nothing is written. */
export async function raiseAttention(db: Sql, input: AttentionInput): Promise<void> {
  const { resource, reason } = input;
  await sql`
    insert into attention (id, marketplace_id, resource_type, resource_id, workflow_id, reason, detail, allowed_repairs,
      since)
    select ${newId('attention')}, ${input.marketplaceId}, ${resource.type}, ${resource.id}, ${input.workflowId}, ${reason},
      ${JSON.stringify(input.detail)}::jsonb, ${[...(input.allowedRepairs ?? [])]}::text[], clock_timestamp()
    where not exists (select from attention where resource_type = ${resource.type} and resource_id = ${resource.id}
      and reason = ${reason} and cleared_at is null)`.execute(db);
}

/** Clears what is open for a resource, for one reason or for all; nothing open is fine. */
export async function clearAttention(
  db: Sql,
  resource: { type: string; id: string },
  reason: Reason | null,
): Promise<void> {
  await sql`
    update attention set cleared_at = clock_timestamp()
    where resource_type = ${resource.type} and resource_id = ${resource.id}
      and (${reason}::text is null or reason = ${reason}) and cleared_at is null`.execute(db);
}
