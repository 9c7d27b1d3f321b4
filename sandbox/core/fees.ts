/** What a transaction pays. All amounts are stroops of XLM. */
import type { Tx } from './envelope.ts';

/** The network's minimum per operation; without surge, also what everyone pays. */
export const BASE_FEE = 100n;

/** Share of the declared resource fee that a contract call uses up; the rest comes back. */
const RESOURCE_FEE_USED_PERCENT = 70n;

/** A fee bump counts as one more operation. */
export function feeUnits(tx: Tx): bigint {
  const operations = BigInt(Math.max(1, tx.operations.length));
  return tx.bump === null ? operations : operations + 1n;
}

/** What remains of the bid for inclusion after the resource fee. */
export function inclusionBid(tx: Tx): bigint {
  return tx.fee - tx.resourceFee;
}

/** The least this transaction must bid. */
export function minimumFee(tx: Tx): bigint {
  return BASE_FEE * feeUnits(tx) + tx.resourceFee;
}

/**
 * Taken when the ledger starts to apply; a contract call gets `refundOf` back afterwards.
 * @param baseFee what everyone of the ledger pays per operation: the minimum, or under surge the lowest winning bid
 */
export function chargeOf(tx: Tx, baseFee: bigint): bigint {
  const due = baseFee * feeUnits(tx);
  const bid = inclusionBid(tx);
  return (bid < due ? bid : due) + tx.resourceFee;
}

export function refundOf(tx: Tx): bigint {
  return tx.resourceFee - (tx.resourceFee * RESOURCE_FEE_USED_PERCENT) / 100n;
}

/** What a contract call must declare at least: grows with the entries it reads and writes and the bytes of the call. */
export function minimumResourceFee(size: { readOnly: number; readWrite: number; bytes: number }): bigint {
  return BigInt(20_000 + 5_000 * size.readOnly + 20_000 * size.readWrite + 100 * Math.ceil(size.bytes / 100));
}
