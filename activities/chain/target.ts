/** What a transaction is held against: built anew from rows and chain state at each look, for preparing and for signing. */
import { pool } from '../../db/sql.ts';
import type { Intent } from '../../domain/intents.ts';
import type { Verdict } from '../../providers/escrow/port.ts';
import type { Deps } from '../context.ts';
import type { ResolvedCall } from '../escrow/call.ts';
import { closeTarget } from './targets/close.ts';
import { escrowTarget } from './targets/escrow.ts';
import { paymentTarget } from './targets/payment.ts';
import { provisioningTarget } from './targets/provisioning.ts';
import { trustlinesTarget } from './targets/trustlines.ts';

export interface Signatory {
  readonly walletId: string;
  readonly address: string;
}

export interface Target {
  readonly source: string;
  readonly marketplaceId: string | null;
  readonly orderId: string | null;
  /** wallets whose keys sign, besides the sponsor */
  readonly signatories: readonly Signatory[];
  /** the sponsor signs the inner transaction too (it pays reserves), not only the fee bump */
  readonly sponsorSigns: boolean;
  readonly call: ResolvedCall | null;
  /** the intent with what this preparation found out, when there is something: it is stored with the transaction */
  readonly intent?: Intent;
  build(): Promise<string>;
  /** Reads the chain and judges; `ledger` is the latest one then. @throws ProviderError */
  verify(envelope: string): Promise<{ verdict: Verdict; ledger: number }>;
}

/**
 * Null while something the intent needs (a wallet) is not ready.
 * @param key the intent's key: what it holds the lease of is its source
 */
export async function resolveTarget(deps: Deps, intent: Intent, key: string): Promise<Target | null> {
  const db = pool(deps.orm);
  switch (intent.kind) {
    case 'PAY':
      return paymentTarget(db, deps, intent.payment, key);
    case 'PROVISION_WALLETS':
      return provisioningTarget(db, deps, intent.batchId, key);
    case 'ADD_TRUSTLINES':
      return trustlinesTarget(db, deps, intent, key);
    case 'CLOSE_WALLET':
      return closeTarget(db, deps, intent, key);
    default:
      return escrowTarget(db, deps, intent, key);
  }
}
