/**
 * What happens to the next ledgers from outside of their transactions. It changes what a ledger leads to, so the
 * journal keeps it with the ledger.
 */
import type { Tx } from './envelope.ts';
import { BASE_FEE } from './fees.ts';
import type { Disturbance } from './journal.ts';

export interface Disturbances {
  /** The contract call with this hash fails in its ledger, whatever it does. */
  doom(hash: string): void;
  /** The next ledger begins with everything archived that the contract keeps. */
  archive(contract: string): void;
  /** For so many ledgers, only who bids `price` stroops per operation gets in, and everyone pays it. */
  surge(price: bigint, ledgers: number): void;
  /** The lowest bid of the next ledger, in stroops per operation. */
  price(): bigint;
  /** What concerns a ledger of these transactions; it is no longer planned then. */
  take(transactions: readonly Tx[]): Disturbance | undefined;
  clear(): void;
}

export function createDisturbances(): Disturbances {
  const doomed = new Set<string>();
  const archived = new Set<string>();
  let surge = { price: BASE_FEE, ledgers: 0 };
  return {
    doom: (hash) => doomed.add(hash),
    archive: (contract) => archived.add(contract),
    surge: (price, ledgers) => {
      surge = { price, ledgers };
    },
    price: () => (surge.ledgers > 0 ? surge.price : BASE_FEE),
    take: (transactions) => {
      surge = { ...surge, ledgers: surge.ledgers - 1 };
      const struck = transactions.map(({ id }) => id).filter((id) => doomed.delete(id));
      const taken = { doomed: struck, archived: [...archived] };
      archived.clear();
      return taken.doomed.length + taken.archived.length === 0 ? undefined : taken;
    },
    clear: () => {
      doomed.clear();
      archived.clear();
      surge = { price: BASE_FEE, ledgers: 0 };
    },
  };
}
