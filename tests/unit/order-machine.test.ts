import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type OrderView, TRANSITIONS, allowedVerbs, refusal, transitionOf } from '../../domain/order/machine.ts';
import type { Repair } from '../../domain/repairs.ts';
import { PART_TRANSITIONS, derive, isSettled, mayFollow, takes } from '../../domain/order/milestones.ts';
import {
  MILESTONE_STATUSES,
  type MilestoneStatus,
  ORDER_STATUSES,
  ORDER_VERBS,
  type OrderStatus,
  type OrderVerb,
} from '../../domain/statuses.ts';

const at = (status: OrderStatus, view: Partial<OrderView> = {}): OrderView => ({
  status,
  operation: null,
  parts: ['OPEN'],
  hasMilestones: false,
  live: true,
  ...view,
});

const forMilestones = (verb: OrderVerb): boolean => verb === 'complete_milestone' || verb === 'release_milestone';

describe('the order machine', () => {
  test.each(ORDER_STATUSES.flatMap((status) => ORDER_VERBS.map((verb) => [status, verb] as const)))(
    '%s × %s is one listed transition or a refusal that says why',
    (status, verb) => {
      const view = at(status, { hasMilestones: forMilestones(verb) });
      const listed = TRANSITIONS.filter((candidate) => candidate.from === status && candidate.verb === verb);
      expect(listed.length).toBeLessThanOrEqual(1);
      expect(transitionOf(view, verb)).toBe(listed[0] ?? null);
      expect(allowedVerbs(view).includes(verb)).toBe(listed.length === 1);
      if (listed.length === 0) expect(refusal(view, verb)).toMatch(new RegExp(`^${verb} `));
    },
  );

  test.each(['RUNNING', 'PARKED'] as const)('while an operation is %s nothing else may begin', (status) => {
    for (const from of ORDER_STATUSES)
      for (const verb of ORDER_VERBS)
        for (const live of [true, false]) {
          const allowed = allowedVerbs(at(from, { operation: { verb, status }, live }));
          const canEnd = (verb === 'escrow' || verb === 'fund') && !live;
          const cancelable = TRANSITIONS.some((one) => one.from === from && one.verb === 'cancel');
          expect(allowed).toEqual(canEnd && cancelable ? ['cancel'] : []);
        }
  });

  test('what is parked is canceled only where it may be given up', () => {
    const parked = (repairs: readonly Repair[]) =>
      allowedVerbs(at('ESCROW_FUNDING', { operation: { verb: 'fund', status: 'PARKED', repairs }, live: false }));
    expect(parked(['retry', 'give_up'])).toEqual(['cancel']);
    expect(parked(['retry'])).toEqual([]);
  });

  test('a failed operation leaves the verb allowed again', () => {
    expect(allowedVerbs(at('ESCROW_FUNDING', { operation: { verb: 'fund', status: 'FAILED' } }))).toContain('fund');
  });

  test('work is delivered once, and only where there are no milestones', () => {
    expect(allowedVerbs(at('IN_PROGRESS', { parts: ['COMPLETED'] }))).toEqual([
      'release',
      'refund',
      'dispute',
      'extend',
    ]);
    expect(allowedVerbs(at('IN_PROGRESS', { parts: ['OPEN', 'OPEN'], hasMilestones: true }))).toEqual([
      'complete_milestone',
      'release_milestone',
      'release',
      'refund',
      'dispute',
      'extend',
    ]);
  });

  test('what is settled or in dispute is left alone', () => {
    const parts: MilestoneStatus[] = ['RELEASED', 'DISPUTED', 'REFUNDED'];
    expect(allowedVerbs(at('DISPUTED', { parts, hasMilestones: true }))).toEqual(['extend']);
    for (const status of ['RELEASED', 'DISPUTED', 'REFUNDED', 'SPLIT'] as const)
      for (const verb of ['complete_milestone', 'release', 'refund', 'dispute'] as const)
        expect(takes(verb, status)).toBe(false);
  });

  test('a dead transaction leads back to where its verb may be tried again', () => {
    for (const { verb, ifDead } of TRANSITIONS)
      if (ifDead !== null && verb !== 'dispute_settled')
        expect(
          allowedVerbs(at(ifDead, { operation: { verb, status: 'FAILED' }, hasMilestones: forMilestones(verb) })),
        ).toContain(verb);
  });
});

describe('the parts of an order', () => {
  test('every unsettled status can be left, no settled one can', () => {
    for (const status of MILESTONE_STATUSES)
      expect(PART_TRANSITIONS.some(({ from }) => from === status)).toBe(!isSettled(status));
  });

  test('say where the order stands: closed when all are settled, disputed when all that is left is', () => {
    expect(derive(['RELEASED', 'RELEASED'])).toEqual({ status: 'CLOSED', finalStatus: 'RELEASED' });
    expect(derive(['REFUNDED', 'REFUNDED'])).toEqual({ status: 'CLOSED', finalStatus: 'REFUNDED' });
    for (const mixed of [['RELEASED', 'REFUNDED'], ['SPLIT'], ['SPLIT', 'RELEASED']] as MilestoneStatus[][])
      expect(derive(mixed)).toEqual({ status: 'CLOSED', finalStatus: 'SPLIT' });
    expect(derive(['RELEASED', 'DISPUTED'])).toEqual({ status: 'DISPUTED', finalStatus: null });
    expect(derive(['OPEN', 'DISPUTED'])).toEqual({ status: 'IN_PROGRESS', finalStatus: null });
  });
});

/** What a verb that went well, or was proved dead, makes of an order; as the booking does it, without rows. */
function after(view: OrderView, verb: OrderVerb, isDead: boolean, pick: (max: number) => number): OrderView {
  const transition = transitionOf(view, verb);
  if (transition === null) throw new Error(`${verb} is not allowed`);
  const operation = { verb, status: isDead ? ('FAILED' as const) : ('SUCCEEDED' as const) };
  if (isDead && transition.ifDead !== null) return { ...view, status: transition.ifDead, operation };
  const able = view.parts.flatMap((status, index) => (takes(verb, status) ? [index] : []));
  if (able.length === 0) return { ...view, status: transition.ways[0]?.at(-1) ?? view.status, operation };
  const all = verb === 'release' || verb === 'refund';
  const moved = all ? able : [able[pick(able.length)]];
  const parts = view.parts.map((status, index) => {
    if (!moved.includes(index)) return status;
    const to = PART_TRANSITIONS.filter(({ from }) => from === status).find(({ to: targets }) =>
      targets.includes(TARGETS[verb] ?? 'OPEN'),
    );
    expect(to).toBeDefined();
    return TARGETS[verb] ?? status;
  });
  const status = derive(parts).status;
  expect(transition.ways.map((way) => way.at(-1))).toContain(status);
  return { ...view, parts, status, operation };
}

const TARGETS: Partial<Record<OrderVerb, MilestoneStatus>> = {
  deliver: 'COMPLETED',
  complete_milestone: 'COMPLETED',
  release: 'RELEASED',
  release_milestone: 'RELEASED',
  refund: 'REFUNDED',
  dispute: 'DISPUTED',
};

/** The outcome of one dispute. */
function settled(view: OrderView, pick: (max: number) => number): OrderView {
  const disputed = view.parts.flatMap((status, index) => (status === 'DISPUTED' ? [index] : []));
  const index = disputed[pick(disputed.length)];
  const outcomes = MILESTONE_STATUSES.filter((status) => mayFollow('DISPUTED', status));
  const outcome = outcomes[pick(outcomes.length)] ?? 'SPLIT';
  const parts = view.parts.map((status, part) => (part === index ? outcome : status));
  const status = derive(parts).status;
  const listed = TRANSITIONS.find((one) => one.from === view.status && one.verb === 'dispute_settled');
  expect(listed?.ways.map((way) => way.at(-1))).toContain(status);
  return { ...view, parts, status };
}

test('from every status that is not the last, whatever happens, an order reaches the last one', () => {
  const rest = ORDER_STATUSES.filter((status) =>
    TRANSITIONS.some(({ from, ways, ifDead }) => from === status && (ways.length > 0 || ifDead !== null)),
  ).filter((status) => status !== 'ESCROW_CREATING');
  fc.assert(
    fc.property(
      fc.constantFrom(...rest),
      fc.integer({ min: 0, max: 4 }),
      fc.infiniteStream(fc.nat()),
      (start, milestones, random) => {
        const pick = (max: number): number => (random.next().value ?? 0) % max;
        const hasMilestones = milestones > 0;
        const parts = Array.from({ length: Math.max(1, milestones) }, () =>
          start === 'DISPUTED' ? ('DISPUTED' as const) : ('OPEN' as const),
        );
        let view = at(start, { parts, hasMilestones });
        // A walk that only extends or disputes for ever is nobody's business: such verbs lose their turn in the end.
        for (let step = 0; view.status !== 'CLOSED'; step += 1) {
          expect(step).toBeLessThan(400);
          const verbs = allowedVerbs(view).filter((verb) => step < 100 || (verb !== 'extend' && verb !== 'dispute'));
          const disputed = view.parts.includes('DISPUTED');
          expect(verbs.length > 0 || disputed).toBe(true);
          const choice = pick(verbs.length + (disputed ? 1 : 0));
          const verb = verbs[choice];
          view = verb === undefined ? settled(view, pick) : after(view, verb, step < 200 && pick(3) === 0, pick);
        }
        expect(allowedVerbs(view)).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
