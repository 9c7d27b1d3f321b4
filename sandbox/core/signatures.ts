/**
 * Signatures: each one is tried against the signers whose last four key bytes match its hint. Verification runs in
 * node:crypto and is remembered per signature, so that admission and application cost one verification together.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { StrKey, type xdr } from '@stellar/stellar-sdk/base';
import type { AccountEntry } from './types.ts';

/** DER prefix of an ed25519 public key. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

const keys = new Map<string, KeyObject>();

function keyObject(address: string): KeyObject {
  const known = keys.get(address);
  if (known !== undefined) return known;
  const der = Buffer.concat([SPKI, StrKey.decodeEd25519PublicKey(address)]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  keys.set(address, key);
  return key;
}

const verified = new WeakMap<xdr.DecoratedSignature, Map<string, boolean>>();

/** Whether the signature over `hash` is this `G…` key's. */
export function signedBy(signature: xdr.DecoratedSignature, hash: Buffer, address: string): boolean {
  const raw = StrKey.decodeEd25519PublicKey(address);
  if (Buffer.compare(signature.hint.value, raw.subarray(28)) !== 0) return false;
  const results = verified.get(signature) ?? new Map<string, boolean>();
  verified.set(signature, results);
  const cached = results.get(address);
  if (cached !== undefined) return cached;
  const valid =
    signature.signature.value.length === 64 && verify(null, hash, keyObject(address), signature.signature.value);
  results.set(address, valid);
  return valid;
}

export type Level = 'low' | 'med' | 'high';

/** Checks one transaction's signatures and remembers which were needed. */
export interface SignatureChecker {
  /** Whether the signatures reach the account's threshold. */
  account(account: AccountEntry, level: Level): boolean;
  /** For an account that does not exist (yet): its master key must have signed. */
  key(address: string): boolean;
  /** Every signature was needed by someone. */
  allUsed(): boolean;
}

export function createSignatureChecker(hash: Buffer, signatures: readonly xdr.DecoratedSignature[]): SignatureChecker {
  const used = new Set<xdr.DecoratedSignature>();

  const reaches = (signers: { key: string; weight: number }[], needed: number): boolean => {
    let total = 0;
    const left = [...signers];
    for (const signature of signatures) {
      const index = left.findIndex((signer) => signedBy(signature, hash, signer.key));
      const signer = left[index];
      if (signer === undefined) continue;
      used.add(signature);
      total += signer.weight;
      if (total >= needed) return true;
      left.splice(index, 1);
    }
    return false;
  };

  return {
    account: (account, level) => {
      const master = { key: account.id, weight: account.thresholds.master };
      const signers = [master, ...account.signers].filter(({ weight }) => weight > 0);
      return reaches(signers, account.thresholds[level]);
    },
    key: (address) => reaches([{ key: address, weight: 1 }], 1),
    allUsed: () => used.size === signatures.length,
  };
}
