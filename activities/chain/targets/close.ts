/** The end of a wallet on chain. A deposit that came first makes the network refuse it: the wallet stays open. */
import type { Sql } from '../../../db/sql.ts';
import type { WalletCareIntent } from '../../../domain/intents.ts';
import { buildClosing } from '../../../providers/chain/classic.ts';
import type { Deps } from '../../context.ts';
import { pickSource } from '../sources.ts';
import type { Target } from '../target.ts';
import { classicTarget } from './classic.ts';
import { careWallet } from './trustlines.ts';

export async function closeTarget(db: Sql, deps: Deps, intent: WalletCareIntent, key: string): Promise<Target> {
  const wallet = await careWallet(db, deps, intent);
  const { address: source, channel } = await pickSource(db, deps, key);
  return classicTarget(deps, {
    source,
    marketplaceId: wallet.marketplaceId,
    signatories: channel === null ? [wallet] : [wallet, channel],
    sponsorSigns: channel === null,
    what: `the closing of ${intent.walletId}`,
    build: ({ sequence, maxTime }) =>
      buildClosing({
        networkPassphrase: deps.network.passphrase,
        source,
        sequence,
        maxTime,
        wallet: wallet.address,
        assets: wallet.assets,
        into: deps.sponsorAddress,
      }),
  });
}
