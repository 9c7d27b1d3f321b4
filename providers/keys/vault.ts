/**
 * Envelope encryption: every seed is sealed with a data key of its own, which a key-encryption key wraps. Rotating the
 * latter wraps data keys anew and touches no seed.
 *
 * Text form: `<version>.<key id>.<wrapped data key>.<sealed seed>`, both parts base64url. The wrapped data key is bound to
 * version, key id, network, wallet id and public key; the seed to the same without the key id, because that one changes.
 * Version 1 bound the seed to the key id too, so rotating it seals the seed anew.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { box, KEY_BYTES, unbox } from './aes-gcm.ts';
import { addressOfSeed, signWithSeed } from './ed25519.ts';
import { type KeyBinding, type KeyEncryptionKey, type KeyVault, type OpenedKey, VaultError } from './port.ts';

const VERSIONS = ['v1', 'v2'] as const;
type Version = (typeof VERSIONS)[number];
const CURRENT = 'v2';

interface VaultOptions {
  /** the first seals, all open */
  readonly keys: readonly KeyEncryptionKey[];
  /** network passphrase: a seed sealed for one network does not open on another */
  readonly network: string;
}

interface Parsed {
  readonly version: Version;
  readonly keyId: string;
  readonly wrapped: Uint8Array;
  readonly sealed: Uint8Array;
}

/** @throws VaultError without a key */
export function createKeyVault({ keys, network }: VaultOptions): KeyVault {
  const [active] = keys;
  if (active === undefined) throw new VaultError('the keyring has no key');
  const byId = new Map(keys.map((key) => [key.id, key]));

  const wrapContext = (version: Version, keyId: string, { walletId, publicKey }: KeyBinding) => ({
    version,
    purpose: 'data-key',
    key_id: keyId,
    network,
    wallet_id: walletId,
    public_key: publicKey,
  });
  const seedContext = (version: Version, keyId: string, { walletId, publicKey }: KeyBinding): Buffer => {
    const place = version === 'v1' ? [keyId, network] : [network];
    return Buffer.from(JSON.stringify([version, 'seed', ...place, walletId, publicKey]));
  };

  /** Read back before it counts: what cannot be unwrapped would lose the wallet. */
  const wrap = async (dataKey: Uint8Array, sealed: Uint8Array, binding: KeyBinding) => {
    const context = wrapContext(CURRENT, active.id, binding);
    const wrapped = await active.wrap(dataKey, context);
    const back = await active.unwrap(wrapped, context);
    const equal = timingSafeEqual(back, dataKey);
    back.fill(0);
    if (!equal) throw new VaultError(`key ${active.id} does not give back what it wrapped`);
    return { ciphertext: [CURRENT, active.id, base64url(wrapped), base64url(sealed)].join('.'), keyId: active.id };
  };

  const dataKeyOf = ({ version, keyId, wrapped }: Parsed, binding: KeyBinding): Promise<Uint8Array> => {
    const key = byId.get(keyId);
    if (key === undefined) throw new VaultError(`the keyring has no key ${JSON.stringify(keyId)}`);
    return key.unwrap(wrapped, wrapContext(version, keyId, binding));
  };

  /** The caller wipes it. */
  const seedOf = async (parsed: Parsed, binding: KeyBinding): Promise<Uint8Array> => {
    const dataKey = await dataKeyOf(parsed, binding);
    try {
      return unbox(dataKey, parsed.sealed, seedContext(parsed.version, parsed.keyId, binding));
    } finally {
      dataKey.fill(0);
    }
  };

  const seal = async (seed: Uint8Array, binding: KeyBinding) => {
    const dataKey = randomBytes(KEY_BYTES);
    try {
      return await wrap(dataKey, box(dataKey, seed, seedContext(CURRENT, active.id, binding)), binding);
    } finally {
      dataKey.fill(0);
    }
  };

  return {
    activeKeyId: active.id,
    seal,

    async open(ciphertext, binding) {
      return openedKey(await seedOf(parse(ciphertext), binding), binding.publicKey);
    },

    async rewrap(ciphertext, binding) {
      const parsed = parse(ciphertext);
      const oldForm = parsed.version !== CURRENT;
      const secret = oldForm ? await seedOf(parsed, binding) : await dataKeyOf(parsed, binding);
      try {
        return await (oldForm ? seal(secret, binding) : wrap(secret, parsed.sealed, binding));
      } finally {
        secret.fill(0);
      }
    },
  };
}

function openedKey(seed: Uint8Array, publicKey: string): OpenedKey {
  if (addressOfSeed(seed) !== publicKey) {
    seed.fill(0);
    throw new VaultError('the sealed seed belongs to another public key');
  }
  let open = true;
  return {
    publicKey,
    sign(message) {
      if (!open) throw new VaultError('the key was wiped');
      return signWithSeed(seed, message);
    },
    wipe() {
      open = false;
      seed.fill(0);
    },
  };
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

function parse(ciphertext: string): Parsed {
  const [label, keyId, wrapped, sealed, ...rest] = ciphertext.split('.');
  const version = VERSIONS.find((known) => known === label);
  if (version === undefined) throw new VaultError('the ciphertext has an unknown version');
  if (keyId === undefined || wrapped === undefined || sealed === undefined || rest.length > 0)
    throw new VaultError('the ciphertext is cut off');
  return { version, keyId, wrapped: Buffer.from(wrapped, 'base64url'), sealed: Buffer.from(sealed, 'base64url') };
}
