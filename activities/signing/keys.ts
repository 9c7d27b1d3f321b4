/** Wallet keys: made and sealed here, on the `signing` queue. A seed never leaves this file. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { addressOf, privateKeyFromSeed } from '../../providers/keys/ed25519.ts';
import { type KeyVault, VaultError } from '../../providers/keys/port.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';

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
    const address = addressOf(privateKeyFromSeed(seed));
    return { address, ...(await vault.seal(seed, { walletId, publicKey: address })) };
  } finally {
    seed.fill(0);
  }
}

/**
 * Boot canary: opens one stored key per key id, so that a key that was exchanged or left out is found now and not at the
 * first signature (F57).
 * @throws VaultError
 */
export async function checkVault(orm: Orm, vault: KeyVault): Promise<void> {
  const { rows } = await sql<{ wallet_id: string; public_key: string; ciphertext: string; key_id: string }>`
    select distinct on (key_id) wallet_id, public_key, ciphertext, key_id from wallet_keys
    order by key_id, created_at desc`.execute(pool(orm));
  for (const row of rows) {
    try {
      await vault.open(row.ciphertext, { walletId: row.wallet_id, publicKey: row.public_key });
    } catch (error) {
      throw new VaultError(`VAULT_KEYS: key ${row.key_id} does not open what it sealed`, { cause: error });
    }
  }
}
