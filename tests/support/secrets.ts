/** What must never get out, and how it is looked for. */
import { StrKey } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { type Environment, loadConfig } from '../../config/config.ts';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { unbox } from '../../providers/keys/aes-gcm.ts';
import { addressOfSeed } from '../../providers/keys/ed25519.ts';

/** Seeds and data keys of all wallets, in every form in which they could have got out. */
export async function walletSecrets(orm: Orm, env: Environment): Promise<string[]> {
  const keys = loadConfig({ ...env, TASK_QUEUES: 'signing' }, 'worker').signing?.vaultKeys ?? [];
  const [key] = keys;
  if (key?.kind !== 'local') throw new Error('the stack has a key of its own');
  const { rows } = await sql<{ id: string; address: string; ciphertext: string }>`
      select wallet_id as id, public_key as address, ciphertext from wallet_keys`.execute(pool(orm));
  const network = env['NETWORK_PASSPHRASE'] ?? '';
  return rows.flatMap(({ id, address, ciphertext }) => {
    const [version, keyId, wrapped = '', sealed = ''] = ciphertext.split('.');
    const aad = (...parts: unknown[]): Buffer => Buffer.from(JSON.stringify([version, ...parts, network, id, address]));
    const dataKey = Buffer.from(unbox(key.key, Buffer.from(wrapped, 'base64url'), aad('data-key', keyId)));
    const seed = Buffer.from(unbox(dataKey, Buffer.from(sealed, 'base64url'), aad('seed')));
    if (addressOfSeed(seed) !== address) throw new Error(`not the seed of ${address}`);
    return [
      StrKey.encodeEd25519SecretSeed(seed),
      ...[seed, dataKey].flatMap((bytes) => [
        bytes.toString('hex'),
        // without padding, so that it is also found in the middle of something longer
        bytes.toString('base64').replaceAll('=', ''),
        bytes.toString('base64url'),
        bytes.toString('latin1'),
        JSON.stringify([...bytes]).slice(1, -1),
      ]),
    ];
  });
}

/** Base64 inside of what is searched is searched as well: payloads of histories, envelopes. */
export function unfolded(text: string): string {
  const inner = text.match(/[A-Za-z0-9+/]{40,}={0,2}/g) ?? [];
  return [text, ...inner.map((part) => Buffer.from(part, 'base64').toString('latin1'))].join('\n');
}
