/**
 * Orders live for weeks, over many deployments: the workflows of this commit must be able to take over every life that an
 * earlier one began. A change that these tests refuse needs `patched()`, not a new recording.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Json } from '../../cli/replay/payloads.ts';
import * as workflows from '../../workflows/index.ts';
import { type Replayed, readGoldens, replay } from './golden.ts';
import { withLostTasks } from './repeated.ts';

const goldens = await readGoldens();
const lost = (workflowId: string): string => `${workflowId}/lost`;
let replayed: Replayed;

beforeAll(async () => {
  const repeated = goldens.map(({ workflowId, history }) => ({
    workflowId: lost(workflowId),
    history: withLostTasks(history as Json),
  }));
  replayed = await replay([...goldens, ...repeated]);
}, 120_000);

describe.each(goldens)('$name', ({ workflowId, calls }) => {
  test('replays on the workflows of this commit', () => {
    expect(replayed.errors.get(workflowId)?.message).toBeUndefined();
  });

  test('calls the same activities with the same arguments', () => {
    expect(replayed.calls.get(workflowId)).toEqual(calls);
  });

  test('asks for the same again when every task was lost once with its worker', () => {
    expect(replayed.errors.get(lost(workflowId))?.message).toBeUndefined();
    expect(replayed.calls.get(lost(workflowId))).toEqual(calls);
  });
});

test('every workflow has a golden history', () => {
  const recorded = new Set(goldens.map(({ workflowType }) => workflowType));
  expect(Object.keys(workflows).filter((name) => !recorded.has(name))).toEqual([]);
});

test('golden histories name neither machines nor processes', () => {
  expect(JSON.stringify(goldens)).not.toMatch(/"identity":"(?!golden")|"stackTrace":"(?!")/);
});
