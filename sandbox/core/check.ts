/**
 * Whether a transaction is valid, asked in core's order, with core's codes. The same questions are asked when it is
 * submitted and again when its ledger is applied.
 */
import type { Tx } from './envelope.ts';
import { BASE_FEE, feeUnits, inclusionBid, minimumFee, minimumResourceFee } from './fees.ts';
import { spendable } from './operations/context.ts';
import { operationOf } from './operations/table.ts';
import type { OpResult, TxCode } from './results.ts';
import { createSignatureChecker, type SignatureChecker } from './signatures.ts';
import type { CoreView } from './state.ts';
import type { AccountEntry } from './types.ts';

/** Why a transaction is refused. `outer`: the fee bump itself is at fault, not the transaction within. */
export interface Refusal {
  readonly code: TxCode;
  readonly operations: readonly OpResult[];
  readonly outer: boolean;
}

const refusal = (code: TxCode, operations: readonly OpResult[] = []): Refusal => ({ code, operations, outer: false });
const outerRefusal = (code: TxCode): Refusal => ({ code, operations: [], outer: true });

/** A contract call stands alone, declares its resources and carries no memo. */
function checkSoroban(tx: Tx): TxCode | null {
  const calls = tx.operations.filter(({ op }) => op.body.type === 'invokeHostFunction');
  const [call] = calls;
  if (call === undefined) return tx.soroban === null ? null : 'txMALFORMED';
  if (tx.operations.length !== 1) return 'txMALFORMED';
  if (tx.soroban === null || tx.declared === null) return 'txSOROBAN_INVALID';
  const muxed = [tx.body.sourceAccount, call.op.sourceAccount].some(
    (account) => account?.type === 'keyTypeMuxedEd25519',
  );
  if (tx.body.memo.type !== 'memoNone' || muxed) return 'txSOROBAN_INVALID';
  if (tx.resourceFee > tx.fee || tx.resourceFee < 0n) return 'txMALFORMED';
  const { readOnly, readWrite } = tx.soroban.resources.footprint;
  const size = { readOnly: readOnly.length, readWrite: readWrite.length, bytes: tx.declared.bytes };
  return tx.resourceFee < minimumResourceFee(size) ? 'txSOROBAN_INVALID' : null;
}

/** The questions that need no account. */
function checkForm(tx: Tx, view: CoreView): TxCode | null {
  if (tx.version0 || tx.bounds.extraSigners > 0) return 'txNOT_SUPPORTED';
  if (tx.operations.some(({ op }) => operationOf(op.body) === undefined)) return 'txNOT_SUPPORTED';
  if (tx.operations.length === 0) return 'txMISSING_OPERATION';
  const soroban = checkSoroban(tx);
  if (soroban !== null) return soroban;
  const { minTime, maxTime, minLedger, maxLedger } = tx.bounds;
  if (minTime > BigInt(view.closeTime) || minLedger > view.sequence) return 'txTOO_EARLY';
  if ((maxTime !== 0n && maxTime < BigInt(view.closeTime)) || (maxLedger !== 0 && maxLedger <= view.sequence)) {
    return 'txTOO_LATE';
  }
  if (tx.bump === null && inclusionBid(tx) < BASE_FEE * feeUnits(tx)) return 'txINSUFFICIENT_FEE';
  return null;
}

function checkSequence(tx: Tx, account: AccountEntry, view: CoreView): TxCode | null {
  const { minSequence, minSequenceAge, minSequenceLedgerGap } = tx.bounds;
  const fits =
    minSequence === null
      ? account.sequence + 1n === tx.sequence
      : account.sequence >= minSequence && account.sequence < tx.sequence;
  // The first number of a ledger belongs to accounts created in it.
  if (!fits || tx.sequence === BigInt(view.sequence) << 32n) return 'txBAD_SEQ';
  const tooYoung = BigInt(view.closeTime - account.sequenceTime) < minSequenceAge;
  const tooNear = view.sequence - account.sequenceLedger < minSequenceLedgerGap;
  return tooYoung || tooNear ? 'txBAD_MIN_SEQ_AGE_OR_GAP' : null;
}

/** Signatures and static form of every operation. */
function checkOperations(tx: Tx, view: CoreView, checker: SignatureChecker, charging: boolean): OpResult[] {
  let failed = false;
  return tx.operations.map(({ source, own, op }) => {
    const operation = operationOf(op.body);
    if (operation === undefined) return { type: 'payment', name: 'op_not_supported' };
    const { type } = operation;
    // Before its ledger, core stops looking at the first fault and lets the rest stand as if they were right.
    if (failed && charging) return { type, name: 'op_success' };
    const account = view.account(source);
    const missing = account === undefined && !own;
    const signed = account === undefined ? checker.key(source) : checker.account(account, operation.level);
    const fault = missing ? 'op_no_source_account' : signed ? operation.check(source) : 'op_bad_auth';
    failed ||= fault !== null;
    return { type, name: fault ?? 'op_success' };
  });
}

/** The fee bump's own questions, asked before those of the transaction within. */
function checkBump(tx: Tx, view: CoreView, charging: boolean): Refusal | null {
  const { bump } = tx;
  if (bump === null) return null;
  const innerBid = BigInt(tx.body.fee) - tx.resourceFee;
  const innerUnits = BigInt(Math.max(1, tx.operations.length));
  const cheaper = inclusionBid(tx) * innerUnits < innerBid * feeUnits(tx);
  if (tx.fee < minimumFee(tx) || cheaper) return outerRefusal('txINSUFFICIENT_FEE');
  const payer = view.account(bump.feeSource);
  if (payer === undefined) return outerRefusal('txNO_ACCOUNT');
  const checker = createSignatureChecker(bump.hash, bump.signatures);
  if (!checker.account(payer, 'low')) return outerRefusal('txBAD_AUTH');
  if (charging && spendable(payer, view.baseReserve) < tx.fee) return outerRefusal('txINSUFFICIENT_BALANCE');
  return checker.allUsed() ? null : outerRefusal('txBAD_AUTH_EXTRA');
}

/**
 * Asks everything of a transaction against the view's ledger number and close time.
 * @param charging the fee is still to be paid: its bid must be there (false once the ledger has taken it)
 */
export function checkTransaction(tx: Tx, view: CoreView, charging: boolean): Refusal | null {
  const bump = checkBump(tx, view, charging);
  if (bump !== null) return bump;
  const form = checkForm(tx, view);
  if (form !== null) return refusal(form);
  const account = view.account(tx.source);
  if (account === undefined) return refusal('txNO_ACCOUNT');
  const sequence = checkSequence(tx, account, view);
  if (sequence !== null) return refusal(sequence);
  const checker = createSignatureChecker(tx.hash, tx.signatures);
  if (!checker.account(account, 'low')) return refusal('txBAD_AUTH');
  if (charging && tx.bump === null && spendable(account, view.baseReserve) < tx.fee) {
    return refusal('txINSUFFICIENT_BALANCE');
  }
  const operations = checkOperations(tx, view, checker, charging);
  if (operations.some(({ name }) => name !== 'op_success')) return refusal('txFAILED', operations);
  return checker.allUsed() ? null : refusal('txBAD_AUTH_EXTRA');
}
