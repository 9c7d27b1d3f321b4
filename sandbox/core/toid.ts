/** Total order ids (SEP-35): ledger, position of the transaction, position of the operation, in one 64-bit number. */

export function toid(ledger: number, order = 0, operation = 0): bigint {
  return (BigInt(ledger) << 32n) | (BigInt(order) << 12n) | BigInt(operation);
}

/** The cursor `now` stands for: behind everything of the ledger. */
export function endOfLedger(ledger: number): bigint {
  return (BigInt(ledger) << 32n) | 0xffffffffn;
}

export function ledgerOf(id: bigint): number {
  return Number(id >> 32n);
}
