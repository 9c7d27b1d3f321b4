/** Wallet keys at rest: wrapped anew while they are used, and a worker whose keys do not open them does not start. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { checkVault } from '../../activities/signing/keys.ts';
import { rotateVault } from '../../cli/vault.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { ProviderError } from '../../providers/errors.ts';
import { addressOfSeed } from '../../providers/keys/ed25519.ts';
import { createLocalKey } from '../../providers/keys/local.ts';
import type { KeyEncryptionKey, KeyVault } from '../../providers/keys/port.ts';
import { createKeyVault } from '../../providers/keys/vault.ts';
import { createTestDatabase } from '../support/database.ts';

const WALLETS = 120;
const key = (id: string, fill: number): KeyEncryptionKey => createLocalKey(id, createSecretKey(Buffer.alloc(32, fill)));
const vaultOf = (...keys: KeyEncryptionKey[]): KeyVault => createKeyVault({ keys, network: 'Sandbox network' });
const OLD = key('k1', 1);
const NEW = key('k2', 2);

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: Orm;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
});
beforeEach(async () => {
  await sql`delete from wallet_keys`.execute(pool(orm));
  const vault = vaultOf(OLD);
  await Promise.all(Array.from({ length: WALLETS }, (_, index) => addWallet(vault, `wal_${index}`)));
});

async function addWallet(vault: KeyVault, walletId: string): Promise<void> {
  const seed = randomBytes(32);
  const publicKey = addressOfSeed(seed);
  const { ciphertext, keyId } = await vault.seal(seed, { walletId, publicKey });
  await sql`insert into wallet_keys (wallet_id, public_key, ciphertext, key_id, created_at)
    values (${walletId}, ${publicKey}, ${ciphertext}, ${keyId}, now())`.execute(pool(orm));
}

interface Row {
  readonly walletId: string;
  readonly publicKey: string;
  readonly ciphertext: string;
}
const rows = async (): Promise<Row[]> =>
  (
    await sql<Row>`
      select wallet_id as "walletId", public_key as "publicKey", ciphertext from wallet_keys order by wallet_id`.execute(
      pool(orm),
    )
  ).rows;

/** @throws VaultError at the first that does not open */
async function openAll(vault: KeyVault): Promise<number> {
  const all = await rows();
  for (const row of all) (await vault.open(row.ciphertext, row)).wipe();
  return all.length;
}

test('all keys are wrapped anew while others open them and wallets are added; the old key is not needed afterwards', async () => {
  const both = vaultOf(NEW, OLD);
  let running = true;
  const using = (async () => {
    let uses = 0;
    while (running) uses += await openAll(both);
    return uses;
  })();
  // Two operators at once, and a worker that still seals with the old key.
  const [one, two] = await Promise.all([
    rotateVault(orm, both),
    rotateVault(orm, both),
    addWallet(vaultOf(OLD, NEW), 'wal_a_late_one'),
  ]);
  running = false;
  expect(await using).toBeGreaterThanOrEqual(WALLETS);
  expect(one.rewrapped + two.rewrapped).toBeGreaterThanOrEqual(WALLETS);
  await rotateVault(orm, both);
  expect(await openAll(vaultOf(NEW))).toBe(WALLETS + 1);
  expect(await rotateVault(orm, both)).toEqual({
    key_id: 'k2',
    rewrapped: 0,
    refused: [],
    wallets_by_key: { k2: WALLETS + 1 },
  });
});

test('a rotation that is cut off leaves every key usable, and the next one does the rest', async () => {
  let left = 70;
  const dying: KeyEncryptionKey = {
    ...NEW,
    wrap: async (dataKey, context) => {
      left -= 1;
      if (left < 0) throw new ProviderError('UNAVAILABLE', 'aws-kms', 'key k2: cut off');
      return NEW.wrap(dataKey, context);
    },
  };
  await expect(rotateVault(orm, vaultOf(dying, OLD))).rejects.toThrow('cut off');
  const both = vaultOf(NEW, OLD);
  expect(await openAll(both)).toBe(WALLETS);
  const rest = await rotateVault(orm, both);
  expect(rest.rewrapped).toBeGreaterThan(0);
  expect(rest.rewrapped).toBeLessThan(WALLETS);
  expect(await openAll(vaultOf(NEW))).toBe(WALLETS);
  const { rows: audit } = await sql<{ resource_id: string; after: { rewrapped: number } }>`
    select resource_id, after from audit_log where action = 'vault.rotate' order by at desc limit 1`.execute(pool(orm));
  expect(audit).toMatchObject([{ resource_id: 'k2', after: { rewrapped: rest.rewrapped } }]);
});

test('the ciphertext of another wallet is refused and left as it is; all others are wrapped anew', async () => {
  const [, second] = await rows();
  await sql`update wallet_keys set ciphertext = ${second?.ciphertext ?? ''} where wallet_id = 'wal_0'`.execute(
    pool(orm),
  );
  const { rewrapped, refused } = await rotateVault(orm, vaultOf(NEW, OLD));
  expect(rewrapped).toBe(WALLETS - 1);
  expect(refused).toMatchObject([{ wallet_id: 'wal_0' }]);
  expect((await rows())[0]?.ciphertext).toBe(second?.ciphertext);
});

test('a vault that opens what is stored passes the check at boot; one with another or without the key does not', async () => {
  await checkVault(orm, vaultOf(OLD));
  await checkVault(orm, vaultOf(NEW, OLD));
  await expect(checkVault(orm, vaultOf(key('k1', 3)))).rejects.toThrow('do not open what key k1 sealed');
  await expect(checkVault(orm, vaultOf(NEW))).rejects.toThrow('the keyring has no key "k1"');
  // one wallet of a key nobody has any more, among many
  await addWallet(vaultOf(key('k0', 9)), 'wal_left_behind');
  await expect(checkVault(orm, vaultOf(OLD))).rejects.toThrow('do not open what key k0 sealed');
});
