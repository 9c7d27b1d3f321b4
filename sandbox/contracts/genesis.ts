/** The contracts that exist from the first ledger on: asset contracts, and the factories of both contract lines. */
import { createHash } from 'node:crypto';
import { StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { CoreView } from '../core/state.ts';
import type { AssetId } from '../core/types.ts';
import { MAINNET_FEE_WALLET } from './escrow.ts';
import { createInstance, deployedId, INSTANCE_KEY } from './host.ts';
import { WASM } from './wasm.ts';

/**
 * `mainnet`: the protocol fee's wallet is compiled in. `testnet`: release, resolve and withdraw take it as an argument.
 */
export type ContractLine = 'mainnet' | 'testnet';

export interface Deployment {
  readonly factories: { readonly single: string; readonly multi: string };
  /** hex SHA-256 */
  readonly wasmHashes: { readonly single: string; readonly multi: string };
  readonly feeWallet: string;
  /** whether calls that pay out name the fee wallet */
  readonly feeWalletAsArgument: boolean;
}

const LINES = {
  mainnet: { single: WASM.single, multi: WASM.multi },
  testnet: { single: WASM.testnetSingle, multi: WASM.testnetMulti },
} as const;

const KINDS = ['single', 'multi'] as const;
const MAX_LIMIT = 9_223_372_036_854_775_807n;
const NEVER = 0xffff_ffff;

/** Address of a line's factory. It follows from the network and the seed alone. */
function factoryId(passphrase: string, seed: string, line: ContractLine, kind: 'single' | 'multi'): string {
  const salt = createHash('sha256').update(`${seed}/${line}-${kind}-factory`).digest();
  // its deployer is a contract address nobody holds
  const deployer = StrKey.encodeContract(createHash('sha256').update(`${seed}/factory-deployer`).digest());
  return deployedId(passphrase, deployer, salt);
}

/** Where a line's contracts are, without looking at a ledger. */
export function deploymentOf(network: {
  readonly networkPassphrase: string;
  readonly seed: string;
  readonly line: ContractLine;
  /** wallet that the testnet line's calls name */
  readonly feeWallet: string;
}): Deployment {
  const { networkPassphrase, seed, line } = network;
  const factory = (kind: 'single' | 'multi') => factoryId(networkPassphrase, seed, line, kind);
  return {
    factories: { single: factory('single'), multi: factory('multi') },
    wasmHashes: LINES[line],
    feeWallet: line === 'mainnet' ? MAINNET_FEE_WALLET : network.feeWallet,
    feeWalletAsArgument: line === 'testnet',
  };
}

/** A contract that is never archived. */
function install(view: CoreView, contract: string, executable: xdr.ContractExecutable): void {
  createInstance(view, contract, executable);
  const entry = view.contractData(contract, INSTANCE_KEY);
  if (entry !== undefined) view.putContractData({ ...entry, liveUntil: NEVER });
}

/** The compiled-in fee wallet: nobody here holds its key, but it must be able to receive. */
function openMainnetFeeWallet(view: CoreView, usdc: AssetId): void {
  view.putAccount({
    id: MAINNET_FEE_WALLET,
    balance: 100_000_000n,
    sequence: 0n,
    sequenceLedger: 0,
    sequenceTime: 0,
    subentries: 1,
    sponsoring: 0,
    sponsored: 0,
    sponsor: null,
    flags: 0,
    homeDomain: '',
    thresholds: { master: 1, low: 0, med: 0, high: 0 },
    signers: [],
    data: {},
    lastModified: view.sequence,
  });
  view.putTrustline({
    account: MAINNET_FEE_WALLET,
    asset: usdc,
    balance: 0n,
    limit: MAX_LIMIT,
    flags: 1,
    sponsor: null,
    lastModified: view.sequence,
  });
}

/**
 * Writes the first ledger's contracts: the asset contracts of XLM and of `usdc`, the factories of both lines, and the
 * account of the compiled-in fee wallet (10 XLM, trustline to `usdc`).
 */
export function genesisContracts(view: CoreView, options: { readonly seed: string; readonly usdc: AssetId }): void {
  const { seed, usdc } = options;
  for (const asset of ['native', usdc]) {
    install(view, view.registerAsset(asset), xdr.ContractExecutable.contractExecutableStellarAsset());
  }
  for (const line of ['mainnet', 'testnet'] as const) {
    for (const kind of KINDS) {
      const id = factoryId(view.networkPassphrase, seed, line, kind);
      install(view, id, xdr.ContractExecutable.contractExecutableWasm(LINES[line][kind]));
    }
  }
  openMainnetFeeWallet(view, usdc);
}
