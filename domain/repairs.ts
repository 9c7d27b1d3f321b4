/** What an operator may do about a parked step, by its reason. */
import type { Reason } from './reasons.ts';

/** `adopt` and `payout_to` are named by the API's contract; no step offers them yet. */
export const REPAIRS = ['retry', 'adopt', 'give_up', 'payout_to'] as const;
export type Repair = (typeof REPAIRS)[number];

/** These are found before anything is signed: what was prepared can be let go. */
const BEFORE_SIGNATURE: readonly Reason[] = ['ENVELOPE_REJECTED', 'TRUSTLINE_UNUSABLE'];

/** @param mustLand there is no way back before the step: something irreversible has landed */
export const repairsFor = (reason: string, mustLand: boolean): Repair[] =>
  !mustLand && BEFORE_SIGNATURE.some((one) => one === reason) ? ['retry', 'give_up'] : ['retry'];
