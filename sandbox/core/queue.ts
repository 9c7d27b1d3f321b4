/**
 * The transaction queue: one pending transaction per source account, replaced only by a fee bump that bids ten times
 * as much, dropped after four ledgers and then banned for ten.
 */
import { checkTransaction, type Refusal } from './check.ts';
import type { Tx } from './envelope.ts';
import { BASE_FEE, feeUnits, inclusionBid, minimumFee } from './fees.ts';
import { spendable } from './operations/context.ts';
import type { BaseFees } from './apply.ts';
import type { CoreView } from './state.ts';

const REPLACE_FACTOR = 10n;
const MAX_AGE_LEDGERS = 4;
const BAN_LEDGERS = 10;

/** How much one ledger takes: operations of plain transactions, and contract calls. */
export interface Capacity {
  classic: number;
  soroban: number;
}

type Admission =
  | { readonly status: 'PENDING' | 'DUPLICATE' | 'TRY_AGAIN_LATER' }
  | { readonly status: 'ERROR'; readonly refusal: Refusal; readonly fee: bigint };

interface Selection {
  readonly transactions: Tx[];
  readonly fees: BaseFees;
}

export interface Queue {
  /** Admits or refuses; `view` stands at the next ledger. */
  add(tx: Tx, view: CoreView): Admission;
  /**
   * What the next ledger takes, best bids first. Nothing leaves the queue yet.
   * @param price lowest bid per operation (stroops) that gets in, which everyone then pays
   */
  select(view: CoreView, price?: bigint): Selection;
  /** Drops what was applied, ages the rest. */
  closed(sequence: number, applied: readonly Tx[]): void;
  pending(): Tx[];
  clear(): void;
}

/** Compares bids per operation without dividing: positive when `a` bids more. */
function compareBids(a: Tx, b: Tx): bigint {
  return inclusionBid(a) * feeUnits(b) - inclusionBid(b) * feeUnits(a);
}

function sameTransaction(queued: Tx, tx: Tx): boolean {
  return queued.id === tx.id || (queued.bump !== null && tx.bump === null && queued.hash.equals(tx.hash));
}

const error = (refusal: Refusal, fee: bigint): Admission => ({ status: 'ERROR', refusal, fee });

/** A replacement must outbid the queued one tenfold, per operation. */
function replacement(queued: Tx, tx: Tx): Admission | null {
  if (sameTransaction(queued, tx)) return { status: 'DUPLICATE' };
  if (tx.sequence < queued.sequence) return error({ code: 'txBAD_SEQ', operations: [], outer: false }, minimumFee(tx));
  if (tx.bump === null || tx.sequence !== queued.sequence) return { status: 'TRY_AGAIN_LATER' };
  const needed = REPLACE_FACTOR * inclusionBid(queued) * feeUnits(tx);
  if (inclusionBid(tx) * feeUnits(queued) >= needed) return null;
  const fee = (needed + feeUnits(queued) - 1n) / feeUnits(queued) + tx.resourceFee;
  return error({ code: 'txINSUFFICIENT_FEE', operations: [], outer: true }, fee);
}

/** Takes the best bids of one kind into the ledger; the lowest of them is everyone's price if some had to stay. */
function fill(
  candidates: Tx[],
  capacity: number,
  floor: bigint,
  size: (tx: Tx) => number,
): { taken: Tx[]; price: bigint } {
  const affordable = candidates.filter((tx) => inclusionBid(tx) >= floor * feeUnits(tx));
  const sorted = affordable.toSorted((a, b) => {
    const bids = compareBids(b, a);
    return bids === 0n ? (a.id < b.id ? -1 : 1) : bids > 0n ? 1 : -1;
  });
  const taken: Tx[] = [];
  let room = capacity;
  for (const tx of sorted) {
    if (size(tx) > room) continue;
    room -= size(tx);
    taken.push(tx);
  }
  const lowest = taken.at(-1);
  if (taken.length === sorted.length || lowest === undefined) return { taken, price: floor };
  const price = inclusionBid(lowest) / feeUnits(lowest);
  return { taken, price: price > floor ? price : floor };
}

export function createQueue(capacity: Capacity): Queue {
  const queued = new Map<string, { tx: Tx; age: number }>();
  /** hash → last ledger of the ban */
  const banned = new Map<string, number>();

  const pendingFees = (payer: string, except: Tx | undefined): bigint =>
    [...queued.values()].reduce((sum, { tx }) => (tx.feeSource === payer && tx !== except ? sum + tx.fee : sum), 0n);

  const ban = (tx: Tx, sequence: number): void => {
    queued.delete(tx.source);
    banned.set(tx.id, sequence + BAN_LEDGERS);
  };

  const add = (tx: Tx, view: CoreView): Admission => {
    if ((banned.get(tx.id) ?? 0) >= view.sequence) return { status: 'TRY_AGAIN_LATER' };
    const current = queued.get(tx.source)?.tx;
    const replaced = current === undefined ? null : replacement(current, tx);
    if (replaced !== null) return replaced;
    const refusal = checkTransaction(tx, view, true);
    if (refusal !== null) return error(refusal, minimumFee(tx));
    const payer = view.account(tx.feeSource);
    if (payer === undefined || spendable(payer, view.baseReserve) < pendingFees(tx.feeSource, current) + tx.fee) {
      return error({ code: 'txINSUFFICIENT_BALANCE', operations: [], outer: tx.bump !== null }, minimumFee(tx));
    }
    queued.set(tx.source, { tx, age: 0 });
    return { status: 'PENDING' };
  };

  const select = (view: CoreView, price = BASE_FEE): Selection => {
    const pending = [...queued.values()].map(({ tx }) => tx);
    // What became invalid since it was admitted never reaches a ledger.
    const valid = pending.filter((tx) => {
      if (checkTransaction(tx, view, true) === null) return true;
      ban(tx, view.sequence);
      return false;
    });
    const units = (tx: Tx): number => tx.operations.length;
    const classic = fill(
      valid.filter((tx) => tx.soroban === null),
      capacity.classic,
      price,
      units,
    );
    const soroban = fill(
      valid.filter((tx) => tx.soroban !== null),
      capacity.soroban,
      price,
      () => 1,
    );
    const fees = { classic: classic.price, soroban: soroban.price };
    return { transactions: [...classic.taken, ...soroban.taken], fees };
  };

  return {
    add,
    select,
    closed: (sequence, applied) => {
      for (const tx of applied) queued.delete(tx.source);
      for (const entry of queued.values()) {
        entry.age += 1;
        if (entry.age >= MAX_AGE_LEDGERS) ban(entry.tx, sequence);
      }
      for (const [hash, until] of banned) if (until < sequence) banned.delete(hash);
    },
    pending: () => [...queued.values()].map(({ tx }) => tx),
    clear: () => {
      queued.clear();
      banned.clear();
    },
  };
}
