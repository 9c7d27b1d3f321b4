/** What the routes work with; made once per process. */
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Orm } from '../db/orm.ts';
import type { ChainRpc } from '../providers/chain/port.ts';
import type { WorkflowClient } from '../workflows/client.ts';

export interface ApiDeps {
  readonly orm: Orm;
  readonly config: Config;
  readonly workflows: WorkflowClient;
  /** for comparing books with the chain; nothing else of the API touches it */
  readonly chain: Pick<ChainRpc, 'assetBalance'>;
  readonly log: Logger;
  /** aborted on shutdown: whoever waits answers at once */
  readonly stopping: AbortSignal;
}
