/** From the configuration to what activities work with: the one place where adapters are chosen. */
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Deps, NetworkSettings } from '../activities/context.ts';
import { createProviderWatch } from '../activities/providers/outages.ts';
import { createTurns } from '../activities/providers/turns.ts';
import { withWalletKey } from '../activities/signing/keys.ts';
import type { Config } from '../config/config.ts';
import type { VaultKey } from '../config/variables.ts';
import { readBooks } from '../db/ledger/statement.ts';
import type { Orm } from '../db/orm.ts';
import { createAssetContracts } from '../providers/chain/movements.ts';
import { createNetworkHistory, createNetworkRpc } from '../providers/chain/network.ts';
import type { ChainRpc } from '../providers/chain/port.ts';
import { type ContractBuild, createContractBook } from '../providers/escrow/contracts.ts';
import { createDirect } from '../providers/escrow/direct.ts';
import { createTrustlessWork } from '../providers/escrow/trustless-work.ts';
import { createAwsKmsKey } from '../providers/keys/aws-kms.ts';
import { signerFromSecret } from '../providers/keys/ed25519.ts';
import { createLocalKey } from '../providers/keys/local.ts';
import type { KeyVault } from '../providers/keys/port.ts';
import { createKeyVault } from '../providers/keys/vault.ts';
import { withTurns } from '../providers/limits/turns.ts';
import type { ProviderWatch } from '../providers/limits/watch.ts';
import { createPaymentProviders, paymentNetwork } from '../providers/payment/index.ts';

/** @throws Error when SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS, VaultError when a vault key cannot be used */
export function createDeps(config: Config, parts: { orm: Orm; client: Client; log: Logger }): Deps {
  const { network, stellar, signing } = config;
  const sponsor = signing === null ? null : signerFromSecret(signing.sponsorSecret());
  if (sponsor !== null && sponsor.publicKey !== config.sponsorAddress)
    throw new Error('SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS');
  const watch = createProviderWatch(parts);
  const { passphrase: networkPassphrase, requestsPerMinute } = stellar;
  const common = { networkPassphrase, watch };
  const rpc = createNetworkRpc({ ...common, urls: stellar.rpcUrls, perMinute: requestsPerMinute.rpc });
  const settings = networkSettings(config);
  const deps: Deps = {
    ...parts,
    rpc,
    history: createNetworkHistory({ ...common, urls: stellar.horizonUrls, perMinute: requestsPerMinute.horizon }),
    ...escrowParts(config, parts.orm, rpc, watch, settings),
    network: settings,
    vault: signing === null ? null : createVault(signing.vaultKeys, stellar.passphrase),
    sponsor,
    sponsorAddress: config.sponsorAddress,
    sponsorDaysMin: config.sponsorDaysMin,
    taskQueuePrefix: config.taskQueuePrefix,
    paymentSource: config.paymentSource,
    payments: createPaymentProviders({
      ...paymentNetwork(network, stellar.passphrase),
      rpc,
      books: readBooks(parts.orm),
      withKey: (wallet, work) => withWalletKey(deps, { walletId: wallet.id, address: wallet.address }, work),
    }),
  };
  return deps;
}

/** @throws VaultError when a key cannot be used */
export function createVault(settings: readonly VaultKey[], network: string): KeyVault {
  const keys = settings.map((key) => (key.kind === 'local' ? createLocalKey(key.id, key.key) : createAwsKmsKey(key)));
  return createKeyVault({ keys, network });
}

/** Who builds escrow calls, and which contracts they may be for. */
function escrowParts(
  config: Config,
  orm: Orm,
  rpc: ChainRpc,
  watch: ProviderWatch,
  settings: NetworkSettings,
): Pick<Deps, 'gateway' | 'contracts'> {
  const { stellar, trustlessWork, escrowGateway } = config;
  const contracts = createContractBook({ rpc, builds: acceptedBuilds(config), ...settings });
  const direct = createDirect({ rpc, networkPassphrase: stellar.passphrase, contracts });
  if (escrowGateway === 'direct') return { gateway: direct, contracts };
  const { url, apiKey, requestsPerMinute } = trustlessWork;
  const rest = createTrustlessWork({ url, apiKey: apiKey(), beyond: direct });
  const turns = requestsPerMinute === 0 ? null : createTurns(orm, rest.name, requestsPerMinute);
  return { gateway: withTurns(rest, turns, watch), contracts };
}

/** What new escrows run, and what earlier ones may. */
function acceptedBuilds({ trustlessWork }: Config): ContractBuild[] {
  const { wasmHashes, feeWalletIsArgument, earlierBuilds } = trustlessWork;
  return [
    { type: 'SINGLE_RELEASE', wasmHash: wasmHashes.single, feeWalletIsArgument },
    { type: 'MULTI_RELEASE', wasmHash: wasmHashes.multi, feeWalletIsArgument },
    ...earlierBuilds,
  ];
}

function networkSettings({ network, stellar, assets, trustlessWork }: Config): NetworkSettings {
  const contractOf = createAssetContracts(stellar.passphrase);
  const { factories } = trustlessWork;
  return {
    name: network,
    passphrase: stellar.passphrase,
    assets: assets.map((asset) => ({ ...asset, contract: contractOf(asset) })),
    factories: {
      SINGLE_RELEASE: { contractId: factories.single, wasmHash: trustlessWork.wasmHashes.single },
      MULTI_RELEASE: { contractId: factories.multi, wasmHash: trustlessWork.wasmHashes.multi },
    },
    feeWallet: trustlessWork.feeWallet,
  };
}
