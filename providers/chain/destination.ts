/** What the chain says about an account that is to be paid; judged by `domain/payment/destination.ts`. */
import type { Asset } from '../../domain/chain.ts';
import type { DestinationView } from '../../domain/payment/destination.ts';
import type { ChainRpc } from './port.ts';

/** SEP-29. */
const MEMO_REQUIRED = 'config.memo_required';

/** @throws ProviderError: what cannot be read is not taken for allowed */
export async function readDestination(
  rpc: Pick<ChainRpc, 'account' | 'trustline' | 'accountData'>,
  account: string,
  asset: Asset,
): Promise<DestinationView> {
  const [entry, line, memo] = await Promise.all([
    rpc.account(account),
    rpc.trustline(account, asset),
    rpc.accountData(account, MEMO_REQUIRED),
  ]);
  return { exists: entry.value !== null, line: line.value, memoRequired: memo.value === '1' };
}
