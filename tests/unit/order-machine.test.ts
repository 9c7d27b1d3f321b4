import { describe, expect, test } from '@jest/globals';
import { TRANSITIONS, allowedVerbs, refusal, transitionOf } from '../../domain/order/machine.ts';
import { ORDER_STATUSES, ORDER_VERBS, type OrderStatus } from '../../domain/statuses.ts';

const at = (
  status: OrderStatus,
  operation: { status: 'RUNNING' | 'PARKED' | 'SUCCEEDED' | 'FAILED' } | null = null,
) => ({
  status,
  operation,
  delivered: false,
});

describe('the order machine', () => {
  test.each(ORDER_STATUSES.flatMap((status) => ORDER_VERBS.map((verb) => [status, verb] as const)))(
    '%s × %s is one listed transition or a refusal that says why',
    (status, verb) => {
      const listed = TRANSITIONS.filter((candidate) => candidate.from === status && candidate.verb === verb);
      expect(listed.length).toBeLessThanOrEqual(1);
      expect(transitionOf(at(status), verb)).toBe(listed[0] ?? null);
      expect(allowedVerbs(at(status)).includes(verb)).toBe(listed.length === 1);
      if (listed.length === 0) expect(refusal(at(status), verb)).toMatch(new RegExp(`^${verb} `));
    },
  );

  test.each(['RUNNING', 'PARKED'] as const)('while an operation is %s nothing else may begin', (status) => {
    for (const from of ORDER_STATUSES) expect(allowedVerbs(at(from, { status }))).toEqual([]);
  });

  test('a failed operation leaves the verb allowed again', () => {
    expect(allowedVerbs(at('ESCROW_FUNDING', { status: 'FAILED' }))).toContain('fund');
  });

  test('work is delivered once', () => {
    expect(allowedVerbs({ ...at('IN_PROGRESS'), delivered: true })).toEqual(['release']);
  });

  test('every status that is entered at rest can be left, until CLOSED', () => {
    const entered = new Set(TRANSITIONS.map((transition) => transition.through.at(-1)));
    for (const status of entered)
      if (status !== undefined && status !== 'CLOSED') expect(allowedVerbs(at(status)).length).toBeGreaterThan(0);
  });

  test('a dead transaction leads back to where its verb may be tried again', () => {
    for (const { verb, ifDead } of TRANSITIONS)
      if (ifDead !== null) expect(allowedVerbs(at(ifDead, { status: 'FAILED' }))).toContain(verb);
  });
});
