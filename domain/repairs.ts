/** What an operator may do about a parked step, by its reason. */
import type { Reason } from './reasons.ts';
import type { PartyName } from './statuses.ts';

export const REPAIRS = ['retry', 'adopt', 'give_up', 'payout_to'] as const;
export type Repair = (typeof REPAIRS)[number];

/** These are found before anything is signed: what was prepared can be let go. */
const BEFORE_SIGNATURE: readonly Reason[] = ['ENVELOPE_REJECTED', 'TRUSTLINE_UNUSABLE'];

/** Somebody who is to be paid and cannot be, as `payee` of the refusal's detail: with `payout_to` somebody else is. */
export interface UnpaidPayee {
  readonly order_id: string;
  /** null: the order has no milestones */
  readonly milestone_index: number | null;
  /** null: money that belongs to neither */
  readonly party: PartyName | null;
  /** before fees, as on the wire */
  readonly amount: string;
  readonly asset: string;
}

/** @param detail of a refusal of ours, as our activities wrote it */
export const payeeOf = (detail: unknown): UnpaidPayee | null =>
  (detail as { readonly payee?: UnpaidPayee } | null)?.payee ?? null;

/**
 * @param step `mustLand`: there is no way back before it, something irreversible has landed; `payee`: who cannot be paid by it
 */
export const repairsFor = (
  reason: string,
  { mustLand, payee }: { readonly mustLand: boolean; readonly payee: UnpaidPayee | null },
): Repair[] => [
  'retry',
  'adopt',
  ...(!mustLand && BEFORE_SIGNATURE.some((one) => one === reason) ? (['give_up'] as const) : []),
  ...(payee === null ? [] : (['payout_to'] as const)),
];
