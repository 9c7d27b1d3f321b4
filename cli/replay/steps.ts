/** A history as a person reads it: what was asked, what was called with what, and what came of it. */
import { type Json, type JsonObject, attributesOf, eventsOf, isObject, payloadsOf } from './payloads.ts';

export interface Step {
  /** number of the event that began it */
  readonly event: number;
  readonly at: string;
  readonly kind: 'START' | 'UPDATE' | 'SIGNAL' | 'ACTIVITY' | 'LOCAL' | 'TIMER' | 'TASK' | 'END';
  readonly name: string;
  /** in words, as the Temporal UI shows it; or an activity's id */
  readonly label: string | null;
  readonly input: readonly Json[];
  outcome: 'PENDING' | 'DONE' | 'FAILED' | 'CANCELED';
  result: readonly Json[];
  /** `TYPE: message`, with its details */
  failure: { readonly message: string; readonly details: readonly Json[] } | null;
}

type Attributes = JsonObject;
type Outcome = Pick<Step, 'outcome'> & Partial<Pick<Step, 'result' | 'failure'>>;
type Began = Omit<Step, 'event' | 'at' | 'outcome' | 'result' | 'failure'> & Partial<Outcome>;

const field = (value: Json | undefined, ...path: readonly string[]): Json | undefined =>
  path.reduce<Json | undefined>((at, key) => (isObject(at) ? at[key] : undefined), value);
const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** The innermost cause: what an activity threw. */
function failureOf(failure: Json | undefined): Step['failure'] {
  if (!isObject(failure)) return null;
  if (isObject(failure['cause'])) return failureOf(failure['cause']);
  const type = textOf(field(failure, 'applicationFailureInfo', 'type'));
  const message = textOf(failure['message']);
  return {
    message: type === '' ? message : `${type}: ${message}`,
    details: payloadsOf(field(failure, 'applicationFailureInfo', 'details')),
  };
}

const failed = (attributes: Attributes): Outcome => ({ outcome: 'FAILED', failure: failureOf(attributes['failure']) });
const done = (attributes: Attributes): Outcome => ({ outcome: 'DONE', result: payloadsOf(attributes['result']) });
const TIMED_OUT: Outcome = { outcome: 'FAILED', failure: { message: 'timed out', details: [] } };
const CANCELED: Outcome = { outcome: 'CANCELED' };

/** Events that begin a step. */
const BEGINNINGS: Readonly<Record<string, (attributes: Attributes, summary: string | null) => Began | null>> = {
  WORKFLOW_EXECUTION_STARTED: (at) => ({
    kind: 'START',
    name: textOf(field(at, 'workflowType', 'name')),
    label: null,
    input: payloadsOf(at['input']),
    outcome: 'DONE',
  }),
  WORKFLOW_EXECUTION_UPDATE_ACCEPTED: (at) => ({
    kind: 'UPDATE',
    name: textOf(field(at, 'acceptedRequest', 'input', 'name')),
    label: textOf(field(at, 'acceptedRequest', 'meta', 'updateId')),
    input: payloadsOf(field(at, 'acceptedRequest', 'input', 'args')),
  }),
  WORKFLOW_EXECUTION_SIGNALED: (at) => ({
    kind: 'SIGNAL',
    name: textOf(at['signalName']),
    label: null,
    input: payloadsOf(at['input']),
    outcome: 'DONE',
  }),
  ACTIVITY_TASK_SCHEDULED: (at, summary) => ({
    kind: 'ACTIVITY',
    name: textOf(field(at, 'activityType', 'name')),
    label: summary ?? textOf(at['activityId']),
    input: payloadsOf(at['input']),
  }),
  MARKER_RECORDED: (at, summary) => {
    if (at['markerName'] !== 'core_local_activity') return null;
    const [data] = payloadsOf(field(at, 'details', 'data'));
    const result = payloadsOf(field(at, 'details', 'result'));
    const outcome: Outcome = isObject(at['failure']) ? failed(at) : { outcome: 'DONE', result };
    return { kind: 'LOCAL', name: textOf(field(data, 'activity_type')), label: summary, input: [], ...outcome };
  },
  TIMER_STARTED: (at, summary) => ({
    kind: 'TIMER',
    name: textOf(at['startToFireTimeout']),
    label: summary,
    input: [],
  }),
  WORKFLOW_TASK_FAILED: (at) => ({
    kind: 'TASK',
    name: textOf(at['cause']),
    label: null,
    input: [],
    ...failed(at),
  }),
  WORKFLOW_EXECUTION_COMPLETED: (at) => ({ kind: 'END', name: 'completed', label: null, input: [], ...done(at) }),
  WORKFLOW_EXECUTION_FAILED: (at) => ({ kind: 'END', name: 'failed', label: null, input: [], ...failed(at) }),
  WORKFLOW_EXECUTION_CONTINUED_AS_NEW: () => ({
    kind: 'END',
    name: 'continued',
    label: null,
    input: [],
    outcome: 'DONE',
  }),
};

/** Events that end one, and the attribute that names the event which began it. */
const ENDINGS: Readonly<Record<string, readonly [string, (attributes: Attributes) => Outcome]>> = {
  ACTIVITY_TASK_COMPLETED: ['scheduledEventId', done],
  ACTIVITY_TASK_FAILED: ['scheduledEventId', failed],
  ACTIVITY_TASK_TIMED_OUT: ['scheduledEventId', () => TIMED_OUT],
  ACTIVITY_TASK_CANCELED: ['scheduledEventId', () => CANCELED],
  TIMER_FIRED: ['startedEventId', () => ({ outcome: 'DONE' })],
  TIMER_CANCELED: ['startedEventId', () => CANCELED],
  WORKFLOW_EXECUTION_UPDATE_COMPLETED: [
    'acceptedEventId',
    (at) => {
      const failure = field(at, 'outcome', 'failure');
      if (failure !== undefined) return { outcome: 'FAILED', failure: failureOf(failure) };
      return { outcome: 'DONE', result: payloadsOf(field(at, 'outcome', 'success')) };
    },
  ],
};

/** @param history as `temporal workflow show --output json` prints it. @throws Error when it is none */
export function stepsOf(history: unknown): Step[] {
  const steps = new Map<string, Step>();
  for (const event of eventsOf(history)) {
    const id = String(event['eventId']);
    const type = textOf(event['eventType']).replace('EVENT_TYPE_', '');
    const attributes = attributesOf(event);
    const [summary] = payloadsOf({ payloads: [field(event, 'userMetadata', 'summary') ?? null] });
    const began = BEGINNINGS[type]?.(attributes, typeof summary === 'string' ? summary : null);
    if (began !== undefined && began !== null) {
      const at = textOf(event['eventTime']);
      const defaults = { outcome: 'PENDING', result: [], failure: null } as const;
      steps.set(id, { event: Number.parseInt(id, 10), at, ...defaults, ...began });
    }
    const ending = ENDINGS[type];
    if (ending === undefined) continue;
    const [reference, outcome] = ending;
    const step = steps.get(String(attributes[reference]));
    if (step !== undefined) Object.assign(step, outcome(attributes));
  }
  return [...steps.values()];
}

/** The event that a replay's error names, or the last activity that was called before it broke off. */
export function brokenAt(steps: readonly Step[], error: Error, calls: number): number | null {
  const named = /\bid: (\d+)/.exec(error.message)?.[1];
  if (named !== undefined) return Number.parseInt(named, 10);
  const activities = steps.filter(({ kind }) => kind === 'ACTIVITY' || kind === 'LOCAL');
  return activities[Math.min(calls, activities.length) - 1]?.event ?? null;
}

/** The step to look at: where the replay broke off, else the last one that failed and that nothing overcame. */
export function failingStep(steps: readonly Step[], broken: number | null): Step | null {
  if (broken !== null) return steps.findLast(({ event }) => event <= broken) ?? null;
  const failure = steps.findLast(({ outcome, kind }) => outcome === 'FAILED' && kind !== 'UPDATE');
  if (failure === undefined) return null;
  const overcome = steps.some(
    ({ event, name, label, outcome }) =>
      event > failure.event && name === failure.name && label === failure.label && outcome === 'DONE',
  );
  return overcome ? null : failure;
}
