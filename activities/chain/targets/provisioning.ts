/** A batch of new wallets, their reserves paid by the sponsor. */
import { sql } from 'kysely';
import type { Sql } from '../../../db/sql.ts';
import { buildProvisioning } from '../../../providers/chain/classic.ts';
import type { Deps } from '../../context.ts';
import { refuse } from '../../failure.ts';
import { pickSource } from '../sources.ts';
import type { Target } from '../target.ts';
import { classicTarget } from './classic.ts';

interface BatchWallet {
  readonly id: string;
  readonly kind: string;
  readonly address: string | null;
}

export async function provisioningTarget(db: Sql, deps: Deps, batchId: string, key: string): Promise<Target> {
  const { rows: wallets } = await sql<BatchWallet>`
    select id, kind, address from wallets where batch_id = ${batchId} order by id`.execute(db);
  const signatories = wallets.flatMap(({ id, address }) => (address === null ? [] : [{ walletId: id, address }]));
  if (signatories.length === 0 || signatories.length < wallets.length)
    throw refuse('INVALID_STATE', `batch ${batchId} has wallets without keys`);
  const channels = wallets.some((wallet) => wallet.kind === 'CHANNEL');
  const { address: source, channel } = await pickSource(db, deps, key);
  return classicTarget(deps, {
    source,
    marketplaceId: null,
    signatories: channel === null ? signatories : [...signatories, channel],
    sponsorSigns: true,
    what: 'the provisioning of this batch',
    build: ({ sequence, maxTime }) =>
      buildProvisioning({
        networkPassphrase: deps.network.passphrase,
        source,
        sequence,
        sponsor: deps.sponsorAddress,
        wallets: signatories.map(({ address }) => address),
        assets: channels ? [] : deps.network.assets,
        maxTime,
      }),
  });
}
