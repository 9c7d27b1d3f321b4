/**
 * CREATED → [APPROVAL_REQUIRED →] APPROVED → SUBMITTED → COMPLETED | FAILED, and CANCELED as long as no envelope is
 * signed. Pure; for withdrawals and adjustments alike.
 */
import type { PaymentStatus, PaymentVerb } from '../statuses.ts';

const ALLOWED: Record<PaymentStatus, readonly PaymentVerb[]> = {
  CREATED: ['cancel'],
  APPROVAL_REQUIRED: ['approve', 'cancel'],
  APPROVED: ['cancel'],
  // Its envelope may land at any time: there is neither forward nor back, only finding out (F2).
  SUBMITTED: [],
  COMPLETED: [],
  FAILED: [],
  CANCELED: [],
};

export const allowedPaymentVerbs = (status: PaymentStatus): readonly PaymentVerb[] => ALLOWED[status];

/** Nothing can change it any more. */
export const isOver = (status: PaymentStatus): boolean =>
  status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELED';

/** Whether its transaction is to be driven: to be built and signed, or to be found out about. */
export const isDue = (status: PaymentStatus): boolean => status === 'APPROVED' || status === 'SUBMITTED';

/** Why a verb is refused, in words for the problem document. */
export function paymentRefusal(status: PaymentStatus, verb: PaymentVerb): string {
  const from = Object.entries(ALLOWED).flatMap(([one, verbs]) => (verbs.includes(verb) ? [one] : []));
  return `${verb} needs ${from.join(' or ')}, it is ${status}`;
}
