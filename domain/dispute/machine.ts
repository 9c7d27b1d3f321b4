/**
 * The dispute's machine. Pure.
 *
 *   OPEN → UNDER_REVIEW → RESOLVING → RESOLVED, or WITHDRAWN by its opener before RESOLVING
 *
 * Proved dead: nothing landed, or only an approval → where it was before the decision; a dispute that is open on chain, or
 * anything that was paid → it stays RESOLVING and is driven on.
 */
import type { DisputeStatus, DisputeVerb } from '../statuses.ts';

const ALLOWED: Record<DisputeStatus, readonly DisputeVerb[]> = {
  OPEN: ['assign', 'withdraw', 'resolve'],
  UNDER_REVIEW: ['assign', 'withdraw', 'resolve'],
  RESOLVING: [],
  RESOLVED: [],
  WITHDRAWN: [],
};

export const allowedDisputeVerbs = (status: DisputeStatus): readonly DisputeVerb[] => ALLOWED[status];

/** Nothing can change it any more. */
export const isDisputeOver = (status: DisputeStatus): boolean => status === 'RESOLVED' || status === 'WITHDRAWN';

/** Whether it is still argued about: evidence is taken until the decision. */
export const isArguing = (status: DisputeStatus): boolean => status === 'OPEN' || status === 'UNDER_REVIEW';

/** Where it stands before a decision, and again when a decision came to nothing. */
export const statusBefore = (dispute: { readonly assignedTo: string | null }): DisputeStatus =>
  dispute.assignedTo === null ? 'OPEN' : 'UNDER_REVIEW';

/** Why a verb is refused, in words for the problem document. */
export const disputeRefusal = (status: DisputeStatus, verb: string): string =>
  `${verb} needs OPEN or UNDER_REVIEW, it is ${status}`;
