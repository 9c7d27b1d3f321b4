/** What activities work with. Made once per worker process; tests make their own. */
import type { KeyObject } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Orm } from '../db/orm.ts';
import type { ChainHistory, ChainRpc, Pooled } from '../providers/chain/port.ts';
import type { ContractBook } from '../providers/escrow/contracts.ts';
import type { EscrowGateway } from '../providers/escrow/port.ts';
import type { KeyVault } from '../providers/keys/port.ts';
import type { PaymentProviders } from '../providers/payment/port.ts';

/** A settlement asset and its Stellar Asset Contract on this network. */
export interface SettlementAsset {
  readonly code: string;
  readonly issuer: string;
  readonly contract: string;
}

/** The network this deployment works on, and what of the escrow contract is pinned there. */
export interface NetworkSettings {
  readonly name: string;
  readonly passphrase: string;
  readonly assets: readonly SettlementAsset[];
  readonly factories: Record<
    'SINGLE_RELEASE' | 'MULTI_RELEASE',
    { readonly contractId: string; readonly wasmHash: string }
  >;
  /** the protocol's fee wallet: receives the contract's fee */
  readonly feeWallet: string;
}

/** A key that can sign; the secret stays inside the key object. */
export interface Signer {
  readonly publicKey: string;
  readonly key: KeyObject;
}

export interface Deps {
  readonly orm: Orm;
  readonly rpc: Pooled<ChainRpc>;
  readonly history: Pooled<ChainHistory>;
  readonly gateway: EscrowGateway;
  /** which escrow contracts are accepted, and how each is called */
  readonly contracts: ContractBook;
  readonly network: NetworkSettings;
  readonly payments: PaymentProviders;
  /** only in a process that serves `signing` */
  readonly vault: KeyVault | null;
  readonly sponsor: Signer | null;
  /** address of the account that pays fees and reserves */
  readonly sponsorAddress: string;
  /** days for which its balance should last */
  readonly sponsorDaysMin: number;
  readonly taskQueuePrefix: string;
  /** where wallets read their payments: the table the chain reader fills, or a stream of their own */
  readonly paymentSource: 'shared' | 'stream';
  /** for signals to other workflows */
  readonly client: Client;
  readonly log: Logger;
}
