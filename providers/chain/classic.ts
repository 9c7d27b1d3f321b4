/** Classic transactions that we build ourselves. */
import { Account, Asset as StellarAsset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import type { Asset } from '../../domain/chain.ts';

/** Wallets whose operations and signatures fit into one transaction. */
export const MAX_WALLETS = 19;

/**
 * One transaction that creates wallets holding 0 XLM, their reserves paid by the sponsor: begin sponsoring, create,
 * trust, end sponsoring, per wallet. To be signed by `source`, the sponsor and every wallet, and then fee-bumped.
 *
 * `sequence` is the last used one of `source`; `maxTime` the end of its time bounds (unix seconds); `asset` null
 * leaves the trustline out; `baseFee` is the inner bid per operation in stroops, 0 when the bump pays everything.
 */
export function buildProvisioning(options: {
  readonly networkPassphrase: string;
  readonly source: string;
  readonly sequence: bigint;
  readonly sponsor: string;
  readonly wallets: readonly string[];
  readonly asset: Asset | null;
  readonly maxTime: number;
  readonly baseFee?: bigint;
}): string {
  const { networkPassphrase, source, sequence, sponsor, wallets, asset, maxTime, baseFee = 0n } = options;
  if (wallets.length === 0 || wallets.length > MAX_WALLETS) throw new RangeError(`1 to ${MAX_WALLETS} wallets`);
  const builder = new TransactionBuilder(new Account(source, sequence.toString()), {
    fee: baseFee.toString(),
    networkPassphrase,
    timebounds: { minTime: 0, maxTime },
  });
  for (const wallet of wallets) {
    builder.addOperation(Operation.beginSponsoringFutureReserves({ sponsoredId: wallet, source: sponsor }));
    builder.addOperation(Operation.createAccount({ destination: wallet, startingBalance: '0', source: sponsor }));
    if (asset !== null) builder.addOperation(Operation.changeTrust({ asset: issued(asset), source: wallet }));
    builder.addOperation(Operation.endSponsoringFutureReserves({ source: wallet }));
  }
  return builder.build().toXdr();
}

function issued(asset: Asset): StellarAsset {
  if (asset.issuer === null) throw new TypeError('the native asset needs no trustline');
  return new StellarAsset(asset.code, asset.issuer);
}
