/** Envelopes as bytes: their hashes, their signatures, the sponsor's fee bump around them. */
import { Buffer } from 'node:buffer';
import { FeeBumpTransaction, Keypair, type Transaction, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';

/** A key that can sign a hash; the secret itself never comes here. */
export interface SigningKey {
  /** G… */
  readonly publicKey: string;
  /** ed25519 signature (64 bytes) over the 32-byte hash */
  sign(hash: Uint8Array): Uint8Array;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** @returns the hash that was signed; each costs the transaction's encoding, twice */
function decorate(transaction: Transaction | FeeBumpTransaction, key: SigningKey): Uint8Array {
  const hint = Keypair.fromPublicKey(key.publicKey).signatureHint();
  const hash = transaction.hash();
  transaction.addDecoratedSignature(new xdr.DecoratedSignature({ hint, signature: key.sign(hash) }));
  return hash;
}

/**
 * Lowercase hex hashes of an envelope on our network. `innerHash` is set on a fee bump and is the only hash that is
 * sure to land: a replacement bump has another outer hash. Throws on undecodable XDR.
 */
export function hashes(envelope: string, networkPassphrase: string): { hash: string; innerHash: string | null } {
  const transaction = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  const innerHash = transaction instanceof FeeBumpTransaction ? hex(transaction.innerTransaction.hash()) : null;
  return { hash: hex(transaction.hash()), innerHash };
}

/** Adds one signature per key; signatures already there stay. Returns base64 XDR. */
export function signEnvelope(envelope: string, networkPassphrase: string, keys: readonly SigningKey[]): string {
  const transaction = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  for (const key of keys) decorate(transaction, key);
  return transaction.toXdr();
}

/**
 * Wraps a signed envelope so that the sponsor pays. `maxFeePerOp` is the bid in stroops for each of the inner
 * operations and the bump itself; the network charges the lowest winning bid. A bid below the inner transaction's own
 * rate is raised to it, because the network refuses such a bump.
 */
export function feeBump(
  envelope: string,
  networkPassphrase: string,
  sponsor: SigningKey,
  { maxFeePerOp }: { readonly maxFeePerOp: bigint },
): { envelope: string; hash: string } {
  const inner = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  if (inner instanceof FeeBumpTransaction) throw new TypeError('a fee bump cannot be bumped');
  const floor = innerRate(inner);
  return bump(inner, networkPassphrase, sponsor, maxFeePerOp > floor ? maxFeePerOp : floor);
}

/**
 * The transaction of a fee bump under another one that bids `maxFeePerOp` stroops for each operation: the inner hash
 * stays, and only one of the two can land.
 */
export function raisedFeeBump(
  envelope: string,
  networkPassphrase: string,
  sponsor: SigningKey,
  maxFeePerOp: bigint,
): { envelope: string; hash: string } {
  return bump(bumpOf(envelope, networkPassphrase).innerTransaction, networkPassphrase, sponsor, maxFeePerOp);
}

/** A transaction without signatures and fee bump, as it was before it was signed, and what it says of itself. */
export interface Unsigned {
  /** base64 */
  readonly envelope: string;
  /** lowercase hex, of this transaction: the inner one where it was fee-bumped */
  readonly hash: string;
  /** of the fee bump, or null */
  readonly outerHash: string | null;
  readonly source: string;
  readonly sequence: bigint;
  /** unix seconds; 0: no limit */
  readonly maxTime: bigint;
}

/** @throws on undecodable XDR */
export function unsigned(envelope: string, networkPassphrase: string): Unsigned {
  const parsed = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  const inner = parsed instanceof FeeBumpTransaction ? parsed.innerTransaction : parsed;
  inner.signatures.length = 0;
  return {
    envelope: inner.toXdr(),
    hash: hex(inner.hash()),
    outerHash: parsed === inner ? null : hex(parsed.hash()),
    source: inner.source,
    sequence: BigInt(inner.sequence),
    maxTime: BigInt(inner.timeBounds?.maxTime ?? 0),
  };
}

/** Whether two unsigned transactions do the same: operations and memo; not who lends the number, what it costs or when. */
export function doTheSame(one: string, other: string): boolean {
  const deeds = (envelope: string): string | null => {
    const decoded = xdr.TransactionEnvelope.fromXdr(envelope, 'base64');
    if (decoded.type !== 'envelopeTypeTx') return null;
    const { operations, memo } = decoded.v1.tx;
    return [...operations, memo].map((part) => part.toXdr('base64')).join();
  };
  const wanted = deeds(one);
  return wanted !== null && wanted === deeds(other);
}

/** What a fee bump bids for each operation and for itself, stroops. */
export function bidOf(envelope: string, networkPassphrase: string): bigint {
  const { fee, innerTransaction } = bumpOf(envelope, networkPassphrase);
  return (BigInt(fee) - resourceFeeOf(innerTransaction)) / BigInt(innerTransaction.operations.length + 1);
}

/** No ledger from this one on takes the transaction; null when it states none. */
export function maxLedgerOf(envelope: string, networkPassphrase: string): number | null {
  const parsed = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  const { ledgerBounds } = parsed instanceof FeeBumpTransaction ? parsed.innerTransaction : parsed;
  return ledgerBounds?.maxLedger === undefined || ledgerBounds.maxLedger === 0 ? null : ledgerBounds.maxLedger;
}

function bumpOf(envelope: string, networkPassphrase: string): FeeBumpTransaction {
  const parsed = TransactionBuilder.fromXdr(envelope, networkPassphrase);
  if (parsed instanceof FeeBumpTransaction) return parsed;
  throw new TypeError('not a fee bump');
}

function bump(inner: Transaction, networkPassphrase: string, sponsor: SigningKey, bid: bigint) {
  const bumped = TransactionBuilder.buildFeeBumpTransaction(
    sponsor.publicKey,
    bid.toString(),
    inner,
    networkPassphrase,
  );
  const hash = decorate(bumped, sponsor);
  return { envelope: bumped.toXdr(), hash: hex(hash) };
}

/** Inclusion fee per operation an inner transaction offers, rounded up, at least the network's minimum. */
function innerRate(inner: Transaction): bigint {
  const operations = BigInt(Math.max(1, inner.operations.length));
  const rate = (BigInt(inner.fee) - resourceFeeOf(inner) + operations - 1n) / operations;
  return rate > 100n ? rate : 100n;
}

/** Stroops; part of the fee, and no part of the bid for inclusion. */
function resourceFeeOf(inner: Transaction): bigint {
  const { value } = inner.toEnvelope();
  const ext = 'tx' in value ? value.tx.ext : undefined;
  return ext?.type === 'sorobanData' ? ext.sorobanData.resourceFee : 0n;
}
