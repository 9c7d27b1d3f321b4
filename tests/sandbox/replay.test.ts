/** The contract models against what the deployed contracts did. */
import { describe, expect, test } from '@jest/globals';
import { replay, type ReplayResult } from '../../sandbox/replay.ts';
import type { RecordedFile } from '../../sandbox/replay/recorded.ts';
import { random, recorded } from './vectors/load.ts';

const firstOf = ({ mismatches }: ReplayResult) => mismatches.slice(0, 3);

describe('every recorded call ends in the model as it did in the deployed contract', () => {
  test.each([
    ['single', 628],
    ['multi', 729],
  ] as const)('%s: outcome, result, balances, state, lifetime, events, authorisation, footprint', (name, steps) => {
    const result = replay(recorded(name));
    expect(firstOf(result)).toEqual([]);
    expect(result.steps).toBe(steps);
  });

  test.each(['random-single', 'random-multi'] as const)('%s: arguments, outcome, balances, state, signers', (name) => {
    const result = replay(random(name));
    expect(firstOf(result)).toEqual([]);
    expect(result.steps).toBe(2_600);
  });
});

describe('the replay sees a difference', () => {
  const happy = recorded('single').scenarios.slice(0, 1);
  type Step = RecordedFile['scenarios'][number]['steps'][number];

  /** Replays the first scenario with one recorded step changed. */
  const replayChanged = (n: number, change: (step: Step) => Partial<Step>): ReplayResult => {
    const scenarios = happy.map((scenario) => ({
      ...scenario,
      steps: scenario.steps.map((step) => (step.n === n ? { ...step, ...change(step) } : step)),
    }));
    return replay({ ...recorded('single'), scenarios });
  };

  test.each<[string, number, (step: Step) => Partial<Step>]>([
    ['outcome', 9, () => ({ error: { at: 'escrow', code: 35, raw: 'Error(Contract, #35)' } })],
    ['balances', 9, ({ balances }) => ({ balances: { ...balances, '@tw': ['0', '7500001'] } })],
    ['state', 3, () => ({ stateSha256: '0'.repeat(64) })],
    ['lifetime', 3, () => ({ stateTtlLedgersLeft: 17 })],
    ['number of events', 9, ({ events = [] }) => ({ events: events.slice(1) })],
    ['event 0 data', 9, ({ events = [] }) => ({ events: events.map((event) => ({ ...event, data: '1' })) })],
    [
      'auth',
      1,
      ({ auth = [] }) => ({ auth: auth.map(({ credentials, root }) => ({ credentials, root: { ...root, sub: [] } })) }),
    ],
    ['footprint, read and write', 1, () => ({ resources: { readOnly: [], readWrite: [] } })],
  ])('in the %s', (what, n, change) => {
    expect(replayChanged(n, () => ({})).mismatches).toEqual([]);
    const { mismatches } = replayChanged(n, change);
    expect(mismatches.flatMap(({ differences }) => differences).some((line) => line.startsWith(what))).toBe(true);
  });

  test('a build that is not modelled is refused', () => {
    const file = recorded('single');
    expect(() => replay({ ...file, meta: { ...file.meta, wasmSha256: 'ab'.repeat(32) } })).toThrow('no model of WASM');
  });
});
