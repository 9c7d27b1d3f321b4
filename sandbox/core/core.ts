/** The ledger: admits transactions, closes ledgers whole, and remembers what happened. */
import { resultXdr } from './apply.ts';
import { createDisturbances, type Disturbances } from './disturbances.ts';
import { type Chain, type ChainDeps, createChain, digest } from './chain.ts';
import { networkId, readEnvelope, type Tx } from './envelope.ts';
import type { History } from './history.ts';
import { type Capacity, createQueue, type Queue } from './queue.ts';
import { type CoreView, KEPT_LEDGERS, openPastView, openView } from './state.ts';
import type { AccountEntry, ContractDataEntry, Core, LedgerRecord, SubmitResult, TrustlineEntry } from './types.ts';

interface CoreDeps extends ChainDeps {
  /** The close time (unix seconds) of a ledger that closed now, after one that closed at `previous`. */
  readonly closeTime: (previous: number) => number;
}

/** Everything the ledger holds, e.g. to compare two of them. */
interface Dump {
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
  /** what happens to the next ledgers from outside */
  readonly disturbances: Disturbances;
  /** @param sequence the entries as that ledger left them, as far back as they are kept; default the latest */
  view(sequence?: number): CoreView;
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

/** Apply order: shuffled between accounts, the same every time for the same ledger. */
function shuffle(transactions: readonly Tx[], salt: string): Tx[] {
  const keyed = transactions.map((tx) => ({ tx, key: digest(salt, tx.id) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ tx }) => tx);
}

/** The entries as a ledger left them, as far back as they are kept. */
function viewAt(chain: Chain, sequence?: number): CoreView {
  const state = chain.state();
  const then = Math.max(sequence ?? state.sequence, state.sequence - KEPT_LEDGERS, 1);
  if (then >= state.sequence) return openView(state, state.sequence, state.closeTime);
  return openPastView(state, then, chain.history.ledger(then)?.closedAt ?? 0);
}

function trustlinesOf(chain: Chain, account: string): TrustlineEntry[] {
  const view = viewAt(chain);
  const assets = [...(chain.state().trustlines.get(account) ?? [])].toSorted();
  return assets.map((asset) => view.trustline(account, asset)).filter((line) => line !== undefined);
}

/** The ledger, from its journal if there is one. */
export function createCore(deps: CoreDeps): SandboxCore {
  const network = networkId(deps.origin.network_passphrase);
  const chain = createChain(deps, network);
  const { history } = chain;
  const capacity = { ...DEFAULT_CAPACITY };
  const queue: Queue = createQueue(capacity);
  const disturbances = createDisturbances();
  const closeListeners = new Set<(ledger: LedgerRecord) => void>();
  const pendingListeners = new Set<() => void>();
  let oldest = 1;

  const nextView = (closedAt: number): CoreView => openView(chain.state(), chain.state().sequence + 1, closedAt);
  /** When a ledger would close that closed now; time does not go back. */
  const closeTimeNow = (asked?: number): number => {
    const previous = chain.state().closeTime;
    return Math.max(previous, asked ?? deps.closeTime(previous));
  };

  const submit = (envelopeXdr: string): SubmitResult => {
    const tx = readEnvelope(envelopeXdr, network);
    const hash = tx.id;
    const admission = queue.add(tx, nextView(closeTimeNow()));
    if (admission.status === 'ERROR') {
      const { refusal, fee } = admission;
      return { status: 'ERROR', hash, errorResultXdr: resultXdr(tx, refusal, refusal.outer, fee), diagnostics: [] };
    }
    if (admission.status === 'PENDING') for (const listener of pendingListeners) listener();
    return { status: admission.status, hash };
  };

  const closeLedger = (closeTime?: number): LedgerRecord => {
    const closedAt = closeTimeNow(closeTime);
    const { transactions, fees } = queue.select(nextView(closedAt), disturbances.price());
    const ordered = shuffle(transactions, history.latest().hash);
    const disturbance = disturbances.take(ordered);
    const record = chain.seal({ transactions: ordered, fees, closedAt, disturbance });
    queue.closed(record.sequence, ordered);
    for (const listener of closeListeners) listener(record);
    return record;
  };

  return {
    networkPassphrase: deps.origin.network_passphrase,
    history,
    capacity,
    disturbances,
    submit,
    closeLedger,
    view: (sequence) => viewAt(chain, sequence),
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
    trustlinesOf: (account) => trustlinesOf(chain, account),
    feePool: chain.feePool,
    dump: () => dumpOf(chain, queue),
    prune: (ledger) => {
      oldest = Math.max(oldest, Math.min(ledger, history.latest().sequence));
    },
    reset: (genesisTime) => {
      queue.clear();
      disturbances.clear();
      oldest = 1;
      chain.reset(genesisTime);
    },
  };
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function dumpOf(chain: Chain, queue: Queue): Dump {
  const latest = chain.history.latest();
  const entries = [...chain.state().entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return {
    ledger: { sequence: latest.sequence, hash: latest.hash, closed_at: latest.closedAt },
    accounts: entries.filter((entry): entry is AccountEntry => 'signers' in entry),
    trustlines: entries.filter((entry): entry is TrustlineEntry => 'asset' in entry),
    contract_data: entries.filter((entry): entry is ContractDataEntry => 'durability' in entry),
    pending: queue.pending().map(({ id }) => id),
    fee_pool: chain.feePool(),
  };
}
