/** Who exists from the first ledger on. Everything follows from the seed, keys included. */
import { createHash } from 'node:crypto';
import { Keypair } from '@stellar/stellar-sdk/base';
import { newAccount } from './operations/accounts.ts';
import { AUTH_CLAWBACK, AUTH_REVOCABLE } from './operations/trust.ts';
import type { CoreView } from './state.ts';
import type { AssetId } from './types.ts';

const MAX_LIMIT = 9_223_372_036_854_775_807n;
const XLM = 10_000_000n;

/** A key that everybody with the seed can derive: sandbox money is nobody's money. */
export function derivedKey(seed: string, role: string): Keypair {
  return Keypair.fromRawEd25519Seed(createHash('sha256').update(`${seed}/${role}`).digest());
}

export interface GenesisAccounts {
  /** holds all XLM and pays what friendbot gives away */
  readonly friendbot: Keypair;
  /** issues the sandbox's USDC; may freeze trustlines and claw back */
  readonly issuer: Keypair;
  /** receives Trustless Work's protocol fee */
  readonly feeWallet: Keypair;
  readonly usdc: AssetId;
}

export function genesisAccounts(seed: string): GenesisAccounts {
  const issuer = derivedKey(seed, 'usdc-issuer');
  return {
    friendbot: derivedKey(seed, 'friendbot'),
    issuer,
    feeWallet: derivedKey(seed, 'trustless-work-fee-wallet'),
    usdc: `USDC:${issuer.publicKey()}`,
  };
}

/** Writes the accounts of the first ledger. */
export function writeGenesis(view: CoreView, { friendbot, issuer, feeWallet, usdc }: GenesisAccounts): void {
  view.registerAsset('native');
  view.putAccount(newAccount(view, friendbot.publicKey(), 50_000_000_000n * XLM));
  view.putAccount({
    ...newAccount(view, issuer.publicKey(), 1_000_000n * XLM),
    flags: AUTH_REVOCABLE | AUTH_CLAWBACK,
    homeDomain: 'sandbox.invalid',
  });
  view.putAccount({ ...newAccount(view, feeWallet.publicKey(), 1_000n * XLM), subentries: 1 });
  view.putTrustline({
    account: feeWallet.publicKey(),
    asset: usdc,
    balance: 0n,
    limit: MAX_LIMIT,
    flags: 1,
    sponsor: null,
    lastModified: view.sequence,
  });
}
