/** What is left in the contract of an order that is over. Pure; amounts in stroops. */
import type { Repair } from './repairs.ts';

/** What its workflow knows of it. */
export interface SurplusState {
  readonly order_id: string;
  readonly marketplace_id: string;
  readonly contract_id: string;
  /** `SETTLED` nothing is left · `WAITING` somebody has to say whose it is · `PAYING` two persons did */
  readonly status: 'SETTLED' | 'WAITING' | 'PAYING';
  /** decimal; what is left, or is being paid out */
  readonly amount: string;
  readonly asset: string;
  /** PAYING: on whose word */
  readonly approval_id: string | null;
  /** PAYING: parts that have to be in dispute first, because the contract pays nothing out while they are open */
  readonly open_parts: readonly (number | null)[];
  /** task queue of the escrow gateway, when it is not the usual one */
  readonly prepare_on?: 'chain';
}

/** One payment into the contract by somebody else. */
export interface PaidIn {
  readonly from: string;
  readonly amount: bigint;
}

export const SURPLUS_REPAIRS: readonly Repair[] = ['payout_to'];

/**
 * Where it should go unless somebody knows better: back to who paid it in, if all of it came from one account, else to
 * the buyer.
 * @param paidIn newest first
 */
export function defaultPayee(held: bigint, paidIn: readonly PaidIn[], buyer: string): string {
  const payers = new Set<string>();
  let explained = 0n;
  for (const { from, amount } of paidIn) {
    if (explained >= held) break;
    payers.add(from);
    explained += amount;
  }
  const [payer] = payers;
  const isAccount = payer?.startsWith('G') === true;
  return payers.size === 1 && explained >= held && payer !== undefined && isAccount ? payer : buyer;
}
