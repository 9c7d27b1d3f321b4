/** Who is paid instead of somebody who cannot be: looked at before a person is asked to approve it. */
import { StrKey } from '@stellar/stellar-sdk/base';
import { otherPayoutOf } from '../db/repair-approvals.ts';
import { custodialWalletAt } from '../db/resources/wallet.ts';
import { pool } from '../db/sql.ts';
import { parseAmount } from '../domain/money.ts';
import { whyUnpayable } from '../domain/payment/destination.ts';
import { Refusal } from '../domain/refusal.ts';
import type { UnpaidPayee } from '../domain/repairs.ts';
import type { ApiDeps } from './deps.ts';
import { unpayable } from './destination.ts';

type AddressDeps = Pick<ApiDeps, 'orm' | 'chainDestination'> & {
  readonly config: Pick<ApiDeps['config'], 'assets'>;
};

/**
 * A contract pays accounts, without a memo: one of a user of this marketplace, or one of the world outside. A way that ends
 * there is not taken back, so what cannot be looked at is not proposed.
 * @throws Refusal DESTINATION_INVALID, UNAVAILABLE
 */
export async function demandPayoutAddress(
  { orm, config, chainDestination }: AddressDeps,
  payee: UnpaidPayee,
  marketplaceId: string | null,
  address: string,
): Promise<void> {
  const { asset: code, amount } = payee;
  const refuse = (detail: string) => unpayable(detail, '/address');
  if (!StrKey.isValidEd25519PublicKey(address)) throw refuse('not an account address (G…)');
  const wallet = await custodialWalletAt(pool(orm), address);
  if (wallet !== null && (wallet.kind !== 'USER' || wallet.marketplaceId !== marketplaceId))
    throw refuse('the address belongs to a wallet that takes no payments');
  // A contract pays an address once: nobody could tell whose money it was.
  if (address === (await otherPayoutOf(pool(orm), payee))) throw refuse('the other party is paid there');
  const asset = config.assets.find((candidate) => candidate.code === code);
  if (asset === undefined) throw new Refusal('INTERNAL_ERROR', `${code} is not settled here`);
  const view = await chainDestination(address, asset).catch((cause: unknown) => {
    throw new Refusal('UNAVAILABLE', 'the chain cannot be read now', { cause });
  });
  const problem = whyUnpayable(view, { amount: parseAmount(amount), asset: code, named: false });
  if (problem !== null) throw refuse(problem);
}
