/** A key-encryption key from the configuration. */
import type { KeyObject } from 'node:crypto';
import { box, KEY_BYTES, unbox } from './aes-gcm.ts';
import { type KeyEncryptionKey, VaultError, type WrapContext } from './port.ts';

/** @throws VaultError when the key has not 256 bits */
export function createLocalKey(id: string, key: KeyObject): KeyEncryptionKey {
  if (key.symmetricKeySize !== KEY_BYTES) throw new VaultError(`key ${id} has not ${KEY_BYTES} bytes`);
  return {
    id,
    wrap: async (dataKey, context) => box(key, dataKey, bytesOf(context)),
    unwrap: async (wrapped, context) => unbox(key, wrapped, bytesOf(context)),
  };
}

/** In the order in which the vault names them, which is part of the format. */
const bytesOf = (context: WrapContext): Buffer => Buffer.from(JSON.stringify(Object.values(context)));
