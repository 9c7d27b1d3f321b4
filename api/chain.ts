/** Looks at wallets and the chain from the API: what cannot be read now is 503, never an empty answer. */
import { Refusal } from '../domain/refusal.ts';
import type { WalletResource } from '../domain/resources/user.ts';
import type { UserWallet } from '../providers/payment/port.ts';
import { type Call, marketplaceOf } from './route.ts';

/** @throws Refusal UNAVAILABLE when the chain does not answer; refusals of `look` itself pass through */
export async function readingChain<T>(call: Call, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const { log } = call.deps;
    log.warn({ error, request_id: call.origin.request_id }, 'chain.unreadable');
    throw new Refusal('UNAVAILABLE', 'the chain cannot be read now');
  }
}

/** A user's wallet as its provider knows it. */
export const providedWallet = (call: Call, wallet: WalletResource): UserWallet => ({
  id: wallet.id,
  userId: wallet.user_id ?? '',
  marketplaceId: marketplaceOf(call).id,
  status: wallet.status,
  address: wallet.address,
});
