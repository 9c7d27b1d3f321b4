/** What a vault guarantees, wherever its key-encryption keys are: in the configuration, or in AWS KMS. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { Keypair, StrKey } from '@stellar/stellar-sdk/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ProviderError } from '../../providers/errors.ts';
import { createAwsKmsKey } from '../../providers/keys/aws-kms.ts';
import { addressOfSeed } from '../../providers/keys/ed25519.ts';
import { createLocalKey } from '../../providers/keys/local.ts';
import { type KeyEncryptionKey, VaultError } from '../../providers/keys/port.ts';
import { createKeyVault } from '../../providers/keys/vault.ts';
import { CREDENTIALS, type Kms, startKms } from './kms.ts';

const ARNS = ['1', '2'].map((key) => `arn:aws:kms:eu-central-1:111122223333:key/${key}`);
const NETWORK = 'Sandbox network';
const SEED = Buffer.alloc(32, 9);
const BINDING = { walletId: 'wal_1', publicKey: addressOfSeed(SEED) };

let kms: Kms;
beforeAll(async () => {
  kms = await startKms(ARNS);
  // where the SDK looks for them
  process.env['AWS_ENDPOINT_URL_KMS'] = kms.url;
  process.env['AWS_ACCESS_KEY_ID'] = CREDENTIALS.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIALS.secretAccessKey;
});
afterEach(() => kms.fail(null));
afterAll(() => kms.close());

type Make = (id: string, place: 0 | 1) => KeyEncryptionKey;
const local: Make = (id, place) => createLocalKey(id, createSecretKey(Buffer.alloc(32, place + 1)));
const aws: Make = (id, place) => createAwsKmsKey({ id, arn: ARNS[place] ?? '' });

describe.each([
  ['the configuration', local],
  ['AWS KMS', aws],
])('with keys in %s', (_, make) => {
  const vaultOf = (...keys: KeyEncryptionKey[]) => createKeyVault({ keys, network: NETWORK });

  test('a sealed seed opens as a key that signs for its address', async () => {
    const vault = vaultOf(make('k1', 0));
    const { ciphertext, keyId } = await vault.seal(SEED, BINDING);
    const key = await vault.open(ciphertext, BINDING);
    const hash = randomBytes(32);
    expect(keyId).toBe('k1');
    expect(Keypair.fromPublicKey(key.publicKey).verify(hash, Buffer.from(key.sign(hash)))).toBe(true);
    expect(key.publicKey).toBe(BINDING.publicKey);
    key.wipe();
  });

  test('the same seed is never sealed to the same text, and its text is not in it', async () => {
    const vault = vaultOf(make('k1', 0));
    const [one, two] = await Promise.all([vault.seal(SEED, BINDING), vault.seal(SEED, BINDING)]);
    expect(one.ciphertext).not.toBe(two.ciphertext);
    for (const form of [SEED.toString('base64url'), SEED.toString('hex'), StrKey.encodeEd25519SecretSeed(SEED)])
      expect(one.ciphertext).not.toContain(form);
  });

  test('the first key seals, every key opens, and what was wrapped anew needs the new key alone', async () => {
    const { ciphertext } = await vaultOf(make('k1', 0)).seal(SEED, BINDING);
    const both = vaultOf(make('k2', 1), make('k1', 0));
    expect((await both.open(ciphertext, BINDING)).publicKey).toBe(BINDING.publicKey);
    expect((await both.seal(SEED, BINDING)).keyId).toBe('k2');
    const rewrapped = await both.rewrap(ciphertext, BINDING);
    expect(rewrapped.keyId).toBe('k2');
    expect((await vaultOf(make('k2', 1)).open(rewrapped.ciphertext, BINDING)).publicKey).toBe(BINDING.publicKey);
    await expect(vaultOf(make('k1', 0)).open(rewrapped.ciphertext, BINDING)).rejects.toThrow('no key "k2"');
  });

  test('a ciphertext opens for its own wallet, public key and network only', async () => {
    const vault = vaultOf(make('k1', 0));
    const { ciphertext } = await vault.seal(SEED, BINDING);
    const other = addressOfSeed(Buffer.alloc(32, 8));
    const elsewhere = createKeyVault({ keys: [make('k1', 0)], network: 'Public network' });
    for (const attempt of [
      () => vault.open(ciphertext, { ...BINDING, walletId: 'wal_2' }),
      () => vault.open(ciphertext, { ...BINDING, publicKey: other }),
      () => vault.rewrap(ciphertext, { ...BINDING, walletId: 'wal_2' }),
      () => elsewhere.open(ciphertext, BINDING),
      () => vaultOf(make('k1', 1)).open(ciphertext, BINDING),
      () => vaultOf(make('k9', 0)).open(ciphertext.replace('.k1.', '.k9.'), BINDING),
    ])
      await expect(attempt()).rejects.toThrow(VaultError);
  });

  test('a seed that was sealed under a foreign public key is found before it signs', async () => {
    const vault = vaultOf(make('k1', 0));
    const wrong = { walletId: 'wal_1', publicKey: addressOfSeed(Buffer.alloc(32, 8)) };
    const { ciphertext } = await vault.seal(SEED, wrong);
    await expect(vault.open(ciphertext, wrong)).rejects.toThrow('another public key');
  });

  test('an unknown id, a changed, swapped or cut ciphertext are refused', async () => {
    const vault = vaultOf(make('k1', 0));
    const [version = '', id = '', wrapped = '', sealed = ''] = (await vault.seal(SEED, BINDING)).ciphertext.split('.');
    const flip = (text: string): string => {
      const bytes = Buffer.from(text, 'base64url');
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      return bytes.toString('base64url');
    };
    const bad = [
      [version, id, sealed, wrapped],
      [version, id, flip(wrapped), sealed],
      [version, id, wrapped, flip(sealed)],
      [version, id, wrapped.slice(0, -4), sealed],
      [version, id, wrapped, sealed.slice(0, -4)],
      [version, id, wrapped],
      [version, id, wrapped, sealed, ''],
      ['v3', id, wrapped, sealed],
      [version, 'k9', wrapped, sealed],
    ].map((parts) => parts.join('.'));
    for (const text of bad) await expect(vault.open(text, BINDING)).rejects.toThrow(VaultError);
  });
});

test('keys move from the configuration into KMS by wrapping anew, one after the other', async () => {
  const before = createKeyVault({ keys: [local('k1', 0)], network: NETWORK });
  const during = createKeyVault({ keys: [aws('kms', 0), local('k1', 0)], network: NETWORK });
  const { ciphertext } = await during.rewrap((await before.seal(SEED, BINDING)).ciphertext, BINDING);
  const after = createKeyVault({ keys: [aws('kms', 0)], network: NETWORK });
  expect((await after.open(ciphertext, BINDING)).publicKey).toBe(BINDING.publicKey);
});

test('KMS is asked for the very key: to seal, to read back what it sealed, to open', async () => {
  const from = kms.calls.length;
  const vault = createKeyVault({ keys: [aws('kms', 1)], network: NETWORK });
  const { ciphertext } = await vault.seal(SEED, BINDING);
  (await vault.open(ciphertext, BINDING)).wipe();
  expect(kms.calls.slice(from)).toEqual([`Encrypt ${ARNS[1]}`, `Decrypt ${ARNS[1]}`, `Decrypt ${ARNS[1]}`]);
});

test.each([
  { status: 400, type: 'ThrottlingException' },
  { status: 500, type: 'KMSInternalException' },
  { status: 400, type: 'DisabledException' },
  { status: 400, type: 'AccessDeniedException' },
  'silence' as const,
])(
  'trouble of KMS (%j) is waited out, never taken for a wrong ciphertext',
  async (trouble) => {
    const vault = createKeyVault({ keys: [aws('kms', 0)], network: NETWORK });
    const { ciphertext } = await vault.seal(SEED, BINDING);
    kms.fail(trouble);
    const failure: unknown = await vault.open(ciphertext, BINDING).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProviderError);
    expect(failure).toMatchObject({ kind: 'UNAVAILABLE', provider: 'aws-kms' });
    kms.fail(null);
    (await vault.open(ciphertext, BINDING)).wipe();
  },
  60_000,
);

test('a key that KMS does not know is an operator’s matter and named', async () => {
  const vault = createKeyVault({
    keys: [createAwsKmsKey({ id: 'gone', arn: `${ARNS[0]}9` })],
    network: NETWORK,
  });
  await expect(vault.seal(SEED, BINDING)).rejects.toThrow('key gone: NotFoundException');
});
