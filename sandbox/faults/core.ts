/** The ledger core as the faces see it: at times as a node that lags, or that turns a good transaction away. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { resultXdr } from '../core/apply.ts';
import type { SandboxCore } from '../core/core.ts';
import { networkId, readEnvelope, type Tx } from '../core/envelope.ts';
import { minimumFee } from '../core/fees.ts';
import { type History, positionAfter } from '../core/history.ts';
import { endOfLedger } from '../core/toid.ts';
import type { SubmitResult, TransactionRecord } from '../core/types.ts';
import type { FaultRequest, Faults } from './registry.ts';

export interface FacedCore {
  readonly core: SandboxCore;
  /** Runs a request so that all it reads is `ledgers` old. */
  behind<T>(ledgers: number, work: () => T): T;
}

/** Name of the contract function a transaction calls. */
function calledFunction({ operations }: Tx): string | undefined {
  const body = operations[0]?.op.body;
  if (body?.type !== 'invokeHostFunction') return undefined;
  const call = body.value.hostFunction;
  return call.type === 'hostFunctionTypeInvokeContract' ? call.value.functionName.toString() : undefined;
}

/** What a submission can be matched by. @throws XdrError when it is not an envelope */
export function submissionOf(envelopeXdr: string, network: Buffer): Pick<FaultRequest, 'hash' | 'source' | 'fn'> {
  const tx = readEnvelope(envelopeXdr, network);
  const fn = calledFunction(tx);
  return { hash: tx.id, source: tx.source, ...(fn === undefined ? {} : { fn }) };
}

function badSequence(envelopeXdr: string, network: Buffer): SubmitResult {
  const tx = readEnvelope(envelopeXdr, network);
  const errorResultXdr = resultXdr(tx, { code: 'txBAD_SEQ', operations: [] }, false, minimumFee(tx));
  return { status: 'ERROR', hash: tx.id, errorResultXdr, diagnostics: [] };
}

/** History up to a ledger. */
function historyUntil(history: History, head: () => number): History {
  const cut = <T extends { readonly id: bigint }>(list: readonly T[]): T[] =>
    list.slice(0, positionAfter(list, endOfLedger(head())));
  const lags = (): boolean => head() < history.latest().sequence;
  return {
    ...history,
    get ledgers() {
      return lags() ? cut(history.ledgers) : history.ledgers;
    },
    get operations() {
      return lags() ? cut(history.operations) : history.operations;
    },
    get payments() {
      return lags() ? cut(history.payments) : history.payments;
    },
    get transactions() {
      return lags() ? cut(history.transactions) : history.transactions;
    },
    accountOperations: (id) => (lags() ? cut(history.accountOperations(id)) : history.accountOperations(id)),
    accountPayments: (id) => (lags() ? cut(history.accountPayments(id)) : history.accountPayments(id)),
    accountTransactions: (id) => (lags() ? cut(history.accountTransactions(id)) : history.accountTransactions(id)),
  };
}

export function createFacedCore(core: SandboxCore, faults: Faults): FacedCore {
  const lag = new AsyncLocalStorage<number>();
  const network = networkId(core.networkPassphrase);
  const head = (): number => Math.max(core.oldest(), core.latest().sequence - (lag.getStore() ?? 0));
  const seen = (record: TransactionRecord | undefined): TransactionRecord | undefined =>
    record === undefined || record.ledger > head() ? undefined : record;

  const submit = (envelopeXdr: string): SubmitResult => {
    if (!faults.any()) return core.submit(envelopeXdr);
    const request = { face: 'core', ...submissionOf(envelopeXdr, network) };
    const hash = request.hash ?? '';
    if (faults.check('try_again_later', request) !== undefined) return { status: 'TRY_AGAIN_LATER', hash };
    if (faults.check('bad_seq_lag', request) !== undefined) return badSequence(envelopeXdr, network);
    return core.submit(envelopeXdr);
  };

  return {
    behind: (ledgers, work) => lag.run(ledgers, work),
    core: {
      ...core,
      history: historyUntil(core.history, head),
      submit,
      latest: () => core.ledger(head()) ?? core.latest(),
      ledger: (sequence) => (sequence > head() ? undefined : core.ledger(sequence)),
      transaction: (hash) => seen(core.transaction(hash)),
      view: (sequence) => core.view(sequence ?? head()),
      trustlinesOf: (account) => {
        const view = core.view(head());
        return core.trustlinesOf(account).flatMap(({ asset }) => view.trustline(account, asset) ?? []);
      },
      // Whoever listens hears of the newest ledger and must see it, whoever's request it was closed by.
      onClose: (listener) => core.onClose((ledger) => lag.run(0, () => listener(ledger))),
    },
  };
}
