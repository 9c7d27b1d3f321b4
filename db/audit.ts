/** The audit log: who did what to which resource. Append-only, in the transaction of the change (F56). */
import { sql } from 'kysely';
import { newId } from '../domain/ids.ts';
import type { ResourceType } from '../domain/statuses.ts';
import type { Sql } from './sql.ts';

interface AuditInput {
  readonly marketplaceId: string | null;
  /** id of the API key, or whom the caller named */
  readonly actor: string | null;
  readonly requestId: string | null;
  /** resource and verb, e.g. `withdrawal.approve` */
  readonly action: string;
  readonly resource: { readonly type: ResourceType; readonly id: string };
  /** what the change is about, before and after; never a secret */
  readonly before: unknown;
  readonly after: unknown;
}

export async function recordAudit(trx: Sql, input: AuditInput): Promise<void> {
  const { resource, before, after } = input;
  await sql`
    insert into audit_log (id, at, marketplace_id, actor, action, resource_type, resource_id, before, after, request_id)
    values (${newId('audit')}, clock_timestamp(), ${input.marketplaceId}, ${input.actor}, ${input.action},
      ${resource.type}, ${resource.id}, ${JSON.stringify(before)}::jsonb, ${JSON.stringify(after)}::jsonb,
      ${input.requestId})`.execute(trx);
}
