/**
 * `orchestrator vault rotate`: wraps every wallet's data key anew with the active key-encryption key, while everything
 * runs. What is done is in the rows: a run that was cut off is simply started again. No seed is unsealed for it.
 */
import { sql } from 'kysely';
import { checkVault } from '../activities/signing/keys.ts';
import { loadConfig } from '../config/config.ts';
import { type Orm, openOrm } from '../db/orm.ts';
import { inTransaction, pool } from '../db/sql.ts';
import { newId } from '../domain/ids.ts';
import { type KeyVault, VaultError } from '../providers/keys/port.ts';
import { createVault } from '../worker/deps.ts';
import { type ServiceOptions, loadEnvironment } from './services.ts';

/** At once: in one statement, and at a key-encryption key that may be far away. */
const BATCH = 50;

interface Rotation {
  /** the key that wraps all of them now */
  readonly key_id: string;
  readonly rewrapped: number;
  /** rows that do not open; they stay as they are */
  readonly refused: readonly { readonly wallet_id: string; readonly reason: string }[];
  /** wallets by the key that wraps them afterwards */
  readonly wallets_by_key: Readonly<Record<string, number>>;
}

interface Row {
  readonly walletId: string;
  readonly publicKey: string;
  readonly ciphertext: string;
}

/** @throws ProviderError when a key-encryption key cannot be reached; what was done stays done */
export async function rotateVault(
  orm: Orm,
  vault: KeyVault,
  onProgress: (rewrapped: number) => void = () => undefined,
): Promise<Rotation> {
  const refused: Rotation['refused'][number][] = [];
  let rewrapped = 0;
  for (let after = ''; ; onProgress(rewrapped)) {
    const { rows } = await sql<Row>`
      select wallet_id as "walletId", public_key as "publicKey", ciphertext from wallet_keys
      where key_id <> ${vault.activeKeyId} and wallet_id > ${after}
      order by wallet_id limit ${BATCH}`.execute(pool(orm));
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.walletId;
    const done = await Promise.all(rows.map((row) => rewrap(vault, row)));
    refused.push(...done.flatMap((one) => ('reason' in one ? [one] : [])));
    rewrapped += await save(
      orm,
      vault.activeKeyId,
      done.flatMap((one) => ('ciphertext' in one ? [one] : [])),
    );
  }
  const wallets_by_key = await walletsByKey(orm);
  const rotation = { key_id: vault.activeKeyId, rewrapped, refused, wallets_by_key };
  if (rewrapped > 0)
    await sql`
      insert into audit_log (id, at, action, resource_type, resource_id, after)
      values (${newId('audit')}, clock_timestamp(), 'vault.rotate', 'key', ${vault.activeKeyId},
        ${JSON.stringify(rotation)}::jsonb)`.execute(pool(orm));
  return rotation;
}

interface Rewrapped {
  readonly wallet_id: string;
  readonly old: string;
  readonly ciphertext: string;
}

async function rewrap(
  vault: KeyVault,
  { walletId, publicKey, ciphertext: old }: Row,
): Promise<Rewrapped | Rotation['refused'][number]> {
  try {
    const { ciphertext } = await vault.rewrap(old, { walletId, publicKey });
    return { wallet_id: walletId, old, ciphertext };
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return { wallet_id: walletId, reason: error.message };
  }
}

/** Only over what was read: another run, or nobody, may have been faster. @returns how many were written */
async function save(orm: Orm, keyId: string, done: readonly Rewrapped[]): Promise<number> {
  if (done.length === 0) return 0;
  return inTransaction(orm, async (trx) => {
    const { rows } = await sql<{ wallet_id: string }>`
      update wallet_keys k set ciphertext = n.ciphertext, key_id = ${keyId}
      from jsonb_to_recordset(${JSON.stringify(done)}::jsonb) as n(wallet_id text, old text, ciphertext text)
      where k.wallet_id = n.wallet_id and k.ciphertext = n.old
      returning k.wallet_id`.execute(trx);
    return rows.length;
  });
}

async function walletsByKey(orm: Orm): Promise<Record<string, number>> {
  const { rows } = await sql<{ keyId: string; wallets: number }>`
    select key_id as "keyId", count(*)::int as wallets from wallet_keys group by key_id order by key_id`.execute(
    pool(orm),
  );
  return Object.fromEntries(rows.map(({ keyId, wallets }) => [keyId, wallets]));
}

/** The command: reads VAULT_KEYS as a worker of `signing` does. Ends with exit code 1 when a row was refused. */
export async function runVaultRotate(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const config = loadConfig({ ...process.env, TASK_QUEUES: 'signing' }, 'worker');
  const vault = createVault(config.signing?.vaultKeys ?? [], config.stellar.passphrase);
  const orm = await openOrm({ url: config.database.url, poolMax: 2, applicationName: 'orchestrator-vault' });
  try {
    await checkVault(orm, vault);
    const rotation = await rotateVault(orm, vault, (rewrapped) => {
      process.stderr.write(`${JSON.stringify({ event: 'vault.rotating', rewrapped })}\n`);
    });
    process.stdout.write(`${JSON.stringify({ event: 'vault.rotated', ...rotation })}\n`);
    if (rotation.refused.length > 0) process.exitCode = 1;
  } finally {
    await orm.close();
  }
}
