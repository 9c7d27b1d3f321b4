/**
 * Keeps the histories of workflows that are over, or wait for an operator: Temporal forgets a workflow some days after its
 * end, and whoever asks why an order went wrong may ask later. Found by what the rows say, so nothing in a workflow waits
 * for it; a copy that is missed at one look is made at the next.
 */
import { WorkflowNotFoundError, isGrpcServiceError } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { sql } from 'kysely';
import { saveHistory } from '../../db/histories.ts';
import { type Sql, pool } from '../../db/sql.ts';
import type { HistoryReason } from '../../domain/statuses.ts';
import type { Deps } from '../context.ts';

/** With these a workflow's row is over. */
const ENDS = [
  'order.closed',
  'order.canceled',
  'dispute.resolved',
  'dispute.withdrawn',
  'withdrawal.completed',
  'withdrawal.failed',
  'withdrawal.canceled',
  'adjustment.completed',
  'adjustment.failed',
  'adjustment.canceled',
];
/** Positions of the event order that one look passes over, and copies that it makes: the next look does the rest. */
const WINDOW = 5_000;
const WINDOWS_MAX = 20;
const COPIES_MAX = 200;
const AT_ONCE = 5;
const READER = 'histories';

interface Wanted {
  readonly workflowId: string;
  readonly reason: HistoryReason;
  readonly attentionId: string | null;
}

type KeepDeps = Pick<Deps, 'orm' | 'client' | 'network'>;

/**
 * @param graceS what ended or was parked less than this many seconds ago may not be in the history yet
 * @returns how many copies were made
 */
export async function keepHistories(deps: KeepDeps, graceS: number): Promise<number> {
  return (await keepParked(deps, graceS)) + (await keepClosed(deps, graceS));
}

async function keepParked(deps: KeepDeps, graceS: number): Promise<number> {
  const { rows } = await sql<Wanted>`
    select a.workflow_id as "workflowId", 'PARKED' as reason, a.id as "attentionId" from attention a
    where a.cleared_at is null and a.allowed_repairs <> '{}' and a.workflow_id <> ''
      and a.since < clock_timestamp() - make_interval(secs => ${graceS})
      and not exists (select from workflow_histories h where h.workflow_id = a.workflow_id and h.attention_id = a.id)
    order by a.since limit ${COPIES_MAX}`.execute(pool(deps.orm));
  return copyAll(deps, rows);
}

/** In the order of the events: the cursor moves behind what is copied. */
async function keepClosed(deps: KeepDeps, graceS: number): Promise<number> {
  const db = pool(deps.orm);
  let copies = 0;
  for (let window = 0; window < WINDOWS_MAX && copies < COPIES_MAX; window += 1) {
    const from = await cursor(db, deps.network.name);
    const to = await settledUpTo(db, from, graceS);
    if (to === null) break;
    const { rows } = await sql<Wanted>`
      select distinct resource_type || '/' || resource_id as "workflowId", 'CLOSED' as reason, null as "attentionId"
      from events where position > ${from} and position <= ${to} and type = any(${ENDS}::text[])`.execute(db);
    copies += await copyAll(deps, rows);
    await sql`
      update network_cursors set cursor = ${to}, updated_at = now()
      where network = ${deps.network.name} and reader = ${READER} and cursor = ${from}`.execute(db);
  }
  return copies;
}

/** Last position, as decimal text, that is passed. */
async function cursor(db: Sql, network: string): Promise<string> {
  await sql`
    insert into network_cursors (network, reader, cursor, ledger, updated_at) values (${network}, ${READER}, '0', 0, now())
    on conflict do nothing`.execute(db);
  const { rows } = await sql<{ cursor: string }>`
    select cursor from network_cursors where network = ${network} and reader = ${READER}`.execute(db);
  return rows[0]?.cursor ?? '0';
}

/** The last position within the window that is old enough; null when there is none. */
async function settledUpTo(db: Sql, from: string, graceS: number): Promise<string | null> {
  const { rows } = await sql<{ to: string | null }>`
    select max(position)::text as to from events
    where position > ${from} and position <= ${from}::bigint + ${WINDOW}
      and occurred_at < clock_timestamp() - make_interval(secs => ${graceS})`.execute(db);
  return rows[0]?.to ?? null;
}

async function copyAll(deps: KeepDeps, wanted: readonly Wanted[]): Promise<number> {
  let copies = 0;
  for (let from = 0; from < wanted.length; from += AT_ONCE) {
    const made = await Promise.all(wanted.slice(from, from + AT_ONCE).map((one) => copy(deps, one)));
    copies += made.filter(Boolean).length;
  }
  return copies;
}

const GRPC_NOT_FOUND = 5;

/** Temporal knows no such workflow, or no longer. */
export const isForgotten = (error: unknown): boolean =>
  error instanceof WorkflowNotFoundError || (isGrpcServiceError(error) && Number(error.code) === GRPC_NOT_FOUND);

/** @returns false when Temporal knows no such workflow any more */
async function copy({ orm, client }: KeepDeps, { workflowId, reason, attentionId }: Wanted): Promise<boolean> {
  try {
    const { runId } = await client.workflow.getHandle(workflowId).describe();
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const events = history.events?.length ?? 0;
    await saveHistory(pool(orm), { workflowId, runId, reason, attentionId, events, history: historyToJSON(history) });
    return true;
  } catch (error) {
    if (isForgotten(error)) return false;
    throw error;
  }
}
