/** Classic transactions that we build ourselves. */
import { Account, Asset as StellarAsset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import type { Asset } from '../../domain/chain.ts';

/** Wallets whose operations and signatures fit into one transaction. */
export const MAX_WALLETS = 19;

/** What every transaction states. */
interface Frame {
  readonly networkPassphrase: string;
  readonly source: string;
  /** the last used one of `source` */
  readonly sequence: bigint;
  /** end of its time bounds, unix seconds */
  readonly maxTime: number;
  /** the inner bid per operation in stroops; 0 when the bump pays everything */
  readonly baseFee?: bigint;
}

function begin({ networkPassphrase, source, sequence, maxTime, baseFee = 0n }: Frame): TransactionBuilder {
  return new TransactionBuilder(new Account(source, sequence.toString()), {
    fee: baseFee.toString(),
    networkPassphrase,
    timebounds: { minTime: 0, maxTime },
  });
}

/**
 * One transaction that creates wallets holding 0 XLM, their reserves paid by the sponsor: begin sponsoring, create, trust
 * each of `assets`, end sponsoring, per wallet. To be signed by `source`, the sponsor and every wallet, and then
 * fee-bumped. @throws RangeError for more wallets than one transaction takes
 */
export function buildProvisioning(
  options: Frame & { readonly sponsor: string; readonly wallets: readonly string[]; readonly assets: readonly Asset[] },
): string {
  const { sponsor, wallets, assets } = options;
  if (wallets.length === 0 || wallets.length > MAX_WALLETS) throw new RangeError(`1 to ${MAX_WALLETS} wallets`);
  const builder = begin(options);
  for (const wallet of wallets) {
    builder.addOperation(Operation.beginSponsoringFutureReserves({ sponsoredId: wallet, source: sponsor }));
    builder.addOperation(Operation.createAccount({ destination: wallet, startingBalance: '0', source: sponsor }));
    for (const asset of assets) builder.addOperation(Operation.changeTrust({ asset: issued(asset), source: wallet }));
    builder.addOperation(Operation.endSponsoringFutureReserves({ source: wallet }));
  }
  return builder.build().toXdr();
}

/** Gives a wallet that exists the trustlines it lacks, sponsored. Signed by `source`, the sponsor and the wallet. */
export function buildTrustlines(
  options: Frame & { readonly sponsor: string; readonly wallet: string; readonly assets: readonly Asset[] },
): string {
  const { sponsor, wallet, assets } = options;
  const builder = begin(options);
  builder.addOperation(Operation.beginSponsoringFutureReserves({ sponsoredId: wallet, source: sponsor }));
  for (const asset of assets) builder.addOperation(Operation.changeTrust({ asset: issued(asset), source: wallet }));
  builder.addOperation(Operation.endSponsoringFutureReserves({ source: wallet }));
  return builder.build().toXdr();
}

/**
 * Ends a wallet: removes its trustlines for `assets` and merges what XLM it got into `into`, which frees the reserves for
 * their sponsor. The network refuses all of it while one of the trustlines holds money. Signed by `source` and the wallet.
 */
export function buildClosing(
  options: Frame & { readonly wallet: string; readonly assets: readonly Asset[]; readonly into: string },
): string {
  const { wallet, assets, into } = options;
  const builder = begin(options);
  for (const asset of assets)
    builder.addOperation(Operation.changeTrust({ asset: issued(asset), limit: '0', source: wallet }));
  builder.addOperation(Operation.accountMerge({ destination: into, source: wallet }));
  return builder.build().toXdr();
}

function issued(asset: Asset): StellarAsset {
  if (asset.issuer === null) throw new TypeError('the native asset needs no trustline');
  return new StellarAsset(asset.code, asset.issuer);
}
