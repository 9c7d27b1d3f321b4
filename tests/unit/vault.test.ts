import { createSecretKey, randomBytes, sign, verify, createPublicKey } from 'node:crypto';
import { StrKey } from '@stellar/stellar-sdk/base';
import { describe, expect, test } from '@jest/globals';
import { addressOf, privateKeyFromSeed, signerFromSecret } from '../../providers/keys/ed25519.ts';
import { createLocalKeyring } from '../../providers/keys/local-keyring.ts';
import { VaultError } from '../../providers/keys/port.ts';

const NETWORK = 'Sandbox network';
const kek = (fill: number) => createSecretKey(Buffer.alloc(32, fill));
const keyring = (...ids: [string, number][]) =>
  createLocalKeyring({ keys: ids.map(([id, fill]) => ({ id, key: kek(fill) })), network: NETWORK });

const SEED = Buffer.alloc(32, 9);
const BINDING = { walletId: 'wal_1', publicKey: addressOf(privateKeyFromSeed(SEED)) };

/** Sealed once by the first version of the format; it must open for ever. */
const OLD_CIPHERTEXT =
  'v1.k1.dJrouhnNVFbZbZ-SCZQIETKPGqWz2sSQF7LfucO-TG2UN7i83TXnzTo87D3uMoVonx4EXfqF8JQBihzi.M_hE7pwEIx_P287h-wgDwB3lEal6TyHtWhZt7vFG1ZjLTQ0XNR73l4NIrmx0gDuFRYy403i1i_y-4bOR';

describe('the key vault', () => {
  test('opens what it sealed, as a key that signs for the address', async () => {
    const vault = keyring(['k1', 1]);
    const { ciphertext, keyId } = await vault.seal(SEED, BINDING);
    const key = await vault.open(ciphertext, BINDING);
    const hash = randomBytes(32);
    expect(keyId).toBe('k1');
    expect(verify(null, hash, createPublicKey(key), sign(null, hash, key))).toBe(true);
    expect(addressOf(key)).toBe(BINDING.publicKey);
  });

  test('opens a ciphertext of the first version', async () => {
    expect(addressOf(await keyring(['k1', 1]).open(OLD_CIPHERTEXT, BINDING))).toBe(BINDING.publicKey);
  });

  test('never seals the same seed to the same text, and never writes the seed', async () => {
    const vault = keyring(['k1', 1]);
    const [one, two] = await Promise.all([vault.seal(SEED, BINDING), vault.seal(SEED, BINDING)]);
    expect(one.ciphertext).not.toBe(two.ciphertext);
    for (const form of [SEED.toString('base64url'), SEED.toString('hex'), StrKey.encodeEd25519SecretSeed(SEED)])
      expect(one.ciphertext).not.toContain(form);
  });

  test('the first key seals, every key opens', async () => {
    const { ciphertext } = await keyring(['k1', 1]).seal(SEED, BINDING);
    const rotated = keyring(['k2', 2], ['k1', 1]);
    expect(addressOf(await rotated.open(ciphertext, BINDING))).toBe(BINDING.publicKey);
    expect((await rotated.seal(SEED, BINDING)).keyId).toBe('k2');
  });

  test('a ciphertext opens for its own wallet, public key and network only', async () => {
    const vault = keyring(['k1', 1]);
    const { ciphertext } = await vault.seal(SEED, BINDING);
    const other = addressOf(privateKeyFromSeed(Buffer.alloc(32, 8)));
    const elsewhere = createLocalKeyring({ keys: [{ id: 'k1', key: kek(1) }], network: 'Public network' });
    await expect(vault.open(ciphertext, { ...BINDING, walletId: 'wal_2' })).rejects.toThrow(VaultError);
    await expect(vault.open(ciphertext, { ...BINDING, publicKey: other })).rejects.toThrow(VaultError);
    await expect(elsewhere.open(ciphertext, BINDING)).rejects.toThrow(VaultError);
  });

  test('a seed that was sealed under a foreign public key is found before it signs', async () => {
    const vault = keyring(['k1', 1]);
    const wrong = { walletId: 'wal_1', publicKey: addressOf(privateKeyFromSeed(Buffer.alloc(32, 8))) };
    const { ciphertext } = await vault.seal(SEED, wrong);
    await expect(vault.open(ciphertext, wrong)).rejects.toThrow('another public key');
  });

  test('another key under the same id, an unknown id, a changed, swapped or cut ciphertext are refused', async () => {
    const vault = keyring(['k1', 1]);
    const { ciphertext } = await vault.seal(SEED, BINDING);
    const [version = '', id = '', wrapped = '', sealed = ''] = ciphertext.split('.');
    const flipped = Buffer.from(sealed, 'base64url');
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    const bad = [
      [version, id, sealed, wrapped],
      [version, id, wrapped, flipped.toString('base64url')],
      [version, id, wrapped, sealed.slice(0, -4)],
      [version, id, wrapped],
      ['v2', id, wrapped, sealed],
      [version, 'k9', wrapped, sealed],
    ].map((parts) => parts.join('.'));
    for (const text of bad) await expect(vault.open(text, BINDING)).rejects.toThrow(VaultError);
    await expect(keyring(['k1', 2]).open(ciphertext, BINDING)).rejects.toThrow(VaultError);
  });

  test('a keyring without a usable key does not start', () => {
    expect(() => createLocalKeyring({ keys: [], network: NETWORK })).toThrow(VaultError);
    const short = createSecretKey(Buffer.alloc(16, 1));
    expect(() => createLocalKeyring({ keys: [{ id: 'k1', key: short }], network: NETWORK })).toThrow();
  });

  test('a configured secret gives its address', () => {
    const signer = signerFromSecret(StrKey.encodeEd25519SecretSeed(SEED));
    expect(signer.publicKey).toBe(BINDING.publicKey);
  });
});
