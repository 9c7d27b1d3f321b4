/**
 * Where wallet seeds are kept: sealed at rest, opened only in a process that serves the `signing` queue.
 *
 * Two ports. A `KeyEncryptionKey` wraps data keys: in this process (`local.ts`) or in a service that never gives it away
 * (`aws-kms.ts`). A `KeyVault` seals seeds under data keys and knows its key-encryption keys by id (`vault.ts`).
 */

/** What a ciphertext belongs to: it opens for this wallet and this public key only (F57). */
export interface KeyBinding {
  readonly walletId: string;
  /** G… address */
  readonly publicKey: string;
}

interface SealedSeed {
  /** versioned text; safe to store */
  readonly ciphertext: string;
  /** id of the key-encryption key that wraps its data key */
  readonly keyId: string;
}

/** The ciphertext does not open: wrong row, wrong key, cut off or changed. Never carries key material. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

/** Authenticated with a wrapped data key and not part of it: it unwraps with exactly these names and values only. */
export type WrapContext = Readonly<Record<string, string>>;

/** One key-encryption key. Data keys go in and come out as 32 bytes that the caller wipes. */
export interface KeyEncryptionKey {
  readonly id: string;
  /** @throws ProviderError UNAVAILABLE when the key is elsewhere and cannot be used now */
  wrap(dataKey: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  /** @throws VaultError when it was not wrapped by this key in this context; ProviderError as above */
  unwrap(wrapped: Uint8Array, context: WrapContext): Promise<Uint8Array>;
}

/** A seed for the time of a signature. */
export interface OpenedKey {
  /** G… address */
  readonly publicKey: string;
  /** @returns the Ed25519 signature, 64 bytes. @throws VaultError after `wipe` */
  sign(message: Uint8Array): Uint8Array;
  /** Overwrites the seed. Whoever opened it calls this, in a `finally`. */
  wipe(): void;
}

export interface KeyVault {
  /** the key-encryption key that seals; all others only open */
  readonly activeKeyId: string;
  /** Seals a 32-byte Ed25519 seed with the active key. The caller wipes the seed. */
  seal(seed: Uint8Array, binding: KeyBinding): Promise<SealedSeed>;
  /** Opens it for signing; its public key was compared with the binding. @throws VaultError, ProviderError */
  open(ciphertext: string, binding: KeyBinding): Promise<OpenedKey>;
  /**
   * The same seed with its data key wrapped by the active key. The seed itself stays sealed.
   * @throws VaultError, ProviderError
   */
  rewrap(ciphertext: string, binding: KeyBinding): Promise<SealedSeed>;
}
