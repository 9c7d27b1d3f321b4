/** The trustlines that a wallet of ours lacks, their reserves paid by the sponsor. */
import { sql } from 'kysely';
import type { Sql } from '../../../db/sql.ts';
import type { WalletCareIntent } from '../../../domain/intents.ts';
import { buildTrustlines } from '../../../providers/chain/classic.ts';
import type { Deps, SettlementAsset } from '../../context.ts';
import { refuse } from '../../failure.ts';
import { pickSource } from '../sources.ts';
import type { Target } from '../target.ts';
import { classicTarget } from './classic.ts';

export async function trustlinesTarget(db: Sql, deps: Deps, intent: WalletCareIntent, key: string): Promise<Target> {
  const wallet = await careWallet(db, deps, intent);
  const { address: source, channel } = await pickSource(db, deps, key);
  return classicTarget(deps, {
    source,
    marketplaceId: wallet.marketplaceId,
    signatories: channel === null ? [wallet] : [wallet, channel],
    sponsorSigns: true,
    what: `the trustlines of ${intent.walletId}`,
    build: ({ sequence, maxTime }) =>
      buildTrustlines({
        networkPassphrase: deps.network.passphrase,
        source,
        sequence,
        maxTime,
        sponsor: deps.sponsorAddress,
        wallet: wallet.address,
        assets: wallet.assets,
      }),
  });
}

interface CareWallet {
  readonly walletId: string;
  readonly address: string;
  readonly marketplaceId: string | null;
  readonly assets: readonly SettlementAsset[];
}

/** The wallet that an intent names, and the assets it names, as we know them. */
export async function careWallet(db: Sql, { network }: Deps, intent: WalletCareIntent): Promise<CareWallet> {
  const { rows } = await sql<Omit<CareWallet, 'assets'>>`
    select id as "walletId", address, marketplace_id as "marketplaceId" from wallets
    where id = ${intent.walletId} and status = 'READY' and provider = 'crypto-native'`.execute(db);
  if (rows[0] === undefined) throw refuse('INVALID_STATE', `wallet ${intent.walletId} is not a READY wallet of ours`);
  const assets = network.assets.filter(({ code }) => intent.assets.includes(code));
  return { ...rows[0], assets };
}
