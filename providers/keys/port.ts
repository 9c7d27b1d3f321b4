/** Where wallet seeds are kept: sealed at rest, opened only in a process that serves the `signing` queue. */
import type { KeyObject } from 'node:crypto';

/** What a ciphertext belongs to: it opens for this wallet and this public key only (F57). */
export interface KeyBinding {
  readonly walletId: string;
  /** G… address */
  readonly publicKey: string;
}

export interface SealedSeed {
  /** versioned text; safe to store */
  readonly ciphertext: string;
  /** id of the key-encryption key that wraps it */
  readonly keyId: string;
}

/** The ciphertext does not open: wrong row, wrong key, cut off or changed. Never carries key material. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

export interface KeyVault {
  /** Seals a 32-byte Ed25519 seed with the active key. The caller wipes the seed. */
  seal(seed: Uint8Array, binding: KeyBinding): Promise<SealedSeed>;
  /**
   * The private key, usable for `crypto.sign(null, hash, key)`; its public key was compared with the binding.
   * @throws VaultError
   */
  open(ciphertext: string, binding: KeyBinding): Promise<KeyObject>;
}
