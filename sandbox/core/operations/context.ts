/** What an operation sees while it executes, and the reserve rules that all operations share. */
import type { Tx } from '../envelope.ts';
import type { CoreView } from '../state.ts';
import type { AccountEntry, BalanceChange, EmittedEvent, InvokeHostFunction } from '../types.ts';

export interface OpContext {
  readonly view: CoreView;
  readonly source: string;
  readonly tx: Tx;
  /** sponsored account → sponsor, while a sandwich of this transaction is open */
  readonly sponsorships: Map<string, string>;
  readonly invoke: InvokeHostFunction;
}

export interface OpOutcome {
  /** Horizon's name of the result, `op_success` or a failure */
  readonly name: string;
  readonly payload?: Buffer;
  readonly changes?: BalanceChange[];
  /** of a contract call: InvokeHostFunctionSuccessPreImage XDR */
  readonly image?: Uint8Array;
  readonly diagnostics?: EmittedEvent[];
  /** base64 ScVal */
  readonly returnValue?: string;
}

export const success: OpOutcome = { name: 'op_success' };
export const failure = (name: string): OpOutcome => ({ name });

export const MAX_INT64 = 9_223_372_036_854_775_807n;
const MAX_SUBENTRIES = 1_000;

/** The XLM an account must keep: two reserves of its own, one per subentry and sponsored unit, less what others sponsor. */
function minimumBalance(account: AccountEntry, baseReserve: bigint): bigint {
  return BigInt(2 + account.subentries + account.sponsoring - account.sponsored) * baseReserve;
}

/** XLM above the minimum balance; negative when the account is below it. */
export function spendable(account: AccountEntry, baseReserve: bigint): bigint {
  return account.balance - minimumBalance(account, baseReserve);
}

/** An entry's reserve: `units` of it (an account has two), and whether it counts among its owner's subentries. */
export interface Reserve {
  readonly owner: string;
  readonly units: number;
  readonly subentry: boolean;
}

type Reserved = { readonly failed: string } | { readonly failed: null; readonly sponsor: string | null };

/**
 * Locks the reserve of a new entry: the sponsor's if a sandwich is open for the owner, else the owner's.
 * The owner's account entry must exist in the view.
 */
export function reserve({ view, sponsorships }: OpContext, { owner, units, subentry }: Reserve): Reserved {
  const account = view.account(owner);
  if (account === undefined) return { failed: 'op_no_source_account' };
  if (subentry) {
    if (account.subentries + units > MAX_SUBENTRIES) return { failed: 'op_too_many_subentries' };
    account.subentries += units;
  }
  const sponsorId = sponsorships.get(owner);
  if (sponsorId === undefined) {
    if (spendable(account, view.baseReserve) < 0n) return { failed: 'op_low_reserve' };
    view.putAccount(account);
    return { failed: null, sponsor: null };
  }
  const sponsor = view.account(sponsorId);
  if (sponsor === undefined || spendable(sponsor, view.baseReserve) < BigInt(units) * view.baseReserve) {
    return { failed: 'op_low_reserve' };
  }
  sponsor.sponsoring += units;
  view.putAccount(sponsor);
  account.sponsored += units;
  view.putAccount(account);
  return { failed: null, sponsor: sponsorId };
}

/** Gives the reserve of a removed entry back to whoever locked it. */
export function release({ view }: OpContext, { owner, units, subentry }: Reserve, sponsorId: string | null): void {
  const account = view.account(owner);
  if (account !== undefined) {
    if (subentry) account.subentries -= units;
    if (sponsorId !== null) account.sponsored -= units;
    view.putAccount(account);
  }
  const sponsor = sponsorId === null ? undefined : view.account(sponsorId);
  if (sponsor === undefined) return;
  sponsor.sponsoring -= units;
  view.putAccount(sponsor);
}
