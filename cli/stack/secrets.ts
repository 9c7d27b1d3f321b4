/** Keys and passwords of an embedded stack: random, made once per data folder, readable by its owner alone. */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Keypair } from '@stellar/stellar-sdk/base';
import type { PostgresPasswords } from './postgres.ts';

export interface StackSecrets {
  readonly passwords: PostgresPasswords;
  readonly platformKey: string;
  /** S… */
  readonly sponsorSecret: string;
  /** base64, 32 bytes */
  readonly vaultKey: string;
}

/** Secrets of the folder; made at the first call. */
export async function loadSecrets(folder: string): Promise<StackSecrets> {
  return loadOrMake(join(folder, 'secrets.json'), () => ({
    passwords: { superuser: random(), owner: random(), app: random() },
    platformKey: `pk_sandbox_${random()}`,
    sponsorSecret: Keypair.random().secret(),
    vaultKey: randomBytes(32).toString('base64'),
  }));
}

async function loadOrMake<T>(path: string, make: () => T): Promise<T> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text !== null) return JSON.parse(text) as T;
  const made = make();
  await writePrivate(path, JSON.stringify(made, null, 2));
  return made;
}

/** Writes a file for its owner alone, whole or not at all. */
export async function writePrivate(path: string, text: string): Promise<void> {
  // a draft of its own: two writers at once must not take each other's away
  const draft = `${path}.${random()}`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}

function random(): string {
  return randomBytes(24).toString('base64url');
}
