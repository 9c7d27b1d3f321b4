/**
 * A vault whose key-encryption keys come from the configuration. Envelope encryption: every seed has a random data key
 * (AES-256-GCM), which is wrapped by a key-encryption key; rotating the latter rewraps data keys and touches no seed.
 *
 * Text form, version 1: `v1.<key id>.<wrapped data key>.<sealed seed>`, both boxes base64url of nonce, ciphertext, tag.
 */
import { type KeyObject, createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { addressOf, privateKeyFromSeed } from './ed25519.ts';
import { type KeyBinding, type KeyVault, VaultError } from './port.ts';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

export interface KeyringOptions {
  /** the first seals, all open */
  readonly keys: readonly { readonly id: string; readonly key: KeyObject }[];
  /** network passphrase: a key sealed for one network does not open on another */
  readonly network: string;
}

/**
 * @throws VaultError when a key cannot be used: tried once here, at boot, instead of at the first customer (F57)
 */
export function createLocalKeyring({ keys, network }: KeyringOptions): KeyVault {
  const [active] = keys;
  if (active === undefined) throw new VaultError('the keyring has no key');
  const byId = new Map(keys.map(({ id, key }) => [id, key]));

  const sealWith = (keyId: string, kek: KeyObject, seed: Uint8Array, binding: KeyBinding): string => {
    const dataKey = randomBytes(KEY_BYTES);
    try {
      const wrapped = box(kek, dataKey, context('data-key', keyId, network, binding));
      const sealed = box(createSecretKey(dataKey), seed, context('seed', keyId, network, binding));
      return [VERSION, keyId, wrapped, sealed].join('.');
    } finally {
      dataKey.fill(0);
    }
  };

  const open = (ciphertext: string, binding: KeyBinding): KeyObject => {
    const { keyId, wrapped, sealed } = parse(ciphertext);
    const kek = byId.get(keyId);
    if (kek === undefined) throw new VaultError(`the keyring has no key ${JSON.stringify(keyId)}`);
    const dataKey = unbox(kek, wrapped, context('data-key', keyId, network, binding));
    let seed: Buffer | null = null;
    try {
      seed = unbox(createSecretKey(dataKey), sealed, context('seed', keyId, network, binding));
      const key = privateKeyFromSeed(seed);
      if (addressOf(key) !== binding.publicKey) throw new VaultError('the sealed seed belongs to another public key');
      return key;
    } finally {
      dataKey.fill(0);
      seed?.fill(0);
    }
  };

  for (const { id, key } of keys) tryOut((seed, binding) => open(sealWith(id, key, seed, binding), binding));
  return {
    seal: async (seed, binding) => ({
      ciphertext: sealWith(active.id, active.key, seed, binding),
      keyId: active.id,
    }),
    open: async (ciphertext, binding) => open(ciphertext, binding),
  };
}

/** Seals and opens a throw-away seed. */
function tryOut(roundTrip: (seed: Uint8Array, binding: KeyBinding) => KeyObject): void {
  const seed = randomBytes(KEY_BYTES);
  roundTrip(seed, { walletId: 'canary', publicKey: addressOf(privateKeyFromSeed(seed)) });
}

/** Additional data: a box opens only where it was made for. */
function context(purpose: 'data-key' | 'seed', keyId: string, network: string, binding: KeyBinding): Buffer {
  return Buffer.from(JSON.stringify([VERSION, purpose, keyId, network, binding.walletId, binding.publicKey]));
}

function box(key: KeyObject, plain: Uint8Array, aad: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const parts = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(parts).toString('base64url');
}

function unbox(key: KeyObject, text: string, aad: Buffer): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw new VaultError('the ciphertext is cut off');
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    // The library's text says nothing more, and nothing of the material may get out.
    throw new VaultError('the ciphertext does not open with this key for this wallet');
  }
}

function parse(ciphertext: string): { keyId: string; wrapped: string; sealed: string } {
  const [version, keyId, wrapped, sealed, ...rest] = ciphertext.split('.');
  if (version !== VERSION) throw new VaultError('the ciphertext has an unknown version');
  if (keyId === undefined || wrapped === undefined || sealed === undefined || rest.length > 0)
    throw new VaultError('the ciphertext is cut off');
  return { keyId, wrapped, sealed };
}
