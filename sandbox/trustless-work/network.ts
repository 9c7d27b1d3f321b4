/** What the API knows about its network, and the read-only questions it asks the chain. */
import { Asset, StrKey, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import { balanceKey } from '../contracts/index.ts';
import type { LedgerView } from '../core/types.ts';

export type EscrowType = 'single' | 'multi';

/** Token balance of a contract in stroops; no entry is 0. */
export function tokenBalance(view: LedgerView, token: string, holder: string): bigint {
  const entry = view.contractData(token, balanceKey(holder));
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
