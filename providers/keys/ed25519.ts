/** Ed25519 seeds as key objects: the secret lives in OpenSSL's memory, never as an `S…` string. */
import { type KeyObject, createPrivateKey, createPublicKey } from 'node:crypto';
import { StrKey } from '@stellar/stellar-sdk/base';

/** DER header of a PKCS #8 Ed25519 private key; the 32-byte seed follows. */
const PKCS8_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;

/**
 * @param seed 32 bytes; not kept, the caller wipes it
 * @throws RangeError when it has another length
 */
export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== SEED_BYTES) throw new RangeError('an Ed25519 seed has 32 bytes');
  const der = Buffer.concat([PKCS8_HEADER, seed]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** The G… address of a private key. */
export function addressOf(key: KeyObject): string {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return StrKey.encodeEd25519PublicKey(der.subarray(der.length - SEED_BYTES));
}

/** A key from a configured `S…` seed. */
export function signerFromSecret(secret: string): { publicKey: string; key: KeyObject } {
  const seed = StrKey.decodeEd25519SecretSeed(secret);
  try {
    const key = privateKeyFromSeed(seed);
    return { publicKey: addressOf(key), key };
  } finally {
    seed.fill(0);
  }
}
