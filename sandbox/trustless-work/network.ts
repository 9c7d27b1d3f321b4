/** What the API knows about its network, and the read-only questions it asks the chain. */
import { Asset, StrKey, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { LedgerView } from '../core/types.ts';
import { address, list, symbol } from './scval.ts';

export type EscrowType = 'single' | 'multi';

/** The deployment the API works with: one factory and one contract build per escrow type. */
export interface Deployment {
  readonly factories: Readonly<Record<EscrowType, string>>;
  /** hex */
  readonly wasmHashes: Readonly<Record<EscrowType, string>>;
  readonly feeWallet: string;
  /** true: this build takes the fee wallet as an argument of release, resolve and withdraw */
  readonly feeWalletAsArgument: boolean;
}

/** Storage key of the escrow struct, base64 ScVal. */
export const ESCROW_KEY = list([symbol('Escrow')]).toXdr('base64');

/** Token balance of a contract in stroops; no entry is 0. */
export function tokenBalance(view: LedgerView, token: string, holder: string): bigint {
  const entry = view.contractData(token, list([symbol('Balance'), address(holder)]).toXdr('base64'));
  if (entry === undefined) return 0n;
  const { amount } = scValToNative(xdr.ScVal.fromXdr(entry.value, 'base64')) as { amount: bigint };
  return amount;
}

/**
 * The token contract the API derives from a `trustline` field: the asset contract of `symbol:address`. For a contract
 * address it derives one that does not exist, so the deploy passes and every funding fails in simulation.
 */
export function tokenOf(trustline: { address: string; symbol: string }, passphrase: string): string {
  const { address: given } = trustline;
  const issuer = given.startsWith('G') ? given : StrKey.encodeEd25519PublicKey(StrKey.decodeContract(given));
  return new Asset(trustline.symbol, issuer).contractId(passphrase);
}
