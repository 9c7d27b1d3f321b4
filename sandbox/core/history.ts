/** What closed ledgers left behind, indexed the way the faces ask: in total order, overall, per account and per kind. */
import { parties } from './events.ts';
import { toid } from './toid.ts';
import type { LedgerRecord, OperationRecord, TransactionRecord } from './types.ts';

export interface OperationEntry {
  readonly id: bigint;
  readonly operation: OperationRecord;
  readonly transaction: TransactionRecord;
  /** whether it counts among the payments: see `isPayment` */
  readonly payment: boolean;
}

export interface TransactionEntry {
  readonly id: bigint;
  readonly transaction: TransactionRecord;
}

export interface LedgerEntry {
  readonly id: bigint;
  readonly ledger: LedgerRecord;
}

export interface History {
  readonly ledgers: LedgerEntry[];
  readonly operations: OperationEntry[];
  readonly payments: OperationEntry[];
  readonly transactions: TransactionEntry[];
  accountOperations(id: string): readonly OperationEntry[];
  accountPayments(id: string): readonly OperationEntry[];
  accountTransactions(id: string): readonly TransactionEntry[];
  ledger(sequence: number): LedgerRecord | undefined;
  /** By outer or inner hash. */
  transaction(hash: string): TransactionRecord | undefined;
  latest(): LedgerRecord;
  add(ledger: LedgerRecord, paymentKinds: (operation: OperationRecord) => boolean): void;
  clear(): void;
}

function pushTo<T>(index: Map<string, T[]>, key: string, entry: T): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [entry]);
  else list.push(entry);
}

/** First position whose id is greater than `cursor`, in an ascending list. */
export function positionAfter(list: readonly { readonly id: bigint }[], cursor: bigint): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle]?.id ?? 0n) > cursor) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Every account of a transaction: who paid, whose number it took, whom its operations touched. */
function accountsOf(transaction: TransactionRecord, sources: readonly string[]): Set<string> {
  return new Set([...sources, ...transaction.operations.flatMap(({ participants }) => participants)]);
}

export function createHistory(): History {
  const operations: OperationEntry[] = [];
  const payments: OperationEntry[] = [];
  const transactions: TransactionEntry[] = [];
  const byAccount = {
    operations: new Map<string, OperationEntry[]>(),
    payments: new Map<string, OperationEntry[]>(),
    transactions: new Map<string, TransactionEntry[]>(),
  };
  const byHash = new Map<string, TransactionRecord>();
  const ledgers: LedgerEntry[] = [];

  const addOperation = (entry: OperationEntry): void => {
    operations.push(entry);
    if (entry.payment) payments.push(entry);
    const { operation } = entry;
    for (const id of new Set([...operation.participants, ...parties(operation.changes)])) {
      pushTo(byAccount.operations, id, entry);
      if (entry.payment) pushTo(byAccount.payments, id, entry);
    }
  };

  return {
    ledgers,
    operations,
    payments,
    transactions,
    accountOperations: (id) => byAccount.operations.get(id) ?? [],
    accountPayments: (id) => byAccount.payments.get(id) ?? [],
    accountTransactions: (id) => byAccount.transactions.get(id) ?? [],
    // Ledgers are numbered from 1 without gaps.
    ledger: (sequence) => ledgers[sequence - 1]?.ledger,
    transaction: (hash) => byHash.get(hash),
    latest: () => {
      const newest = ledgers.at(-1);
      if (newest === undefined) throw new Error('the ledger has no genesis yet');
      return newest.ledger;
    },
    add: (ledger, isPayment) => {
      ledgers.push({ id: toid(ledger.sequence), ledger });
      for (const transaction of ledger.transactions) {
        const entry = { id: toid(ledger.sequence, transaction.order), transaction };
        transactions.push(entry);
        byHash.set(transaction.hash, transaction);
        if (transaction.innerHash !== null) byHash.set(transaction.innerHash, transaction);
        for (const id of accountsOf(transaction, transaction.accounts)) pushTo(byAccount.transactions, id, entry);
        for (const operation of transaction.operations) {
          addOperation({ id: operation.id, operation, transaction, payment: isPayment(operation) });
        }
      }
    },
    clear: () => {
      for (const list of [ledgers, operations, payments, transactions]) list.length = 0;
      for (const index of [...Object.values(byAccount), byHash]) index.clear();
    },
  };
}
