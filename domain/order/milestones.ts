/**
 * The parts of an order: its milestones, or one part for an order without. Each has a machine of its own; the order's status
 * follows from theirs. Pure.
 */
import type { FinalStatus, MilestoneStatus, OrderStatus, OrderVerb } from '../statuses.ts';

/** What moves a part: verbs of the order, and the outcome of a dispute. */
type PartMove = 'complete' | 'release' | 'refund' | 'dispute' | 'withdraw' | 'resolve';

interface PartTransition {
  readonly from: MilestoneStatus;
  readonly by: PartMove;
  readonly to: readonly MilestoneStatus[];
}

export const PART_TRANSITIONS: readonly PartTransition[] = [
  { from: 'OPEN', by: 'complete', to: ['COMPLETED'] },
  { from: 'OPEN', by: 'release', to: ['RELEASED'] },
  { from: 'OPEN', by: 'refund', to: ['REFUNDED'] },
  { from: 'OPEN', by: 'dispute', to: ['DISPUTED'] },
  { from: 'COMPLETED', by: 'release', to: ['RELEASED'] },
  { from: 'COMPLETED', by: 'refund', to: ['REFUNDED'] },
  { from: 'COMPLETED', by: 'dispute', to: ['DISPUTED'] },
  // It goes on as it was before.
  { from: 'DISPUTED', by: 'withdraw', to: ['OPEN', 'COMPLETED'] },
  { from: 'DISPUTED', by: 'resolve', to: ['RELEASED', 'REFUNDED', 'SPLIT'] },
];

/** Which move of its parts a verb is made of. */
const MOVES: Partial<Record<OrderVerb, PartMove>> = {
  deliver: 'complete',
  complete_milestone: 'complete',
  release: 'release',
  release_milestone: 'release',
  refund: 'refund',
  dispute: 'dispute',
};

export const isSettled = (status: MilestoneStatus): boolean =>
  status === 'RELEASED' || status === 'REFUNDED' || status === 'SPLIT';

/** Whether a verb can be about a part in this status. */
export function takes(verb: OrderVerb, status: MilestoneStatus): boolean {
  const move = MOVES[verb];
  return PART_TRANSITIONS.some(({ from, by }) => from === status && by === move);
}

/** @returns whether `to` can follow `from` at all */
export const mayFollow = (from: MilestoneStatus, to: MilestoneStatus): boolean =>
  PART_TRANSITIONS.some((transition) => transition.from === from && transition.to.includes(to));

interface Derived {
  readonly status: Extract<OrderStatus, 'IN_PROGRESS' | 'DISPUTED' | 'CLOSED'>;
  /** set exactly when it is closed; SPLIT whenever the parts differ */
  readonly finalStatus: Extract<FinalStatus, 'RELEASED' | 'REFUNDED' | 'SPLIT'> | null;
}

/** Where an order in progress stands, from the statuses of its parts (at least one). */
export function derive(parts: readonly MilestoneStatus[]): Derived {
  const unsettled = parts.filter((status) => !isSettled(status));
  if (unsettled.length > 0) {
    const disputed = unsettled.every((status) => status === 'DISPUTED');
    return { status: disputed ? 'DISPUTED' : 'IN_PROGRESS', finalStatus: null };
  }
  const all = (wanted: MilestoneStatus): boolean => parts.every((status) => status === wanted);
  return { status: 'CLOSED', finalStatus: all('RELEASED') ? 'RELEASED' : all('REFUNDED') ? 'REFUNDED' : 'SPLIT' };
}

/** The one part of an order without milestones is the order itself. */
export function wholePart(order: {
  readonly status: OrderStatus;
  readonly finalStatus: FinalStatus | null;
  readonly delivered: boolean;
}): MilestoneStatus {
  const { status, finalStatus, delivered } = order;
  if (finalStatus === 'RELEASED' || finalStatus === 'REFUNDED' || finalStatus === 'SPLIT') return finalStatus;
  if (status === 'DISPUTED') return 'DISPUTED';
  return delivered ? 'COMPLETED' : 'OPEN';
}
