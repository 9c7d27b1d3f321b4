/** Wallet keys: made, sealed and opened here, on the `signing` queue. A seed never leaves this file and the vault. */
import { activityInfo } from '@temporalio/activity';
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import type { SigningKey } from '../../providers/chain/envelope.ts';
import { ProviderError } from '../../providers/errors.ts';
import { addressOfSeed } from '../../providers/keys/ed25519.ts';
import { type KeyVault, type OpenedKey, VaultError } from '../../providers/keys/port.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import type { Signatory } from '../chain/target.ts';
import type { Deps } from '../context.ts';
import { refuse, waitFor } from '../failure.ts';

export function createKeyActivities(deps: Pick<Deps, 'orm' | 'vault'>) {
  return {
    /** Gives every wallet of the batch its key pair and address. Wallets that have one keep it. */
    async createWalletKeys({ batch_id }: { batch_id: string }): Promise<void> {
      const { vault } = deps;
      if (vault === null) throw refuse('INTERNAL_ERROR', 'this process has no key vault');
      await inTransaction(deps.orm, async (trx) => {
        const { rows } = await sql<{ id: string }>`
          select id from wallets where batch_id = ${batch_id} and address is null order by id for update`.execute(trx);
        for (const { id } of rows) {
          const { address, ciphertext, keyId } = await newSealedKey(vault, id);
          await sql`
            with key as (
              insert into wallet_keys (wallet_id, public_key, ciphertext, key_id, created_at)
              values (${id}, ${address}, ${ciphertext}, ${keyId}, clock_timestamp())
            )
            update wallets set address = ${address}, updated_at = clock_timestamp() where id = ${id}`.execute(trx);
        }
      });
    },
  };
}

export type KeyActivities = ReturnType<typeof createKeyActivities>;

async function newSealedKey(vault: KeyVault, walletId: string) {
  const seed = randomBytes(32);
  try {
    const address = addressOfSeed(seed);
    return { address, ...(await vault.seal(seed, { walletId, publicKey: address })) };
  } finally {
    seed.fill(0);
  }
}

/**
 * Opens the signatories' keys for `work`, which signs and does nothing else, and wipes them.
 * @throws ApplicationFailure that is tried again: KMS is away, or this worker's keys do not open a row (an operator is
 *   called; a worker with the right keys goes on)
 */
export async function withWalletKeys<T>(
  deps: Deps,
  signatories: readonly Signatory[],
  work: (keys: readonly SigningKey[]) => T,
): Promise<T> {
  const { vault } = deps;
  if (vault === null) throw new Error('this worker has no key vault');
  const { rows } = await sql<{ walletId: string; ciphertext: string }>`
    select wallet_id as "walletId", ciphertext from wallet_keys
    where wallet_id = any(${signatories.map(({ walletId }) => walletId)})`.execute(pool(deps.orm));
  const sealed = new Map(rows.map(({ walletId, ciphertext }) => [walletId, ciphertext]));
  const opening = await Promise.allSettled(signatories.map((wallet) => open(deps, vault, wallet, sealed)));
  const keys = opening.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  try {
    const failed = opening.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return work(keys);
  } finally {
    for (const key of keys) key.wipe();
  }
}

/** The same for one wallet. */
export const withWalletKey = <T>(deps: Deps, wallet: Signatory, work: (key: SigningKey) => T): Promise<T> =>
  withWalletKeys(deps, [wallet], ([key]) => {
    if (key === undefined) throw new Error(`wallet ${wallet.walletId} has no key`);
    return work(key);
  });

async function open(
  deps: Deps,
  vault: KeyVault,
  { walletId, address }: Signatory,
  sealed: ReadonlyMap<string, string>,
): Promise<OpenedKey> {
  const matter = { type: 'wallet', id: walletId };
  const { attempt, workflowExecution } = activityInfo();
  try {
    const ciphertext = sealed.get(walletId);
    if (ciphertext === undefined) throw new VaultError(`wallet ${walletId} has no key`);
    const key = await vault.open(ciphertext, { walletId, publicKey: address });
    if (attempt > 1) await clearAttention(pool(deps.orm), matter, 'INTERNAL_ERROR');
    return key;
  } catch (error) {
    if (error instanceof ProviderError) throw waitFor('PROVIDER', error.message, error.retryAfterMs ?? undefined);
    if (!(error instanceof VaultError)) throw error;
    deps.log.error({ wallet_id: walletId, reason: error.message }, 'vault.refused');
    await raiseAttention(pool(deps.orm), {
      marketplaceId: null,
      resource: matter,
      workflowId: workflowExecution?.workflowId ?? '',
      reason: 'INTERNAL_ERROR',
      detail: { matter: 'the wallet’s key does not open', detail: error.message },
    });
    throw waitFor('KEY', error.message);
  }
}

/**
 * Boot canary: seals and opens a throw-away seed, then opens one stored key per key id, so that a key that was exchanged
 * or left out is found now and not at the first signature (F57).
 * @throws VaultError, ProviderError
 */
export async function checkVault(orm: Orm, vault: KeyVault): Promise<void> {
  const { address, ciphertext } = await newSealedKey(vault, 'canary');
  (await vault.open(ciphertext, { walletId: 'canary', publicKey: address })).wipe();
  const { rows } = await sql<{ walletId: string; publicKey: string; ciphertext: string; keyId: string }>`
    select k.wallet_id as "walletId", k.public_key as "publicKey", k.ciphertext, k.key_id as "keyId"
    from (select distinct key_id from wallet_keys) used,
      lateral (select * from wallet_keys where key_id = used.key_id order by wallet_id desc limit 1) k`.execute(
    pool(orm),
  );
  for (const { walletId, publicKey, ciphertext, keyId } of rows) {
    try {
      (await vault.open(ciphertext, { walletId, publicKey })).wipe();
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      throw new VaultError(`VAULT_KEYS do not open what key ${keyId} sealed: ${error.message}`, { cause: error });
    }
  }
}
