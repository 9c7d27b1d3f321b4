/** Deadline terms as a marketplace or an order states them (ISO 8601 durations, null = off), and which one comes next. */
import type { DueAction, MilestoneStatus, OrderStatus } from '../statuses.ts';

export const DEADLINE_NAMES = ['funding', 'delivery', 'inspection', 'dispute'] as const;
export type DeadlineName = (typeof DEADLINE_NAMES)[number];

export interface DeadlineTerms {
  readonly funding: string | null;
  readonly delivery: string | null;
  readonly inspection: string | null;
  readonly dispute: string | null;
  readonly dispute_default: 'FULL_RELEASE' | 'FULL_REFUND' | null;
}

export const DEFAULT_DEADLINES: DeadlineTerms = {
  funding: 'P7D',
  delivery: null,
  inspection: null,
  dispute: null,
  dispute_default: null,
};

/** Absolute times, ISO; one that has not started has none, unless it was extended before. */
export type DueTimes = Readonly<Partial<Record<DeadlineName, string>>>;

export interface Due {
  readonly action: DueAction;
  readonly at: string;
}

export interface DueView {
  readonly status: OrderStatus;
  readonly dueTimes: DueTimes;
  readonly parts: readonly { readonly status: MilestoneStatus; readonly inspectionDue: string | null }[];
}

const BEFORE_FUNDING: readonly OrderStatus[] = ['ORDER_CREATED', 'FUNDS_RESERVED', 'ESCROW_CREATING', 'ESCROW_FUNDING'];

const due = (action: DueAction, at: string | null | undefined): Due[] => (at == null ? [] : [{ action, at }]);

/** The next timer that is the order's own: a dispute's deadline belongs to the dispute. */
export function nextDue({ status, dueTimes, parts }: DueView): Due | null {
  if (status === 'CLOSED') return null;
  if (BEFORE_FUNDING.includes(status)) return earliest(due('EXPIRE', dueTimes.funding));
  return earliest([
    // Only what nobody worked on is refunded, so a delivery ends it.
    ...(parts.some((part) => part.status === 'OPEN') ? due('AUTO_REFUND', dueTimes.delivery) : []),
    ...parts
      .filter((part) => part.status === 'COMPLETED')
      .flatMap(({ inspectionDue }) => due('AUTO_RELEASE', inspectionDue)),
  ]);
}

/** The next timer as the order shows it: its own, or that of its disputes. */
export function shownDue(view: DueView): Due | null {
  const disputed = view.parts.some((part) => part.status === 'DISPUTED');
  const own = nextDue(view);
  return earliest([...(own === null ? [] : [own]), ...(disputed ? due('DISPUTE_DEFAULT', view.dueTimes.dispute) : [])]);
}

function earliest(candidates: readonly Due[]): Due | null {
  return candidates.reduce<Due | null>(
    (first, candidate) => (first === null || Date.parse(candidate.at) < Date.parse(first.at) ? candidate : first),
    null,
  );
}
