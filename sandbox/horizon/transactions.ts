/** Transactions as Horizon writes them. */
import { xdr } from '@stellar/stellar-sdk/base';
import { isoTime } from '../core/http.ts';
import { accountId, muxedAddress, muxedId } from '../core/keys.ts';
import { toid } from '../core/toid.ts';
import type { TransactionRecord } from '../core/types.ts';

type Fields = Record<string, unknown>;

function memoFields(memo: xdr.Memo): Fields {
  switch (memo.type) {
    case 'memoText': {
      const bytes = Buffer.from(memo.text.bytes);
      return { memo_type: 'text', memo: bytes.toString('utf8'), memo_bytes: bytes.toString('base64') };
    }
    case 'memoId':
      return { memo_type: 'id', memo: String(memo.id) };
    case 'memoHash':
      return { memo_type: 'hash', memo: Buffer.from(memo.hash.value).toString('base64') };
    case 'memoReturn':
      return { memo_type: 'return', memo: Buffer.from(memo.retHash.value).toString('base64') };
    default:
      return { memo_type: 'none' };
  }
}

function preconditionFields(cond: xdr.Preconditions): Fields {
  if (cond.type === 'precondNone') return {};
  const bounds = cond.type === 'precondTime' ? cond.timeBounds : cond.v2.timeBounds;
  const v2 = cond.type === 'precondV2' ? cond.v2 : null;
  // An open upper bound is left out.
  const upper = (value: bigint | number | undefined): boolean => value !== undefined && BigInt(value) !== 0n;
  return {
    preconditions: {
      ...(bounds === null
        ? {}
        : {
            timebounds: {
              min_time: String(bounds.minTime),
              ...(upper(bounds.maxTime) ? { max_time: String(bounds.maxTime) } : {}),
            },
          }),
      ...(v2?.ledgerBounds == null
        ? {}
        : {
            ledgerbounds: {
              min_ledger: v2.ledgerBounds.minLedger,
              ...(upper(v2.ledgerBounds.maxLedger) ? { max_ledger: v2.ledgerBounds.maxLedger } : {}),
            },
          }),
      ...(v2?.minSeqNum == null ? {} : { min_account_sequence: String(v2.minSeqNum) }),
      ...(v2 !== null && v2.minSeqAge > 0n ? { min_account_sequence_age: String(v2.minSeqAge) } : {}),
      ...(v2 !== null && v2.minSeqLedgerGap > 0 ? { min_account_sequence_ledger_gap: v2.minSeqLedgerGap } : {}),
    },
  };
}

const signatureTexts = (signatures: readonly xdr.DecoratedSignature[]): string[] =>
  signatures.map(({ signature }) => Buffer.from(signature.value).toString('base64'));

/** What only a fee bump shows: both hashes with their signatures. */
function bumpFields(
  record: TransactionRecord,
  inner: xdr.TransactionV1Envelope,
  outer: readonly xdr.DecoratedSignature[],
): Fields {
  return {
    fee_bump_transaction: { hash: record.hash, signatures: signatureTexts(outer) },
    inner_transaction: {
      hash: record.innerHash,
      signatures: signatureTexts(inner.signatures),
      max_fee: String(inner.tx.fee),
    },
  };
}

interface Opened {
  readonly tx: xdr.Transaction;
  readonly signatures: readonly xdr.DecoratedSignature[];
  readonly fee: bigint;
  readonly feeAccount: xdr.MuxedAccount;
  readonly bump: Fields;
}

function open(record: TransactionRecord): Opened {
  const envelope = xdr.TransactionEnvelope.fromXdr(record.envelopeXdr, 'base64');
  if (envelope.type === 'envelopeTypeTxFeeBump') {
    const { tx, signatures } = envelope.feeBump;
    const inner = tx.innerTx.v1;
    const bump = bumpFields(record, inner, signatures);
    return { tx: inner.tx, signatures, fee: tx.fee, feeAccount: tx.feeSource, bump };
  }
  if (envelope.type !== 'envelopeTypeTx') throw new Error('a V0 envelope is never applied');
  const { tx, signatures } = envelope.v1;
  return { tx, signatures, fee: BigInt(tx.fee), feeAccount: tx.sourceAccount, bump: {} };
}

/** A muxed address beside its account: `to_muxed`, `to_muxed_id`; nothing for a plain one. */
export function muxedFields(name: string, account: xdr.MuxedAccount): Fields {
  const id = muxedId(account);
  return id === null ? {} : { [`${name}_muxed`]: muxedAddress(account), [`${name}_muxed_id`]: String(id) };
}

/** @param base where this Horizon is reached, without a slash at the end */
export function transactionResource(record: TransactionRecord, base: string): Fields {
  const { tx, signatures, fee, feeAccount, bump } = open(record);
  const self = `${base}/transactions/${record.hash}`;
  const source = accountId(tx.sourceAccount);
  const id = toid(record.ledger, record.order);
  return {
    ...memoFields(tx.memo),
    _links: {
      self: { href: self },
      account: { href: `${base}/accounts/${source}` },
      ledger: { href: `${base}/ledgers/${record.ledger}` },
      operations: { href: `${self}/operations{?cursor,limit,order}`, templated: true },
      effects: { href: `${self}/effects{?cursor,limit,order}`, templated: true },
      precedes: { href: `${base}/transactions?order=asc&cursor=${id}` },
      succeeds: { href: `${base}/transactions?order=desc&cursor=${id}` },
      transaction: { href: self },
    },
    id: record.hash,
    paging_token: String(id),
    successful: record.successful,
    hash: record.hash,
    ledger: record.ledger,
    created_at: isoTime(record.closedAt),
    source_account: source,
    ...muxedFields('account', tx.sourceAccount),
    source_account_sequence: String(tx.seqNum),
    fee_account: accountId(feeAccount),
    ...muxedFields('fee_account', feeAccount),
    fee_charged: String(record.feeCharged),
    max_fee: String(fee),
    operation_count: tx.operations.length,
    envelope_xdr: record.envelopeXdr,
    result_xdr: record.resultXdr,
    fee_meta_xdr: 'AAAAAA==',
    signatures: signatureTexts(signatures),
    ...preconditionFields(tx.cond),
    ...bump,
  };
}
