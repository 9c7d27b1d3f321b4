/** Applying transactions to a ledger: fees first, for all; then each transaction, all or nothing. */
import { checkTransaction, type Refusal } from './check.ts';
import type { Tx } from './envelope.ts';
import { emittedEvents, movementEvent, parties } from './events.ts';
import { chargeOf, refundOf } from './fees.ts';
import type { OpOutcome } from './operations/context.ts';
import { operationOf } from './operations/table.ts';
import { encodeResult, type OpResult, type OpType, type TxCode, type TxResult } from './results.ts';
import { accountOfKey, type CoreView } from './state.ts';
import { toid } from './toid.ts';
import type { EntryChange, InvokeHostFunction, OperationRecord, TransactionRecord } from './types.ts';

/** Lowest price per operation, for plain transactions and for contract calls (stroops). */
export interface BaseFees {
  readonly classic: bigint;
  readonly soroban: bigint;
}

/** Takes the fee of a transaction; what the payer no longer has is not taken. */
export function takeFee(view: CoreView, tx: Tx, fees: BaseFees): bigint {
  const payer = view.account(tx.feeSource);
  if (payer === undefined) return 0n;
  const due = chargeOf(tx, tx.soroban === null ? fees.classic : fees.soroban);
  const charged = due > payer.balance ? payer.balance : due;
  payer.balance -= charged;
  view.putAccount(payer);
  return charged;
}

/** The number is used up once the transaction got past the sequence check, whatever happens to it then. */
const KEEPS_SEQUENCE: readonly TxCode[] = [
  'txTOO_EARLY',
  'txTOO_LATE',
  'txMISSING_OPERATION',
  'txBAD_SEQ',
  'txNO_ACCOUNT',
  'txINSUFFICIENT_FEE',
  'txNOT_SUPPORTED',
  'txBAD_MIN_SEQ_AGE_OR_GAP',
  'txMALFORMED',
  'txSOROBAN_INVALID',
];

function consumeSequence(view: CoreView, tx: Tx): void {
  const account = view.account(tx.source);
  if (account === undefined) return;
  const stamp = { sequenceLedger: view.sequence, sequenceTime: view.closeTime };
  view.putAccount({ ...account, sequence: tx.sequence, ...stamp });
}

interface Executed {
  readonly outcome: OpOutcome;
  readonly result: OpResult;
  readonly participants: string[];
  readonly entries: readonly EntryChange[];
}

/** What these do is told by the amounts they move; keeping entries for each payment would only fill the memory. */
const MOVES_MONEY: readonly OpType[] = [
  'payment',
  'pathPaymentStrictReceive',
  'pathPaymentStrictSend',
  'clawback',
  'invokeHostFunction',
];

function entryChanges(before: CoreView, after: CoreView): EntryChange[] {
  return after.changed().flatMap((key): EntryChange[] => {
    const [kind, account = '', asset = ''] = key.split('|');
    if (kind === 'a') return [{ kind: 'account', before: before.account(account), after: after.account(account) }];
    if (kind !== 't') return [];
    const line = { before: before.trustline(account, asset), after: after.trustline(account, asset) };
    return [{ kind: 'trustline', ...line }];
  });
}

function executeOperation(
  view: CoreView,
  tx: Tx,
  index: number,
  sponsorships: Map<string, string>,
  invoke: InvokeHostFunction,
): Executed | undefined {
  const entry = tx.operations[index];
  const operation = entry === undefined ? undefined : operationOf(entry.op.body);
  if (entry === undefined || operation === undefined) return undefined;
  const { source } = entry;
  const frame = view.fork();
  const outcome: OpOutcome =
    frame.account(source) === undefined
      ? { name: 'op_no_source_account' }
      : operation.execute({ view: frame, source, tx, sponsorships, invoke });
  const done = outcome.name === 'op_success';
  const changed = done ? frame.changed() : [];
  const entries = done && !MOVES_MONEY.includes(operation.type) ? entryChanges(view, frame) : [];
  if (done) frame.commit();
  const accounts = changed.map((key) => accountOfKey(key)).filter((id) => id !== undefined);
  const participants = [...new Set([source, ...parties(outcome.changes ?? []), ...accounts])];
  const payload = outcome.payload === undefined ? {} : { payload: outcome.payload };
  return { outcome, participants, entries, result: { type: operation.type, name: outcome.name, ...payload } };
}

interface Run {
  readonly result: TxResult;
  readonly executed: readonly Executed[];
}

/** Runs every operation, also behind a failed one (each states its result); commits only if all succeeded. */
function run(view: CoreView, tx: Tx, invoke: InvokeHostFunction): Run {
  const frame = view.fork();
  const sponsorships = new Map<string, string>();
  const executed = tx.operations
    .map((_, index) => executeOperation(frame, tx, index, sponsorships, invoke))
    .filter((one) => one !== undefined);
  const operations = executed.map(({ result }) => result);
  if (operations.some(({ name }) => name !== 'op_success'))
    return { executed, result: { code: 'txFAILED', operations } };
  if (sponsorships.size > 0) return { executed, result: { code: 'txBAD_SPONSORSHIP', operations: [] } };
  frame.commit();
  return { executed, result: { code: 'txSUCCESS', operations } };
}

/** A fault of this program must cost one transaction, not the ledger: it applies as an internal error, without effects. */
function runSafely(view: CoreView, tx: Tx, invoke: InvokeHostFunction): Run {
  try {
    return run(view, tx, invoke);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${JSON.stringify({ event: 'sandbox.internal_error', transaction: tx.id, error: text })}\n`);
    return { executed: [], result: { code: 'txINTERNAL_ERROR', operations: [] } };
  }
}

/** Result XDR of a transaction that was refused or applied. */
export function resultXdr(tx: Tx, result: TxResult, outer: boolean, fee: bigint): string {
  return encodeResult(result, fee, tx.bump === null || outer ? undefined : tx.hash);
}

function operationRecord(tx: Tx, view: CoreView, order: number, index: number, one: Executed | undefined, ok: boolean) {
  const entry = tx.operations[index];
  const changes = ok ? (one?.outcome.changes ?? []) : [];
  const image = ok ? one?.outcome.image : undefined;
  const { networkPassphrase } = view;
  const record: OperationRecord = {
    id: toid(view.sequence, order, index + 1),
    index: index + 1,
    source: entry?.source ?? tx.source,
    type: entry?.op.body.type ?? '',
    xdr: entry?.op.toXdr('base64') ?? '',
    successful: ok,
    participants: one?.participants ?? [entry?.source ?? tx.source],
    changes,
    entries: ok ? (one?.entries ?? []) : [],
    // Made when somebody asks and not kept: decoded events would be most of a long history's memory.
    get events() {
      if (image !== undefined) return emittedEvents(image);
      return changes.map((change) => movementEvent(change, networkPassphrase));
    },
  };
  return record;
}

/**
 * Applies one transaction whose fee is already taken and writes its record.
 * @param order 1-based position in the ledger
 */
export function applyTransaction(
  view: CoreView,
  tx: Tx,
  order: number,
  charged: bigint,
  invoke: InvokeHostFunction,
): TransactionRecord {
  const refused: Refusal | null = checkTransaction(tx, view, false);
  if (refused === null || !(refused.outer || KEEPS_SEQUENCE.includes(refused.code))) consumeSequence(view, tx);
  const { result, executed }: Run = refused === null ? runSafely(view, tx, invoke) : { result: refused, executed: [] };
  const successful = result.code === 'txSUCCESS';
  const refund = tx.soroban === null ? 0n : refundOf(tx);
  const payer = view.account(tx.feeSource);
  const refunded = payer !== undefined && refund <= charged ? refund : 0n;
  if (payer !== undefined && refunded > 0n) view.putAccount({ ...payer, balance: payer.balance + refunded });
  const feeCharged = charged - refunded;
  return {
    hash: tx.id,
    innerHash: tx.bump === null ? null : tx.hash.toString('hex'),
    ledger: view.sequence,
    order,
    closedAt: view.closeTime,
    successful,
    envelopeXdr: tx.envelopeXdr,
    resultXdr: resultXdr(tx, result, refused?.outer ?? false, feeCharged),
    returnValue: successful ? (executed[0]?.outcome.returnValue ?? null) : null,
    feeCharged,
    accounts: [...new Set([tx.source, tx.feeSource])],
    operations: tx.operations.map((_, index) => operationRecord(tx, view, order, index, executed[index], successful)),
    diagnostics: executed.flatMap(({ outcome }) => outcome.diagnostics ?? []),
  };
}
