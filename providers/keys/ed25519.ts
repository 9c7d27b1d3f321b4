/** Ed25519 from 32-byte seeds: bytes that are wiped, or a key object; never an `S…` string. */
import { type KeyObject, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { StrKey } from '@stellar/stellar-sdk/base';

/** DER header of a PKCS #8 Ed25519 private key; the 32-byte seed follows. */
const PKCS8_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;

/** Hands the seed in DER to `work` and wipes that copy. @throws RangeError when the seed has another length */
function withDer<T>(seed: Uint8Array, work: (key: { key: Buffer; format: 'der'; type: 'pkcs8' }) => T): T {
  if (seed.length !== SEED_BYTES) throw new RangeError('an Ed25519 seed has 32 bytes');
  const der = Buffer.concat([PKCS8_HEADER, seed]);
  try {
    return work({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** @returns the signature, 64 bytes. The caller wipes the seed. */
export const signWithSeed = (seed: Uint8Array, message: Uint8Array): Uint8Array =>
  withDer(seed, (key) => sign(null, message, key));

/** The G… address of a seed. */
export const addressOfSeed = (seed: Uint8Array): string =>
  withDer(seed, (key) => address(createPublicKey(createPrivateKey(key))));

function address(publicKey: KeyObject): string {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return StrKey.encodeEd25519PublicKey(der.subarray(der.length - SEED_BYTES));
}

/** A key from a configured `S…` seed, for as long as the process lives: the secret stays in OpenSSL's memory. */
export function signerFromSecret(secret: string): { publicKey: string; key: KeyObject } {
  const seed = StrKey.decodeEd25519SecretSeed(secret);
  try {
    return { publicKey: addressOfSeed(seed), key: withDer(seed, createPrivateKey) };
  } finally {
    seed.fill(0);
  }
}
