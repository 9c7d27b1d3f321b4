/** The chain of closed ledgers: the state they lead to, what they left behind, and the journal they are kept in. */
import { createHash } from 'node:crypto';
import { applyTransaction, type BaseFees, takeFee } from './apply.ts';
import { readEnvelope, type Tx } from './envelope.ts';
import { createHistory, type History } from './history.ts';
import type { Disturbance, Journal, Origin } from './journal.ts';
import { contractEntries, type CoreView, createState, openView, type State } from './state.ts';
import type { InvokeHostFunction, LedgerRecord, OperationRecord } from './types.ts';

/** What the next ledger is made of. */
interface LedgerPlan {
  /** in the order they apply */
  readonly transactions: readonly Tx[];
  readonly fees: BaseFees;
  /** unix seconds */
  readonly closedAt: number;
  readonly disturbance?: Disturbance | undefined;
}

export interface ChainDeps {
  readonly origin: Origin;
  readonly journal: Journal;
  readonly invoke: InvokeHostFunction;
  /** writes the entries of the first ledger */
  readonly genesis: (view: CoreView) => void;
}

export interface Chain {
  readonly history: History;
  /** the entries as the latest closed ledger left them */
  state(): State;
  /** XLM collected as fees, in stroops */
  feePool(): bigint;
  /** Applies the next ledger, writes it to disk, and only then makes it visible. */
  seal(plan: LedgerPlan): LedgerRecord;
  /** Starts over from the first ledger. */
  reset(genesisTime: number): void;
}

/** Hex SHA-256 over the parts. */
export const digest = (...parts: (string | number)[]): string =>
  createHash('sha256').update(parts.join('|')).digest('hex');

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

/** A call that runs out of luck between its simulation and its ledger. */
const trap: InvokeHostFunction = () => ({
  ok: false,
  at: 'host',
  code: null,
  name: null,
  raw: 'Error(Budget, ExceededLimit)',
  contract: null,
  events: [],
});

/** Ends the life of everything a contract keeps. */
function archive(view: CoreView, state: State, contract: string): void {
  for (const entry of contractEntries(state, contract)) {
    if (entry.durability === 'persistent') view.putContractData({ ...entry, liveUntil: view.sequence - 1 });
  }
}

/** Applies the plan on a view of the next ledger; nothing is visible until it is committed. */
function applyLedger(deps: ChainDeps, state: State, previous: string, plan: LedgerPlan): Closing {
  const { transactions: txs, fees, closedAt, disturbance } = plan;
  const view = openView(state, state.sequence + 1, closedAt);
  for (const contract of disturbance?.archived ?? []) archive(view, state, contract);
  const doomed = new Set(disturbance?.doomed);
  const charges = txs.map((tx) => takeFee(view, tx, fees));
  const transactions = txs.map((tx, index) => {
    const invoke = doomed.has(tx.id) ? trap : deps.invoke;
    return applyTransaction(view, tx, index + 1, charges[index] ?? 0n, invoke);
  });
  const results = transactions.flatMap(({ hash, resultXdr: result }) => [hash, result]);
  const hash = digest(previous, view.sequence, closedAt, ...results);
  const record = { sequence: view.sequence, hash, previousHash: previous, closedAt, transactions };
  return { view, record, collected: transactions.reduce((sum, { feeCharged }) => sum + feeCharged, 0n) };
}

/** A chain from its journal, or from the first ledger. */
export function createChain(deps: ChainDeps, network: Buffer): Chain {
  const { journal } = deps;
  let origin = deps.origin;
  let state = createState(origin.network_passphrase, origin.genesis_time);
  let feePool = 0n;
  const history = createHistory();

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
    history.clear();
    const view = openView(state, 1, origin.genesis_time);
    deps.genesis(view);
    view.commit();
    const { network_passphrase: passphrase, seed, genesis_time: closedAt } = origin;
    const hash = digest(passphrase, seed, closedAt);
    history.add({ sequence: 1, hash, previousHash: '0'.repeat(64), closedAt, transactions: [] }, isPayment);
  };
  const replay = (): void => {
    for (const ledger of journal.found?.ledgers ?? []) {
      const transactions = ledger.envelopes.map((envelope) => readEnvelope(envelope, network));
      const fees = { classic: BigInt(ledger.fees.classic), soroban: BigInt(ledger.fees.soroban) };
      const plan = { transactions, fees, closedAt: ledger.closed_at, disturbance: ledger.disturbance };
      const record = adopt(applyLedger(deps, state, history.latest().hash, plan));
      if (record.hash !== ledger.hash)
        throw new Error(`the journal does not replay: ledger ${ledger.sequence} differs`);
    }
  };

  start();
  if (journal.found === undefined) journal.begin(origin);
  else replay();

  return {
    history,
    state: () => state,
    feePool: () => feePool,
    seal: (plan) => {
      const { transactions, fees, closedAt, disturbance } = plan;
      const closing = applyLedger(deps, state, history.latest().hash, plan);
      // Durable first, visible then: what anybody has seen survives a kill.
      journal.append({
        sequence: closing.record.sequence,
        closed_at: closedAt,
        fees: { classic: String(fees.classic), soroban: String(fees.soroban) },
        envelopes: transactions.map((tx) => tx.envelopeXdr),
        hash: closing.record.hash,
        ...(disturbance === undefined ? {} : { disturbance }),
      });
      return adopt(closing);
    },
    reset: (genesisTime) => {
      origin = { ...origin, genesis_time: genesisTime };
      journal.begin(origin);
      start();
    },
  };
}
