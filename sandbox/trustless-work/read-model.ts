/**
 * The API's own copy of the escrows, fed from contract events and deliberately behind the chain (F20): a snapshot is
 * visible only after `lag()` further ledgers, unless it was forced by transaction hash.
 */
import { Address, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import { ESCROW_KEY } from '../contracts/index.ts';
import type { Core, LedgerRecord, LedgerView, OperationRecord, TransactionRecord } from '../core/types.ts';
import { type Escrow, readEscrow } from './escrow.ts';
import { tokenBalance } from './network.ts';

/** An escrow as of one ledger. */
interface Snapshot {
  readonly ledger: number;
  /** unix seconds of the ledger that changed it */
  readonly updatedAt: number;
  /** base64 ScVal of the contract's struct */
  readonly stateXdr: string;
  readonly escrow: Escrow;
  /** stroops */
  readonly balance: bigint;
}

export interface IndexedEscrow extends Snapshot {
  readonly contractId: string;
  readonly factory: string;
  readonly signer: string;
  /** unix seconds */
  readonly createdAt: number;
}

interface History {
  readonly contractId: string;
  readonly factory: string;
  readonly signer: string;
  readonly createdAt: number;
  readonly snapshots: Snapshot[];
  /** snapshots up to this ledger are visible whatever the lag */
  forced: number;
}

export interface ReadModel {
  /** The escrow as the index shows it now; undefined while it has not caught up with the deploy. */
  find(contractId: string): IndexedEscrow | undefined;
  /** The same escrow read from the chain at the latest ledger. */
  onChain(row: IndexedEscrow): IndexedEscrow;
  /** Every visible escrow in order of creation. */
  all(): IndexedEscrow[];
  /** Catches up with one transaction; false when the chain does not know it (yet). */
  force(transactionHash: string): boolean;
  close(): void;
}

/** Contracts whose escrow events an operation emitted. */
export function touchedEscrows(operation: OperationRecord): string[] {
  const contracts = operation.events
    .filter((event) => event.topics[0]?.type === 'scvSymbol' && String(event.topics[0].value).startsWith('tw_'))
    .map((event) => event.contract);
  return [...new Set(contracts)];
}

function read(view: LedgerView, contractId: string, ledger: number, updatedAt: number): Snapshot | undefined {
  const entry = view.contractData(contractId, ESCROW_KEY);
  if (entry === undefined) return undefined;
  const escrow = readEscrow(entry.value);
  const balance = tokenBalance(view, escrow.token, contractId);
  return { ledger, updatedAt, stateXdr: entry.value, escrow, balance };
}

/** Factory and signer of a deploy, from the operation that made it. */
function deployer(operation: OperationRecord): { factory: string; signer: string } {
  const { body } = xdr.Operation.fromXdr(operation.xdr, 'base64');
  const unknown = { factory: '', signer: operation.source };
  if (body.type !== 'invokeHostFunction') return unknown;
  const call = body.value.hostFunction;
  if (call.type !== 'hostFunctionTypeInvokeContract') return unknown;
  const factory = Address.fromScAddress(call.value.contractAddress).toString();
  const first = call.value.args[0];
  return first?.type === 'scvAddress' ? { factory, signer: scValToNative(first) as string } : { ...unknown, factory };
}

/** Follows `core` from its oldest ledger; `lag` is in ledgers and may change at any time. */
export function createReadModel(core: Core, lag: () => number): ReadModel {
  const escrows = new Map<string, History>();

  const ingest = (transaction: TransactionRecord, view: LedgerView): void => {
    for (const operation of transaction.operations) {
      for (const contractId of touchedEscrows(operation)) {
        const known = escrows.get(contractId);
        // The view stands at the ledger's end: one look per escrow sees all that happened to it.
        if (known?.snapshots.at(-1)?.ledger === transaction.ledger) continue;
        const snapshot = read(view, contractId, transaction.ledger, transaction.closedAt);
        if (snapshot === undefined) continue;
        if (known !== undefined) {
          known.snapshots.push(snapshot);
        } else {
          const created = { contractId, ...deployer(operation), createdAt: transaction.closedAt, forced: 0 };
          escrows.set(contractId, { ...created, snapshots: [snapshot] });
        }
      }
    }
  };
  let head = 0;
  const follow = (ledger: LedgerRecord): void => {
    // A ledger number that went back is a new network: nothing of the old one exists.
    if (ledger.sequence <= head) escrows.clear();
    head = ledger.sequence;
    const view = core.view();
    for (const transaction of ledger.transactions) if (transaction.successful) ingest(transaction, view);
  };

  for (let sequence = core.oldest(); sequence <= core.latest().sequence; sequence += 1) {
    const ledger = core.ledger(sequence);
    if (ledger !== undefined) follow(ledger);
  }
  const unfollow = core.onClose(follow);

  const visible = (history: History): IndexedEscrow | undefined => {
    const upTo = Math.max(history.forced, core.latest().sequence - lag());
    const snapshot = history.snapshots.findLast(({ ledger }) => ledger <= upTo);
    const { contractId, factory, signer, createdAt } = history;
    return snapshot && { contractId, factory, signer, createdAt, ...snapshot };
  };

  return {
    find: (contractId) => {
      const history = escrows.get(contractId);
      return history && visible(history);
    },
    onChain: (row) => ({ ...row, ...read(core.view(), row.contractId, core.latest().sequence, row.updatedAt) }),
    all: () => [...escrows.values()].flatMap((history) => visible(history) ?? []),
    force: (hash) => {
      const transaction = core.transaction(hash);
      if (transaction === undefined) return false;
      for (const contractId of transaction.operations.flatMap(touchedEscrows)) {
        const history = escrows.get(contractId);
        if (history !== undefined) history.forced = Math.max(history.forced, transaction.ledger);
      }
      return true;
    },
    close: unfollow,
  };
}
