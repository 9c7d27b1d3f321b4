/** Copies of workflow histories: compressed, one per run and reason, the newest. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { sql } from 'kysely';
import type { HistoryReason } from '../domain/statuses.ts';
import { iso } from './resources/select.ts';
import type { Sql } from './sql.ts';

const compress = promisify(gzip);
const expand = promisify(gunzip);

interface HistoryCopy {
  readonly workflowId: string;
  readonly runId: string;
  readonly reason: HistoryReason;
  /** the matter for which it was parked */
  readonly attentionId: string | null;
  readonly events: number;
  /** JSON as `temporal workflow show --output json` prints it */
  readonly history: string;
}

export async function saveHistory(db: Sql, copy: HistoryCopy): Promise<void> {
  const { workflowId, runId, reason, attentionId, events } = copy;
  const history = await compress(copy.history);
  await sql`
    insert into workflow_histories (workflow_id, run_id, reason, attention_id, events, history, stored_at)
    values (${workflowId}, ${runId}, ${reason}, ${attentionId}, ${events}, ${history}, clock_timestamp())
    on conflict (workflow_id, run_id, reason) do update set attention_id = excluded.attention_id,
      events = excluded.events, history = excluded.history, stored_at = excluded.stored_at`.execute(db);
}

interface StoredHistory {
  readonly runId: string;
  readonly events: number;
  /** ISO */
  readonly storedAt: string;
  /** JSON */
  readonly history: string;
}

/** The newest copy of the workflow, or null. */
export async function findHistory(db: Sql, workflowId: string): Promise<StoredHistory | null> {
  const { rows } = await sql<Omit<StoredHistory, 'history'> & { history: Uint8Array }>`
    select run_id as "runId", events, ${iso('stored_at')} as "storedAt", history from workflow_histories
    where workflow_id = ${workflowId} order by stored_at desc limit 1`.execute(db);
  const [row] = rows;
  return row === undefined ? null : { ...row, history: (await expand(row.history)).toString('utf8') };
}
