/** Deadline terms as a marketplace or an order states them: ISO 8601 durations, null = off. */

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
