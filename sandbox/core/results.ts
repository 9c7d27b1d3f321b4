/**
 * Result codes and their XDR. A result is written by hand: it is a handful of 32-bit words, and the network's codes are
 * exactly these numbers.
 */

export const TX_CODES = {
  txFEE_BUMP_INNER_SUCCESS: 1,
  txSUCCESS: 0,
  txFAILED: -1,
  txTOO_EARLY: -2,
  txTOO_LATE: -3,
  txMISSING_OPERATION: -4,
  txBAD_SEQ: -5,
  txBAD_AUTH: -6,
  txINSUFFICIENT_BALANCE: -7,
  txNO_ACCOUNT: -8,
  txINSUFFICIENT_FEE: -9,
  txBAD_AUTH_EXTRA: -10,
  txINTERNAL_ERROR: -11,
  txNOT_SUPPORTED: -12,
  txFEE_BUMP_INNER_FAILED: -13,
  txBAD_SPONSORSHIP: -14,
  txBAD_MIN_SEQ_AGE_OR_GAP: -15,
  txMALFORMED: -16,
  txSOROBAN_INVALID: -17,
} as const;

export type TxCode = keyof typeof TX_CODES;

/** Horizon's names of the transaction codes. */
const TX_NAMES = new Map<number, string>([
  [1, 'tx_fee_bump_inner_success'],
  [0, 'tx_success'],
  [-1, 'tx_failed'],
  [-2, 'tx_too_early'],
  [-3, 'tx_too_late'],
  [-4, 'tx_missing_operation'],
  [-5, 'tx_bad_seq'],
  [-6, 'tx_bad_auth'],
  [-7, 'tx_insufficient_balance'],
  [-8, 'tx_no_source_account'],
  [-9, 'tx_insufficient_fee'],
  [-10, 'tx_bad_auth_extra'],
  [-11, 'tx_internal_error'],
  [-12, 'tx_not_supported'],
  [-13, 'tx_fee_bump_inner_failed'],
  [-14, 'tx_bad_sponsorship'],
  [-15, 'tx_bad_minseq_age_or_gap'],
  [-16, 'tx_malformed'],
  [-17, 'tx_soroban_invalid'],
]);

/** Operation codes by operation: index i is the code −i, named as Horizon names it. */
export const OP_CODES = {
  createAccount: ['op_success', 'op_malformed', 'op_underfunded', 'op_low_reserve', 'op_already_exists'],
  payment: [
    'op_success',
    'op_malformed',
    'op_underfunded',
    'op_src_no_trust',
    'op_src_not_authorized',
    'op_no_destination',
    'op_no_trust',
    'op_not_authorized',
    'op_line_full',
    'op_no_issuer',
  ],
  pathPaymentStrictReceive: [
    'op_success',
    'op_malformed',
    'op_underfunded',
    'op_src_no_trust',
    'op_src_not_authorized',
    'op_no_destination',
    'op_no_trust',
    'op_not_authorized',
    'op_line_full',
    'op_no_issuer',
    'op_too_few_offers',
    'op_cross_self',
    'op_over_source_max',
  ],
  pathPaymentStrictSend: [
    'op_success',
    'op_malformed',
    'op_underfunded',
    'op_src_no_trust',
    'op_src_not_authorized',
    'op_no_destination',
    'op_no_trust',
    'op_not_authorized',
    'op_line_full',
    'op_no_issuer',
    'op_too_few_offers',
    'op_cross_self',
    'op_under_dest_min',
  ],
  setOptions: [
    'op_success',
    'op_low_reserve',
    'op_too_many_signers',
    'op_bad_flags',
    'op_invalid_inflation',
    'op_cant_change',
    'op_unknown_flag',
    'op_threshold_out_of_range',
    'op_bad_signer',
    'op_invalid_home_domain',
    'op_auth_revocable_required',
  ],
  changeTrust: [
    'op_success',
    'op_malformed',
    'op_no_issuer',
    'op_invalid_limit',
    'op_low_reserve',
    'op_self_not_allowed',
    'op_trust_line_missing',
    'op_cannot_delete',
    'op_not_aut_maintain_liabilities',
  ],
  accountMerge: [
    'op_success',
    'op_malformed',
    'op_no_account',
    'op_immutable_set',
    'op_has_sub_entries',
    'op_seq_num_too_far',
    'op_dest_full',
    'op_is_sponsor',
  ],
  manageData: [
    'op_success',
    'op_not_supported_yet',
    'op_data_name_not_found',
    'op_low_reserve',
    'op_data_invalid_name',
  ],
  bumpSequence: ['op_success', 'op_bad_seq'],
  beginSponsoringFutureReserves: ['op_success', 'op_malformed', 'op_already_sponsored', 'op_recursive'],
  endSponsoringFutureReserves: ['op_success', 'op_not_sponsored'],
  clawback: ['op_success', 'op_malformed', 'op_not_clawback_enabled', 'op_no_trust', 'op_underfunded'],
  setTrustLineFlags: [
    'op_success',
    'op_malformed',
    'op_no_trust',
    'op_cant_revoke',
    'op_invalid_state',
    'op_low_reserve',
  ],
  invokeHostFunction: [
    'op_success',
    'op_malformed',
    'function_trapped',
    'resource_limit_exceeded',
    'entry_archived',
    'insufficient_refundable_fee',
  ],
} as const;

/** The operations this ledger executes. */
export type OpType = keyof typeof OP_CODES;

/** Numbers of the operations in XDR (Horizon's `type_i`). */
export const OP_TYPE_NUMBERS: Record<OpType, number> = {
  createAccount: 0,
  payment: 1,
  pathPaymentStrictReceive: 2,
  setOptions: 5,
  changeTrust: 6,
  accountMerge: 8,
  manageData: 10,
  bumpSequence: 11,
  pathPaymentStrictSend: 13,
  beginSponsoringFutureReserves: 16,
  endSponsoringFutureReserves: 17,
  clawback: 19,
  setTrustLineFlags: 21,
  invokeHostFunction: 24,
};

/** Codes that stand outside the operation's own union. */
const OUTER_CODES = {
  op_bad_auth: -1,
  op_no_source_account: -2,
  op_not_supported: -3,
  op_too_many_subentries: -4,
  op_exceeded_work_limit: -5,
  op_too_many_sponsoring: -6,
} as const;

/** The result of one operation, under Horizon's name; `payload` is what its success carries in XDR. */
export interface OpResult {
  readonly type: OpType;
  readonly name: string;
  readonly payload?: Buffer;
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** A signed 64-bit XDR integer. */
export const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

/** Bytes that a success carries; an operation which was not reached states them as zeros. */
const UNREACHED: Partial<Record<OpType, number>> = {
  accountMerge: 8,
  invokeHostFunction: 32,
  pathPaymentStrictReceive: 52,
  pathPaymentStrictSend: 52,
};

function encodeOp(result: OpResult): Buffer {
  const outer = (OUTER_CODES as Record<string, number>)[result.name];
  if (outer !== undefined) return int32(outer);
  const code = (OP_CODES[result.type] as readonly string[]).indexOf(result.name);
  if (code < 0) throw new Error(`no code ${result.name} for ${result.type}`);
  return Buffer.concat([
    int32(0),
    int32(OP_TYPE_NUMBERS[result.type]),
    int32(-code),
    result.payload ?? Buffer.alloc(code === 0 ? (UNREACHED[result.type] ?? 0) : 0),
  ]);
}

export interface TxResult {
  readonly code: TxCode;
  /** present for txSUCCESS and txFAILED */
  readonly operations: readonly OpResult[];
}

function encodeBody(result: TxResult): Buffer {
  const code = int32(TX_CODES[result.code]);
  if (result.code !== 'txSUCCESS' && result.code !== 'txFAILED') return code;
  return Buffer.concat([code, int32(result.operations.length), ...result.operations.map(encodeOp)]);
}

/**
 * TransactionResult XDR in base64.
 * @param innerHash 32 bytes: the result is of a fee bump whose inner transaction came out as `result`
 */
export function encodeResult(result: TxResult, feeCharged: bigint, innerHash?: Uint8Array): string {
  const ext = int32(0);
  if (innerHash === undefined) return Buffer.concat([int64(feeCharged), encodeBody(result), ext]).toString('base64');
  const outer = result.code === 'txSUCCESS' ? 'txFEE_BUMP_INNER_SUCCESS' : 'txFEE_BUMP_INNER_FAILED';
  // The bump pays everything: the inner result states a fee of 0.
  const inner = Buffer.concat([int64(0n), encodeBody(result), ext]);
  return Buffer.concat([int64(feeCharged), int32(TX_CODES[outer]), innerHash, inner, ext]).toString('base64');
}

export interface ResultCodes {
  transaction: string;
  inner_transaction?: string;
  operations?: string[];
}

/** Horizon's `result_codes` of a TransactionResult in base64. */
export function resultCodes(resultXdr: string): ResultCodes {
  const bytes = Buffer.from(resultXdr, 'base64');
  const code = bytes.readInt32BE(8);
  const transaction = TX_NAMES.get(code) ?? 'tx_internal_error';
  if (code === 1 || code === -13) {
    const inner = bytes.readInt32BE(12 + 32 + 8);
    const operations = readOps(bytes, 12 + 32 + 8, inner);
    const named = { transaction, inner_transaction: TX_NAMES.get(inner) ?? 'tx_internal_error' };
    return operations === undefined ? named : { ...named, operations };
  }
  const operations = readOps(bytes, 8, code);
  return operations === undefined ? { transaction } : { transaction, operations };
}

const OUTER_NAMES = new Map(Object.entries(OUTER_CODES).map(([name, code]) => [code as number, name]));
const TYPE_BY_NUMBER = new Map(Object.entries(OP_TYPE_NUMBERS).map(([type, number]) => [number, type as OpType]));

function readOps(bytes: Buffer, at: number, code: number): string[] | undefined {
  if (code !== 0 && code !== -1) return undefined;
  const count = bytes.readInt32BE(at + 4);
  const names: string[] = [];
  let offset = at + 8;
  for (let index = 0; index < count; index += 1) {
    const outer = bytes.readInt32BE(offset);
    offset += 4;
    if (outer !== 0) {
      names.push(OUTER_NAMES.get(outer) ?? 'op_unknown');
      continue;
    }
    const type = TYPE_BY_NUMBER.get(bytes.readInt32BE(offset)) ?? 'payment';
    const inner = bytes.readInt32BE(offset + 4);
    offset += 8 + (inner === 0 ? successSize(type, bytes, offset + 8) : 0);
    names.push(OP_CODES[type][-inner] ?? 'op_unknown');
  }
  return names;
}

/** Bytes a successful result carries behind its code. */
function successSize(type: OpType, bytes: Buffer, at: number): number {
  if (type === 'accountMerge') return 8;
  if (type === 'invokeHostFunction') return 32;
  if (type !== 'pathPaymentStrictReceive' && type !== 'pathPaymentStrictSend') return 0;
  // no offers, then destination (public key), asset, amount
  const assetType = bytes.readInt32BE(at + 4 + 36);
  return 4 + 36 + 4 + (assetType === 0 ? 0 : assetType === 1 ? 4 + 36 : 12 + 36) + 8;
}
