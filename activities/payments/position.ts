/** Positions in the history: decimal ids in Horizon's form, the ledger in the upper half. */

/** The ledger number of a position. */
export const ledgerOf = (cursor: string): number => Number(BigInt(cursor) >> 32n);
