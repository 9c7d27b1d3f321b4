/** Histories as people read them, and as they are handed out. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type Json, mapPayloads } from '../../cli/replay/payloads.ts';
import { quietPoints } from '../../cli/replay/quiet.ts';
import { REDACTED, redactHistory } from '../../cli/replay/redact.ts';
import { type Step, brokenAt, failingStep, stepsOf } from '../../cli/replay/steps.ts';

const golden = async (name: string): Promise<Json> => {
  const file = join(import.meta.dirname, '..', 'replay', 'histories', `${name}.json`);
  return (JSON.parse(await readFile(file, 'utf8')) as { history: Json }).history;
};
const payload = (value: Json) => ({
  metadata: { encoding: Buffer.from('json/plain').toString('base64') },
  data: Buffer.from(JSON.stringify(value)).toString('base64'),
});
const payloads = (...values: readonly Json[]) => ({ payloads: values.map(payload) });
const event = (id: number, type: string, attributes: Json): Json => ({
  eventId: String(id),
  eventTime: '2026-01-01T00:00:00Z',
  eventType: `EVENT_TYPE_${type}`,
  someEventAttributes: attributes,
});
const scheduled = (id: number, name: string): Json =>
  event(id, 'ACTIVITY_TASK_SCHEDULED', {
    activityId: `${id}`,
    activityType: { name },
    input: payloads({ step: 'fund' }),
  });

describe('steps', () => {
  test('every activity of a recorded life has its input and what came of it', async () => {
    const steps = stepsOf(await golden('order-released'));
    const prepares = steps.filter(({ name }) => name === 'prepareTransaction');
    expect(prepares.length).toBeGreaterThan(3);
    for (const { input, result, outcome } of prepares) {
      expect(outcome).toBe('DONE');
      expect(input).toEqual([expect.objectContaining({ intent: expect.any(Object) })]);
      expect(result).toEqual([{ transaction_id: expect.stringMatching(/^ctx_/) }]);
    }
    expect(steps.filter(({ kind }) => kind === 'LOCAL').every(({ name }) => name !== '')).toBe(true);
    expect(failingStep(steps, null)).toBeNull();
  });

  test('a failed activity is told with its innermost cause and its details, and marked', () => {
    const cause = {
      message: 'not what was asked for',
      applicationFailureInfo: { type: 'ENVELOPE_REJECTED', details: payloads({ differences: [] }) },
    };
    const failed = event(7, 'ACTIVITY_TASK_FAILED', { scheduledEventId: '5', failure: { message: 'outer', cause } });
    const steps = stepsOf({ events: [scheduled(5, 'prepareTransaction'), failed, scheduled(9, 'parkOperation')] });
    expect(failingStep(steps, null)).toMatchObject({
      event: 5,
      outcome: 'FAILED',
      failure: { message: 'ENVELOPE_REJECTED: not what was asked for', details: [{ differences: [] }] },
    });
  });

  test('a replay that broke off is marked where its error says, else at the last call', () => {
    const steps = stepsOf({ events: [scheduled(5, 'a'), scheduled(9, 'b'), scheduled(12, 'c')] });
    const at = (message: string, calls: number): Step | null =>
      failingStep(steps, brokenAt(steps, new Error(message), calls));
    expect(
      at('Nondeterminism("does not handle this event: HistoryEvent(id: 9, ActivityTaskScheduled)")', 3)?.name,
    ).toBe('b');
    expect(at('Nondeterminism("activity types differ")', 1)?.name).toBe('a');
  });

  test('what is no history is refused', () => {
    expect(() => stepsOf({ calls: [] })).toThrow('not a history');
  });
});

describe('an exported history', () => {
  const person = {
    email: 'ada@example.com',
    external_user_id: 'customer-4711',
    title: 'Portrait of Ada',
    evidence: [{ type: 'URL', value: 'https://example.com/ada.png', note: null }],
    metadata: { phone: '+44 20 7946 0000' },
    reason: 'QUALITY_ISSUE',
    order_id: 'ord_1',
    amount: '25',
  };
  const history: Json = {
    events: [
      event(1, 'WORKFLOW_EXECUTION_STARTED', { input: payloads(person), identity: '77@laptop' }),
      event(2, 'ACTIVITY_TASK_FAILED', {
        failure: { message: 'cannot write to ada@example.com about Portrait of Ada', stackTrace: '/home/ada/x.ts:1' },
      }),
      event(3, 'MARKER_RECORDED', { details: { result: payloads({ summary: 'order Portrait of Ada' }) } }),
    ],
  };

  test('says nothing about a person anywhere', () => {
    const decoded: Json[] = [];
    const clean = redactHistory(history);
    mapPayloads(clean, (value) => {
      decoded.push(value);
      return value;
    });
    const text = JSON.stringify([clean, decoded]);
    for (const secret of ['ada@', 'customer-4711', 'Portrait', 'ada.png', '7946', 'laptop', '/home'])
      expect(text).not.toContain(secret);
    expect(decoded).toContainEqual(expect.objectContaining({ title: REDACTED, email: REDACTED }));
  });

  test('keeps what the program goes by: ids, amounts, codes, shapes', () => {
    expect(stepsOf(redactHistory(history))[0]?.input).toEqual([
      expect.objectContaining({
        order_id: 'ord_1',
        amount: '25',
        reason: 'QUALITY_ISSUE',
        evidence: [{ type: 'URL', value: REDACTED, note: null }],
      }),
    ]);
  });

  test('keeps every step of a recorded life', async () => {
    const before = await golden('order-released');
    const of = (value: Json) =>
      stepsOf(value).map(({ event: id, kind, name, outcome }) => ({ id, kind, name, outcome }));
    expect(of(redactHistory(before))).toEqual(of(before));
  });
});

describe('a workflow is taken back only to where nothing of it was under way', () => {
  test('of a released order: to before the release was asked for', async () => {
    const history = await golden('order-released');
    const last = quietPoints(history).at(-1);
    const release = stepsOf(history).find(({ kind, name }) => kind === 'UPDATE' && name === 'release');
    expect(last?.status).toBe('IN_PROGRESS');
    expect(last?.event).toBeLessThan(release?.event ?? 0);
    expect((release?.event ?? 0) - (last?.event ?? 0)).toBeLessThan(5);
  });

  test('not between the transactions of an operation, nor where it is parked', () => {
    const state = (status: string, operation: string | null): Json => ({
      status,
      operation: operation === null ? null : { id: 'op', status: operation },
    });
    const local = (id: number, result: Json): Json =>
      event(id, 'MARKER_RECORDED', { markerName: 'core_local_activity', details: { result: payloads(result) } });
    const task = (id: number): Json => event(id, 'WORKFLOW_TASK_COMPLETED', {});
    const update = (id: number): Json => event(id, 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED', {});
    const settled = (id: number, scheduledEventId: number, row: Json): Json =>
      event(id, 'ACTIVITY_TASK_COMPLETED', {
        scheduledEventId: String(scheduledEventId),
        result: payloads({ status: 'LANDED', state: row }),
      });
    const history = {
      events: [
        task(1),
        local(2, state('ORDER_CREATED', null)),
        task(3),
        update(4),
        local(5, state('RELEASE_REQUESTED', 'RUNNING')),
        scheduled(6, 'settleTransaction'),
        task(7),
        settled(8, 6, state('RELEASE_REQUESTED', 'RUNNING')),
        event(9, 'WORKFLOW_EXECUTION_UPDATE_COMPLETED', { acceptedEventId: '4' }),
        task(10),
        local(11, state('RELEASE_REQUESTED', 'PARKED')),
        task(12),
        local(13, state('IN_PROGRESS', 'FAILED')),
        task(14),
        update(15),
        task(16),
      ],
    };
    expect(quietPoints(history).map(({ event: at, status }) => [at, status])).toEqual([
      [1, null],
      [3, 'ORDER_CREATED'],
      [14, 'IN_PROGRESS'],
    ]);
  });
});
