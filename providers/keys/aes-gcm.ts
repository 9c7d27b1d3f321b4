/** AES-256-GCM boxes: nonce (96 bits, random), ciphertext, tag (128 bits), in one piece. */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { VaultError } from './port.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** of every key, data key and seed */
export const KEY_BYTES = 32;

export function box(key: Uint8Array | KeyObject, plain: Uint8Array, aad: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @returns 32 bytes, which the caller wipes. @throws VaultError */
export function unbox(key: Uint8Array | KeyObject, bytes: Uint8Array, aad: Uint8Array): Uint8Array {
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw new VaultError('the ciphertext is cut off');
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  // The only copy of the plain text in this process: nothing joins or converts it.
  const plain = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    // The library's text says nothing more, and nothing of the material may get out.
    throw new VaultError('the ciphertext does not open with this key for this wallet');
  }
}
