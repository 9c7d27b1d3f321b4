/** From the configuration to what activities work with: the one place where adapters are chosen. */
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Deps, NetworkSettings } from '../activities/context.ts';
import type { Config } from '../config/config.ts';
import type { VaultKey } from '../config/variables.ts';
import type { Orm } from '../db/orm.ts';
import { createChainHistory } from '../providers/chain/horizon.ts';
import { createAssetContracts } from '../providers/chain/movements.ts';
import { createChainRpc } from '../providers/chain/rpc.ts';
import { createTrustlessWork } from '../providers/escrow/trustless-work.ts';
import { createAwsKmsKey } from '../providers/keys/aws-kms.ts';
import { signerFromSecret } from '../providers/keys/ed25519.ts';
import { createLocalKey } from '../providers/keys/local.ts';
import type { KeyVault } from '../providers/keys/port.ts';
import { createKeyVault } from '../providers/keys/vault.ts';

/** @throws Error when SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS, VaultError when a vault key cannot be used */
export function createDeps(config: Config, parts: { orm: Orm; client: Client; log: Logger }): Deps {
  const { stellar, trustlessWork, signing } = config;
  const sponsor = signing === null ? null : signerFromSecret(signing.sponsorSecret());
  if (sponsor !== null && sponsor.publicKey !== config.sponsorAddress)
    throw new Error('SPONSOR_SECRET is not the seed of SPONSOR_ADDRESS');
  return {
    ...parts,
    rpc: createChainRpc({ url: stellar.rpcUrl, networkPassphrase: stellar.passphrase }),
    history: createChainHistory({ url: stellar.horizonUrl }),
    gateway: createTrustlessWork({ url: trustlessWork.url, apiKey: trustlessWork.apiKey() }),
    network: networkSettings(config),
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

function networkSettings({ network, stellar, assets, trustlessWork }: Config): NetworkSettings {
  const contractOf = createAssetContracts(stellar.passphrase);
  const { factories, wasmHashes } = trustlessWork;
  return {
    name: network,
    passphrase: stellar.passphrase,
    assets: assets.map((asset) => ({ ...asset, contract: contractOf(asset) })),
    factories: {
      SINGLE_RELEASE: { contractId: factories.single, wasmHash: wasmHashes.single },
      MULTI_RELEASE: { contractId: factories.multi, wasmHash: wasmHashes.multi },
    },
    feeWallet: trustlessWork.feeWallet,
    feeWalletIsArgument: trustlessWork.feeWalletIsArgument,
  };
}
