/** Where a history comes from: Temporal, or a file. */
import { readFile } from 'node:fs/promises';
import type { Deps } from '../../activities/context.ts';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { pool } from '../../db/sql.ts';
import { findSubject } from '../why/subject.ts';
import type { Life } from './offline.ts';
import { isObject } from './payloads.ts';

/** @param needle any id or hash that `why` takes, or the id of any workflow. @throws Error when Temporal knows none */
export async function fetchLife({ orm, client }: Deps, needle: string): Promise<Life> {
  const subject = await findSubject(pool(orm), needle);
  const workflowId = subject?.workflowId ?? needle;
  const history = await client.workflow.getHandle(workflowId).fetchHistory();
  return { workflowId, history: JSON.parse(historyToJSON(history)) as unknown };
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
