/** Where a history comes from: Temporal, the copy that is kept of it, or a file. */
import { readFile } from 'node:fs/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Deps } from '../../activities/context.ts';
import { isForgotten } from '../../activities/histories/keep.ts';
import { findHistory } from '../../db/histories.ts';
import { pool } from '../../db/sql.ts';
import { findSubject } from '../why/subject.ts';
import type { Life } from './offline.ts';
import { isObject } from './payloads.ts';

/** @param needle any id or hash that `why` takes, or the id of any workflow. @throws Error when nobody knows it */
export async function fetchLife({ orm, client }: Deps, needle: string): Promise<Life> {
  const subject = await findSubject(pool(orm), needle);
  const workflowId = subject?.workflowId ?? needle;
  try {
    const history = await client.workflow.getHandle(workflowId).fetchHistory();
    return { workflowId, history: JSON.parse(historyToJSON(history)) as unknown };
  } catch (error) {
    // Temporal forgets what is over.
    const kept = isForgotten(error) ? await findHistory(pool(orm), workflowId) : null;
    if (kept === null) throw error;
    return { workflowId, history: JSON.parse(kept.history) as unknown, keptAt: kept.storedAt };
  }
}

/**
 * What `orchestrator export` or `temporal workflow show --output json` wrote.
 * @throws Error when the file is neither
 */
export async function readLife(path: string): Promise<Life> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  const history = isObject(content) && isObject(content['history']) ? content['history'] : content;
  if (!isObject(history) || !Array.isArray(history['events'])) throw new Error(`${path} holds no history`);
  const named = isObject(content) ? content['workflowId'] : undefined;
  // Code derives ids from it: an export keeps it, other files leave it to the start event.
  return { workflowId: typeof named === 'string' ? named : startedAs(history['events'][0]), history };
}

function startedAs(event: unknown): string {
  const started = isObject(event) ? event['workflowExecutionStartedEventAttributes'] : undefined;
  const id = isObject(started) ? started['workflowId'] : undefined;
  return typeof id === 'string' && id !== '' ? id : 'unknown';
}
