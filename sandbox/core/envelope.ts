/** Reading transaction envelopes: hashes, sources, bounds and fees, in the form that checks and execution need. */
import { createHash } from 'node:crypto';
import { xdr } from '@stellar/stellar-sdk/base';
import { accountId } from './keys.ts';

export interface Bounds {
  readonly minTime: bigint;
  readonly maxTime: bigint;
  readonly minLedger: number;
  readonly maxLedger: number;
  readonly minSequence: bigint | null;
  readonly minSequenceAge: bigint;
  readonly minSequenceLedgerGap: number;
  readonly extraSigners: number;
}

/** The fee bump around a transaction. */
interface Bump {
  readonly hash: Buffer;
  readonly feeSource: string;
  readonly fee: bigint;
  readonly signatures: readonly xdr.DecoratedSignature[];
}

/** What a contract call declares: the entries it may touch (base64 LedgerKey XDR), and its size. */
export interface Declared {
  readonly readable: ReadonlySet<string>;
  readonly writable: ReadonlySet<string>;
  /** the writable ones that are archived and to be restored */
  readonly restored: ReadonlySet<string>;
  /** of the operation's body */
  readonly bytes: number;
}

export interface Tx {
  readonly envelopeXdr: string;
  /** hex of the outer hash: the fee bump's, if it is one */
  readonly id: string;
  /** of the transaction proper (the inner one of a fee bump) */
  readonly hash: Buffer;
  readonly bump: Bump | null;
  readonly version0: boolean;
  readonly body: xdr.Transaction;
  readonly source: string;
  readonly sequence: bigint;
  readonly bounds: Bounds;
  readonly signatures: readonly xdr.DecoratedSignature[];
  readonly operations: readonly { readonly source: string; readonly own: boolean; readonly op: xdr.Operation }[];
  readonly soroban: xdr.SorobanTransactionData | null;
  readonly declared: Declared | null;
  /** who pays, and how much at most */
  readonly feeSource: string;
  readonly fee: bigint;
  readonly resourceFee: bigint;
}

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const ENVELOPE_TX = Buffer.from([0, 0, 0, 2]);
const ENVELOPE_FEE_BUMP = Buffer.from([0, 0, 0, 5]);

export function networkId(passphrase: string): Buffer {
  return sha256(Buffer.from(passphrase));
}

function boundsOf(cond: xdr.Preconditions): Bounds {
  const v2 = cond.type === 'precondV2' ? cond.v2 : null;
  const time = cond.type === 'precondTime' ? cond.timeBounds : (v2?.timeBounds ?? null);
  return {
    minTime: time?.minTime ?? 0n,
    maxTime: time?.maxTime ?? 0n,
    minLedger: v2?.ledgerBounds?.minLedger ?? 0,
    maxLedger: v2?.ledgerBounds?.maxLedger ?? 0,
    minSequence: v2?.minSeqNum ?? null,
    minSequenceAge: v2?.minSeqAge ?? 0n,
    minSequenceLedgerGap: v2?.minSeqLedgerGap ?? 0,
    extraSigners: v2?.extraSigners.length ?? 0,
  };
}

/** A V0 envelope in today's form: same fields, and the same hash by the protocol's rule. */
function upgraded(v0: xdr.TransactionV0): xdr.Transaction {
  return new xdr.Transaction({
    sourceAccount: xdr.MuxedAccount.keyTypeEd25519(v0.sourceAccountEd25519),
    fee: v0.fee,
    seqNum: v0.seqNum,
    cond: v0.timeBounds === null ? xdr.Preconditions.precondNone() : xdr.Preconditions.precondTime(v0.timeBounds),
    memo: v0.memo,
    operations: v0.operations,
    ext: xdr.TransactionExt.v0(),
  });
}

function declaredBy(soroban: xdr.SorobanTransactionData, operations: readonly xdr.Operation[]): Declared {
  const { readOnly, readWrite } = soroban.resources.footprint;
  const writable = new Set(readWrite.map((key) => key.toXdr('base64')));
  const readable = new Set([...writable, ...readOnly.map((key) => key.toXdr('base64'))]);
  const marked = soroban.ext.type === 'resourceExt' ? soroban.ext.resourceExt.archivedSorobanEntries : [];
  const restored = new Set([...writable].filter((_, index) => marked.includes(index)));
  return { readable, writable, restored, bytes: operations[0]?.body.toXdr().length ?? 0 };
}

/**
 * Decodes a base64 envelope.
 * @throws XdrError when it is not a transaction envelope, or not exactly one
 */
export function readEnvelope(envelopeXdr: string, network: Buffer): Tx {
  const envelope = xdr.TransactionEnvelope.fromXdr(envelopeXdr, 'base64');
  const inner =
    envelope.type === 'envelopeTypeTxFeeBump'
      ? envelope.feeBump.tx.innerTx.v1
      : envelope.type === 'envelopeTypeTx'
        ? envelope.v1
        : { tx: upgraded(envelope.v0.tx), signatures: envelope.v0.signatures };
  const body = inner.tx;
  const hash = sha256(network, ENVELOPE_TX, body.toXdr());
  const bump = envelope.type === 'envelopeTypeTxFeeBump' ? readBump(envelope.feeBump, network) : null;
  const source = accountId(body.sourceAccount);
  const soroban = body.ext.type === 'sorobanData' ? body.ext.sorobanData : null;
  return {
    envelopeXdr,
    id: (bump?.hash ?? hash).toString('hex'),
    hash,
    bump,
    version0: envelope.type === 'envelopeTypeTxV0',
    body,
    source,
    sequence: body.seqNum,
    bounds: boundsOf(body.cond),
    signatures: inner.signatures,
    operations: body.operations.map((op) => ({
      source: op.sourceAccount === null ? source : accountId(op.sourceAccount),
      own: op.sourceAccount !== null,
      op,
    })),
    soroban,
    declared: soroban === null ? null : declaredBy(soroban, body.operations),
    feeSource: bump?.feeSource ?? source,
    fee: bump?.fee ?? BigInt(body.fee),
    resourceFee: soroban?.resourceFee ?? 0n,
  };
}

function readBump(envelope: xdr.FeeBumpTransactionEnvelope, network: Buffer): Bump {
  return {
    hash: sha256(network, ENVELOPE_FEE_BUMP, envelope.tx.toXdr()),
    feeSource: accountId(envelope.tx.feeSource),
    fee: envelope.tx.fee,
    signatures: envelope.signatures,
  };
}
