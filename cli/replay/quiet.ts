/** Where a workflow can be taken back to: points of its history at which none of its operations was under way. */
import { type Json, type JsonObject, attributesOf, eventsOf, isObject, payloadsOf } from './payloads.ts';

export interface QuietPoint {
  /** number of the workflow task that would run again, with everything that was asked since */
  readonly event: number;
  /** ISO */
  readonly at: string;
  /** of the row as the workflow knew it there; null before it did */
  readonly status: string | null;
}

const BEGINS = new Set(['ACTIVITY_TASK_SCHEDULED', 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED']);
const ENDS: Readonly<Record<string, string>> = {
  ACTIVITY_TASK_COMPLETED: 'scheduledEventId',
  ACTIVITY_TASK_FAILED: 'scheduledEventId',
  ACTIVITY_TASK_TIMED_OUT: 'scheduledEventId',
  ACTIVITY_TASK_CANCELED: 'scheduledEventId',
  WORKFLOW_EXECUTION_UPDATE_COMPLETED: 'acceptedEventId',
};

/**
 * All of them, oldest first. At none is an activity or an update under way, or an operation on the row: what is cut off in
 * the middle would be begun again on a row that is further (measured: a released order became reserved).
 * @param history as `temporal workflow show --output json` prints it. @throws Error when it is none
 */
export function quietPoints(history: unknown): QuietPoint[] {
  const points: QuietPoint[] = [];
  const running = new Set<string>();
  let known: Known | null = null;
  for (const event of eventsOf(history)) {
    const type = String(event['eventType']).replace('EVENT_TYPE_', '');
    const id = String(event['eventId']);
    const attributes = attributesOf(event);
    // What this task decided comes behind it and is not kept.
    if (type === 'WORKFLOW_TASK_COMPLETED' && running.size === 0 && known?.busy !== true)
      points.push({ event: Number.parseInt(id, 10), at: String(event['eventTime']), status: known?.status ?? null });
    if (BEGINS.has(type)) running.add(id);
    const begun = ENDS[type];
    if (begun !== undefined) running.delete(String(attributes[begun]));
    known =
      resultsOf(type, attributes)
        .map(stateIn)
        .findLast((state) => state !== null) ?? known;
  }
  return points;
}

/** What steps answered, in the workflow's own activity or in another process. */
function resultsOf(type: string, attributes: JsonObject): Json[] {
  if (type === 'ACTIVITY_TASK_COMPLETED') return payloadsOf(attributes['result']);
  const details = attributes['details'];
  return type === 'MARKER_RECORDED' && isObject(details) ? payloadsOf(details['result']) : [];
}

interface Known {
  readonly status: string;
  /** an operation runs, or is parked */
  readonly busy: boolean;
}

/** The row's state, where a step hands it back: by itself, or with the outcome of a transaction. */
function stateIn(result: Json): Known | null {
  if (!isObject(result)) return null;
  const { operation, status, state } = result;
  if (operation === undefined || typeof status !== 'string') return state === undefined ? null : stateIn(state);
  const progress = isObject(operation) ? operation['status'] : null;
  return { status, busy: progress === 'RUNNING' || progress === 'PARKED' };
}
