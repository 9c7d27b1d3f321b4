import { createPublicKey, createSecretKey, randomBytes, verify } from 'node:crypto';
import { Keypair, StrKey } from '@stellar/stellar-sdk/base';
import { describe, expect, test } from '@jest/globals';
import { box, unbox } from '../../providers/keys/aes-gcm.ts';
import { addressOfSeed, signWithSeed, signerFromSecret } from '../../providers/keys/ed25519.ts';
import { createLocalKey } from '../../providers/keys/local.ts';
import { type KeyEncryptionKey, VaultError } from '../../providers/keys/port.ts';
import { createKeyVault } from '../../providers/keys/vault.ts';

const NETWORK = 'Sandbox network';
const kek = (id: string, fill: number): KeyEncryptionKey => createLocalKey(id, createSecretKey(Buffer.alloc(32, fill)));
const keyring = (...keys: [string, number][]) =>
  createKeyVault({ keys: keys.map(([id, fill]) => kek(id, fill)), network: NETWORK });

const SEED = Buffer.alloc(32, 9);
const BINDING = { walletId: 'wal_1', publicKey: addressOfSeed(SEED) };

/** Sealed once by each version of the format, under key k1; they must open for ever. */
const OLD_CIPHERTEXTS = [
  'v1.k1.dJrouhnNVFbZbZ-SCZQIETKPGqWz2sSQF7LfucO-TG2UN7i83TXnzTo87D3uMoVonx4EXfqF8JQBihzi.M_hE7pwEIx_P287h-wgDwB3lEal6TyHtWhZt7vFG1ZjLTQ0XNR73l4NIrmx0gDuFRYy403i1i_y-4bOR',
  'v2.k1.94dyAqbyw7so2OrKIyfANl4yXriiOSpyHvXvz63ao88HAL6YpFa13lsyqN0DI3TjAQbR1cJidCdW7AYa.IiNAeYxq9AFQOjvGBR6Wc-6h7ChVQv3J4MfGzKX9hioCz9vXXdKT_UpbWlBAphVCKRC7_wIqHh5-dSO4',
];

describe('a sealed seed', () => {
  test.each(OLD_CIPHERTEXTS)('of every version of the format opens: %s', async (ciphertext) => {
    const key = await keyring(['k1', 1]).open(ciphertext, BINDING);
    const hash = randomBytes(32);
    const publicKey = Keypair.fromPublicKey(BINDING.publicKey);
    expect(publicKey.verify(hash, Buffer.from(key.sign(hash)))).toBe(true);
    key.wipe();
  });

  test.each(OLD_CIPHERTEXTS)('of every version is wrapped anew by another key: %s', async (ciphertext) => {
    const { ciphertext: text, keyId } = await keyring(['k2', 2], ['k1', 1]).rewrap(ciphertext, BINDING);
    expect([keyId, text.split('.').slice(0, 2)]).toEqual(['k2', ['v2', 'k2']]);
    expect((await keyring(['k2', 2]).open(text, BINDING)).publicKey).toBe(BINDING.publicKey);
  });

  test('in its current form is never unsealed to be wrapped anew', async () => {
    const { ciphertext } = await keyring(['k1', 1]).seal(SEED, BINDING);
    const seen: Uint8Array[] = [];
    const spy = kek('k2', 2);
    const watching: KeyEncryptionKey = {
      ...spy,
      wrap: (dataKey, context) => {
        seen.push(dataKey.slice());
        return spy.wrap(dataKey, context);
      },
    };
    const rotated = await createKeyVault({ keys: [watching, kek('k1', 1)], network: NETWORK }).rewrap(
      ciphertext,
      BINDING,
    );
    expect(rotated.ciphertext.split('.')[3]).toBe(ciphertext.split('.')[3]);
    expect(seen).toHaveLength(1);
    expect(SEED.equals(seen[0] ?? SEED)).toBe(false);
  });

  test('of one wallet does not open with the sealed seed of another, whichever half is swapped', async () => {
    const vault = keyring(['k1', 1]);
    const other = { walletId: 'wal_2', publicKey: addressOfSeed(Buffer.alloc(32, 8)) };
    const [, , wrapped, sealed] = (await vault.seal(SEED, BINDING)).ciphertext.split('.');
    const [, , otherWrapped, otherSealed] = (await vault.seal(Buffer.alloc(32, 8), other)).ciphertext.split('.');
    for (const parts of [
      [wrapped, otherSealed],
      [otherWrapped, sealed],
      [otherWrapped, otherSealed],
    ])
      await expect(vault.open(['v2', 'k1', ...parts].join('.'), BINDING)).rejects.toThrow(VaultError);
  });

  test('does not pretend to be of an older form, or under another key id', async () => {
    const vault = createKeyVault({ keys: [kek('k1', 1), kek('k2', 1)], network: NETWORK });
    const [, , ...boxes] = (await vault.seal(SEED, BINDING)).ciphertext.split('.');
    await expect(vault.open(['v1', 'k1', ...boxes].join('.'), BINDING)).rejects.toThrow(VaultError);
    await expect(vault.open(['v2', 'k2', ...boxes].join('.'), BINDING)).rejects.toThrow(VaultError);
  });

  test('is refused after any single bit was flipped', async () => {
    const vault = keyring(['k1', 1]);
    const [version, id, ...boxes] = (await vault.seal(SEED, BINDING)).ciphertext.split('.');
    for (const [index, text] of boxes.entries())
      for (let bit = 0; bit < Buffer.from(text, 'base64url').length * 8; bit += 7) {
        const bytes = Buffer.from(text, 'base64url');
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const changed = boxes.map((one, place) => (place === index ? bytes.toString('base64url') : one));
        await expect(vault.open([version, id, ...changed].join('.'), BINDING)).rejects.toThrow(VaultError);
      }
  });
});

describe('key bytes', () => {
  test('are overwritten when a signature is done: a wiped key signs no more', async () => {
    const vault = keyring(['k1', 1]);
    const key = await vault.open((await vault.seal(SEED, BINDING)).ciphertext, BINDING);
    key.wipe();
    expect(() => key.sign(randomBytes(32))).toThrow(VaultError);
  });

  test('a data key is overwritten after sealing, opening and wrapping anew, also when that fails', async () => {
    const handed: Uint8Array[] = [];
    const own = kek('k1', 1);
    const watching: KeyEncryptionKey = {
      id: 'k1',
      wrap: (dataKey, context) => {
        handed.push(dataKey);
        return own.wrap(dataKey, context);
      },
      unwrap: async (wrapped, context) => {
        const dataKey = await own.unwrap(wrapped, context);
        handed.push(dataKey);
        return dataKey;
      },
    };
    const vault = createKeyVault({ keys: [watching], network: NETWORK });
    const { ciphertext } = await vault.seal(SEED, BINDING);
    (await vault.open(ciphertext, BINDING)).wipe();
    await vault.rewrap(ciphertext, BINDING);
    const cut = `${ciphertext.slice(0, -8)}AAAAAAAA`;
    await expect(vault.open(cut, BINDING)).rejects.toThrow(VaultError);
    expect(handed.length).toBeGreaterThanOrEqual(4);
    for (const dataKey of handed) expect([...new Set(dataKey)]).toEqual([0]);
  });

  test('a box has a nonce of its own and opens with its own additional data only', () => {
    const key = Buffer.alloc(32, 1);
    const aad = Buffer.from('wal_1');
    const [one, two] = [box(key, SEED, aad), box(key, SEED, aad)];
    expect(one.subarray(0, 12).equals(two.subarray(0, 12))).toBe(false);
    expect(one).toHaveLength(12 + 32 + 16);
    expect(Buffer.from(unbox(key, one, aad)).equals(SEED)).toBe(true);
    expect(() => unbox(key, one, Buffer.from('wal_2'))).toThrow(VaultError);
  });
});

test('signatures and addresses equal those of the Stellar SDK', () => {
  const seed = randomBytes(32);
  const theirs = Keypair.fromRawEd25519Seed(seed);
  const message = randomBytes(32);
  expect(addressOfSeed(seed)).toBe(theirs.publicKey());
  expect(Buffer.from(signWithSeed(seed, message)).equals(Buffer.from(theirs.sign(message)))).toBe(true);
  const { publicKey, key } = signerFromSecret(StrKey.encodeEd25519SecretSeed(seed));
  expect(publicKey).toBe(theirs.publicKey());
  expect(verify(null, message, createPublicKey(key), signWithSeed(seed, message))).toBe(true);
});

test('a keyring without a usable key does not start', () => {
  expect(() => createKeyVault({ keys: [], network: NETWORK })).toThrow(VaultError);
  expect(() => createLocalKey('k1', createSecretKey(Buffer.alloc(16, 1)))).toThrow(VaultError);
});
