/** The ledger: admits transactions, closes ledgers whole, and remembers what happened. */
import { createHash } from 'node:crypto';
import { applyTransaction, type BaseFees, resultXdr, takeFee } from './apply.ts';
import { networkId, readEnvelope, type Tx } from './envelope.ts';
import { createHistory, type History } from './history.ts';
import type { Journal, Origin } from './journal.ts';
import { createQueue, type Capacity, type Queue } from './queue.ts';
import { createState, openView, type CoreView, type State } from './state.ts';
import type {
  AccountEntry,
  AssetId,
  ContractDataEntry,
  Core,
  InvokeHostFunction,
  LedgerRecord,
  OperationRecord,
  SubmitResult,
  TrustlineEntry,
} from './types.ts';

export interface CoreDeps {
  readonly origin: Origin;
  readonly journal: Journal;
  readonly invoke: InvokeHostFunction;
  /** writes the entries of the first ledger */
  readonly genesis: (view: CoreView) => void;
  /** The close time (unix seconds) of a ledger that closed now, after one that closed at `previous`. */
  readonly closeTime: (previous: number) => number;
  /** Asked before a transaction is looked at: true answers TRY_AGAIN_LATER. */
  readonly congested?: (hash: string) => boolean;
}

/** Everything the ledger holds, e.g. to compare two of them. */
export interface Dump {
  readonly ledger: { sequence: number; hash: string; closed_at: number };
  readonly accounts: AccountEntry[];
  readonly trustlines: TrustlineEntry[];
  readonly contract_data: ContractDataEntry[];
  readonly pending: string[];
  readonly fee_pool: bigint;
}

/** The core with what the sandbox's own faces need beyond `Core`. */
export interface SandboxCore extends Core {
  readonly history: History;
  readonly capacity: Capacity;
  trustlinesOf(account: string): TrustlineEntry[];
  /** @param closeTime unix seconds; never before the previous ledger's */
  closeLedger(closeTime?: number): LedgerRecord;
  pending(): number;
  /** Called after every transaction that was queued; returns the unsubscribe function. */
  onPending(listener: () => void): () => void;
  feePool(): bigint;
  dump(): Dump;
  /** Forgets ledgers before `oldest`, as a server with a shorter retention does. */
  prune(oldest: number): void;
  /** A new network: everything is gone, the ledger restarts. */
  reset(genesisTime: number): void;
}

const DEFAULT_CAPACITY: Capacity = { classic: 1_000, soroban: 1_000 };

const digest = (...parts: (string | number)[]): string => createHash('sha256').update(parts.join('|')).digest('hex');

/** Apply order: shuffled between accounts, the same every time for the same ledger. */
function shuffle(transactions: readonly Tx[], salt: string): Tx[] {
  const keyed = transactions.map((tx) => ({ tx, key: digest(salt, tx.id) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ tx }) => tx);
}

const PAYMENT_TYPES = ['createAccount', 'payment', 'pathPaymentStrictReceive', 'pathPaymentStrictSend', 'accountMerge'];

/** What Horizon lists as payments: the classic ones, and contract calls that moved a genuine asset. */
function isPayment({ type, changes }: OperationRecord): boolean {
  return PAYMENT_TYPES.includes(type) || (type === 'invokeHostFunction' && changes.length > 0);
}

interface Closing {
  readonly view: CoreView;
  readonly record: LedgerRecord;
  readonly collected: bigint;
}

/** Applies transactions in the given order on a view of the next ledger; nothing is visible until it is committed. */
function applyLedger(
  deps: CoreDeps,
  state: State,
  previous: string,
  closedAt: number,
  txs: readonly Tx[],
  fees: BaseFees,
): Closing {
  const view = openView(state, state.sequence + 1, closedAt);
  const charges = txs.map((tx) => takeFee(view, tx, fees));
  const transactions = txs.map((tx, index) => applyTransaction(view, tx, index + 1, charges[index] ?? 0n, deps.invoke));
  const results = transactions.flatMap(({ hash, resultXdr: result }) => [hash, result]);
  const hash = digest(previous, view.sequence, closedAt, ...results);
  const record = { sequence: view.sequence, hash, previousHash: previous, closedAt, transactions };
  return { view, record, collected: transactions.reduce((sum, { feeCharged }) => sum + feeCharged, 0n) };
}

export function createCore(deps: CoreDeps): SandboxCore {
  const { journal } = deps;
  let origin = deps.origin;
  let state = createState(origin.network_passphrase, origin.genesis_time);
  let feePool = 0n;
  let oldest = 1;
  const network = networkId(origin.network_passphrase);
  const history = createHistory();
  const capacity = { ...DEFAULT_CAPACITY };
  const queue: Queue = createQueue(capacity);
  const closeListeners = new Set<(ledger: LedgerRecord) => void>();
  const pendingListeners = new Set<() => void>();

  const adopt = ({ view, record, collected }: Closing): LedgerRecord => {
    view.commit();
    state.sequence = record.sequence;
    state.closeTime = record.closedAt;
    feePool += collected;
    history.add(record, isPayment);
    return record;
  };
  const start = (): void => {
    state = createState(origin.network_passphrase, origin.genesis_time);
    feePool = 0n;
    oldest = 1;
    history.clear();
    queue.clear();
    const view = openView(state, 1, origin.genesis_time);
    deps.genesis(view);
    view.commit();
    const { network_passphrase: passphrase, seed, genesis_time: closedAt } = origin;
    const hash = digest(passphrase, seed, closedAt);
    history.add({ sequence: 1, hash, previousHash: '0'.repeat(64), closedAt, transactions: [] }, isPayment);
  };
  const replay = (): void => {
    for (const ledger of journal.found?.ledgers ?? []) {
      const txs = ledger.envelopes.map((envelope) => readEnvelope(envelope, network));
      const fees = { classic: BigInt(ledger.fees.classic), soroban: BigInt(ledger.fees.soroban) };
      const record = adopt(applyLedger(deps, state, history.latest().hash, ledger.closed_at, txs, fees));
      if (record.hash !== ledger.hash)
        throw new Error(`the journal does not replay: ledger ${ledger.sequence} differs`);
    }
  };

  start();
  if (journal.found === undefined) journal.begin(origin);
  else replay();

  /** The next ledger as if it closed now: what a transaction is admitted against. */
  const admissionView = (): CoreView => {
    return openView(state, state.sequence + 1, Math.max(state.closeTime, deps.closeTime(state.closeTime)));
  };

  const submit = (envelopeXdr: string): SubmitResult => {
    const tx = readEnvelope(envelopeXdr, network);
    const hash = tx.id;
    if (deps.congested?.(hash) === true) return { status: 'TRY_AGAIN_LATER', hash };
    const admission = queue.add(tx, admissionView());
    if (admission.status === 'ERROR') {
      const { refusal, fee } = admission;
      return { status: 'ERROR', hash, errorResultXdr: resultXdr(tx, refusal, refusal.outer, fee), diagnostics: [] };
    }
    if (admission.status === 'PENDING') for (const listener of pendingListeners) listener();
    return { status: admission.status, hash };
  };

  const closeLedger = (closeTime = deps.closeTime(state.closeTime)): LedgerRecord => {
    const closedAt = Math.max(closeTime, state.closeTime);
    const { transactions, fees } = queue.select(openView(state, state.sequence + 1, closedAt));
    const previous = history.latest().hash;
    const ordered = shuffle(transactions, previous);
    const closing = applyLedger(deps, state, previous, closedAt, ordered, fees);
    // Durable first, visible then: what anybody has seen survives a kill.
    journal.append({
      sequence: closing.record.sequence,
      closed_at: closedAt,
      fees: { classic: String(fees.classic), soroban: String(fees.soroban) },
      envelopes: ordered.map((tx) => tx.envelopeXdr),
      hash: closing.record.hash,
    });
    const record = adopt(closing);
    queue.closed(record.sequence, ordered);
    for (const listener of [...closeListeners]) listener(record);
    return record;
  };

  const trustline = (account: string, asset: AssetId): TrustlineEntry[] => {
    const line = openView(state, state.sequence, state.closeTime).trustline(account, asset);
    return line === undefined ? [] : [line];
  };

  return {
    networkPassphrase: origin.network_passphrase,
    history,
    capacity,
    submit,
    closeLedger,
    view: () => openView(state, state.sequence, state.closeTime),
    latest: () => history.latest(),
    oldest: () => oldest,
    ledger: (sequence) => (sequence < oldest ? undefined : history.ledger(sequence)),
    transaction: (hash) => {
      const found = history.transaction(hash);
      return found === undefined || found.ledger < oldest ? undefined : found;
    },
    onClose: (listener) => subscribe(closeListeners, listener),
    onPending: (listener) => subscribe(pendingListeners, listener),
    pending: () => queue.pending().length,
    trustlinesOf: (account) =>
      [...(state.trustlines.get(account) ?? [])].toSorted().flatMap((asset) => trustline(account, asset)),
    feePool: () => feePool,
    dump: () => dumpOf(state, history.latest(), queue, feePool),
    prune: (ledger) => {
      oldest = Math.max(oldest, Math.min(ledger, state.sequence));
    },
    reset: (genesisTime) => {
      origin = { ...origin, genesis_time: genesisTime };
      start();
      journal.begin(origin);
    },
  };
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function dumpOf(state: State, latest: LedgerRecord, queue: Queue, feePool: bigint): Dump {
  const entries = [...state.entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return {
    ledger: { sequence: latest.sequence, hash: latest.hash, closed_at: latest.closedAt },
    accounts: entries.filter((entry): entry is AccountEntry => 'signers' in entry),
    trustlines: entries.filter((entry): entry is TrustlineEntry => 'asset' in entry),
    contract_data: entries.filter((entry): entry is ContractDataEntry => 'durability' in entry),
    pending: queue.pending().map(({ id }) => id),
    fee_pool: feePool,
  };
}
