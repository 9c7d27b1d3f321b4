/** Stations in the life of an order of 25, as tables of cases name them. */
export const RESERVED = ['created', 'funds_reserved'];
export const ESCROWED = [...RESERVED, 'escrow_creating', 'escrow_created', 'escrow_funding'];
export const FUNDED = [...ESCROWED, 'escrow_funded', 'in_progress'];

/** Verbs that lead there. */
export const TO_ESCROW = ['reserve', 'escrow'];
export const TO_PROGRESS = [...TO_ESCROW, 'escrow/fund'];

/** The buyer's money. */
export const HELD = { available: '0', reserved: '25', in_escrow: '0' };
export const IN_ESCROW = { available: '0', reserved: '0', in_escrow: '25' };

/** Allowed while it is in progress: without milestones, with them, and of a dispute. */
export const RELEASABLE = ['deliver', 'release', 'refund', 'dispute', 'extend'];
export const OF_MILESTONES = ['complete_milestone', 'release_milestone', 'release', 'refund', 'dispute', 'extend'];
export const ARGUED = ['assign', 'withdraw', 'resolve'];
export const UNDECIDED = { status: 'OPEN', allowed: ARGUED, decision: null };

export const TWO_MILESTONES = [
  { milestone_ref: 'm1', title: 'Draft', amount: '10' },
  { milestone_ref: 'm2', title: 'Final', amount: '15' },
];

export const OPENING = { opened_by: 'BUYER', reason: 'QUALITY_ISSUE', description: 'Wrong size' };
const AGENT = { resolved_by: 'agent:alice' };
export const FULL_RELEASE = { decision: 'FULL_RELEASE', ...AGENT };
export const FULL_REFUND = { decision: 'FULL_REFUND', ...AGENT };
export const SPLIT = { decision: 'SPLIT', release_amount: '10', refund_amount: '15', ...AGENT };
