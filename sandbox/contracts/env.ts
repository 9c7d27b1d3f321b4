/** What a contract model sees of the host while one of its functions runs. */
import type { xdr } from '@stellar/stellar-sdk/base';
import type { LedgerView } from '../core/types.ts';

/** Persistent storage of the running contract; keys are base64 ScVals. Archived entries are restored when touched. */
export interface Storage {
  get(key: string): xdr.ScVal | undefined;
  set(key: string, value: xdr.ScVal): void;
  /**
   * Extends the entry's life to `to` ledgers from now if at most `threshold` are left.
   * @throws HostError(Storage, InvalidInput) when `to` < `threshold`
   */
  extendTtl(key: string, threshold: number, to: number): void;
}

export interface Env {
  /** address of the running contract */
  readonly self: string;
  readonly view: LedgerView;
  readonly storage: Storage;
  requireAuth(address: string): void;
  call(contract: string, fn: string, args: readonly xdr.ScVal[]): xdr.ScVal;
  emit(topics: xdr.ScVal[], data: xdr.ScVal): void;
  /** Creates a contract with this contract as deployer and runs its constructor. Returns its address. */
  deploy(wasmHash: Uint8Array, salt: Uint8Array, constructorArgs: readonly xdr.ScVal[]): string;
}

export interface ContractFunction {
  readonly arity: number;
  run(env: Env, args: readonly xdr.ScVal[]): xdr.ScVal;
}

/** A contract's functions by name: the model of one WASM build. */
export type Program = Readonly<Record<string, ContractFunction>>;
