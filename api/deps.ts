/** What the routes work with; made once per process. */
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Orm } from '../db/orm.ts';
import type { DestinationView } from '../domain/payment/destination.ts';
import type { PaymentProviders } from '../providers/payment/port.ts';
import type { WorkflowClient } from '../workflows/client.ts';

/** What the chain says that an address holds, in stroops, read at one ledger; for comparing our books with it. */
type ReadChainBalance = (
  address: string,
  asset: { readonly code: string; readonly issuer: string },
) => Promise<{ readonly ledger: number; readonly value: bigint }>;

/** What the chain says about an account that is to be paid. */
type ReadDestination = (
  account: string,
  asset: { readonly code: string; readonly issuer: string },
) => Promise<DestinationView>;

export interface ApiDeps {
  readonly orm: Orm;
  readonly config: Config;
  readonly workflows: WorkflowClient;
  /** the only looks at the chain: everything else the API reads from its tables */
  readonly chainBalance: ReadChainBalance;
  readonly chainDestination: ReadDestination;
  /** the newest ledger */
  readonly chainLedger: () => Promise<number>;
  /** where a user's money is: in our books, or on the chain */
  readonly payments: PaymentProviders;
  readonly log: Logger;
  /** aborted on shutdown: whoever waits answers at once */
  readonly stopping: AbortSignal;
}
