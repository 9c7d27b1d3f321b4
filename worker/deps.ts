/** From the configuration to what activities work with: the one place where adapters are chosen. */
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Deps, NetworkSettings } from '../activities/context.ts';
import type { Config } from '../config/config.ts';
import type { VaultKey } from '../config/variables.ts';
import type { Orm } from '../db/orm.ts';
import { createChainHistory } from '../providers/chain/horizon.ts';
import { createAssetContracts } from '../providers/chain/movements.ts';
import type { ChainRpc } from '../providers/chain/port.ts';
import { createChainRpc } from '../providers/chain/rpc.ts';
import { type ContractBuild, createContractBook } from '../providers/escrow/contracts.ts';
import { createDirect } from '../providers/escrow/direct.ts';
import { createTrustlessWork } from '../providers/escrow/trustless-work.ts';
import { createAwsKmsKey } from '../providers/keys/aws-kms.ts';
import { signerFromSecret } from '../providers/keys/ed25519.ts';
import { createLocalKey } from '../providers/keys/local.ts';
import type { KeyVault } from '../providers/keys/port.ts';
import { createKeyVault } from '../providers/keys/vault.ts';

/** @throws Error when SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS, VaultError when a vault key cannot be used */
export function createDeps(config: Config, parts: { orm: Orm; client: Client; log: Logger }): Deps {
  const { stellar, signing } = config;
  const sponsor = signing === null ? null : signerFromSecret(signing.sponsorSecret());
  if (sponsor !== null && sponsor.publicKey !== config.sponsorAddress)
    throw new Error('SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS');
  const rpc = createChainRpc({ url: stellar.rpcUrl, networkPassphrase: stellar.passphrase });
  const settings = networkSettings(config);
  return {
    ...parts,
    rpc,
    history: createChainHistory({ url: stellar.horizonUrl }),
    ...escrowParts(config, rpc, settings),
    network: settings,
    vault: signing === null ? null : createVault(signing.vaultKeys, stellar.passphrase),
    sponsor,
    sponsorAddress: config.sponsorAddress,
    taskQueuePrefix: config.taskQueuePrefix,
    paymentSource: config.paymentSource,
  };
}

/** @throws VaultError when a key cannot be used */
export function createVault(settings: readonly VaultKey[], network: string): KeyVault {
  const keys = settings.map((key) => (key.kind === 'local' ? createLocalKey(key.id, key.key) : createAwsKmsKey(key)));
  return createKeyVault({ keys, network });
}

/** Who builds escrow calls, and which contracts they may be for. */
function escrowParts(config: Config, rpc: ChainRpc, settings: NetworkSettings): Pick<Deps, 'gateway' | 'contracts'> {
  const { stellar, trustlessWork, escrowGateway } = config;
  const contracts = createContractBook({ rpc, builds: acceptedBuilds(config), ...settings });
  const direct = createDirect({ rpc, networkPassphrase: stellar.passphrase, contracts });
  if (escrowGateway === 'direct') return { gateway: direct, contracts };
  const { url, apiKey } = trustlessWork;
  return { gateway: createTrustlessWork({ url, apiKey: apiKey(), beyond: direct }), contracts };
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
