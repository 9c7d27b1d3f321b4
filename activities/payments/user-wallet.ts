/** A user's wallet, and the provider behind it: who decides where his money is and who signs for it. */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { PaymentProviderName } from '../../domain/statuses.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { PaymentAsset, PaymentProvider, UserWallet } from '../../providers/payment/port.ts';
import type { Deps } from '../context.ts';
import { refuse, waitForProvider } from '../failure.ts';

interface ProvidedWallet {
  readonly wallet: UserWallet;
  readonly provider: PaymentProvider;
}

type Row = UserWallet & { readonly provider: PaymentProviderName };

/** @throws ApplicationFailure NOT_FOUND */
export async function walletOfUser(db: Sql, deps: Pick<Deps, 'payments'>, userId: string): Promise<ProvidedWallet> {
  const { rows } = await sql<Row>`
    select id, user_id as "userId", marketplace_id as "marketplaceId", status, address, provider from wallets
    where user_id = ${userId} and kind = 'USER'`.execute(db);
  if (rows[0] === undefined) throw refuse('NOT_FOUND', `user ${userId} has no wallet`);
  const { provider, ...wallet } = rows[0];
  return { wallet, provider: deps.payments[provider] };
}

/** @throws ApplicationFailure BOOKS_DIFFER */
export function assetOf(deps: Pick<Deps, 'network'>, code: string): PaymentAsset {
  const asset = deps.network.assets.find((candidate) => candidate.code === code);
  if (asset === undefined) throw refuse('BOOKS_DIFFER', `${code} is not an asset of this network`);
  return asset;
}

/** Calls a provider from an activity: what it refuses is refused, its trouble is waited out. */
export async function asking<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Refusal) throw refuse(error.reason, error.message, error.details);
    if (error instanceof ProviderError) throw waitForProvider(error);
    throw error;
  }
}
