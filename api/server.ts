/** The API process: connections, first platform key, HTTP server, shutdown. */
import { type Server, createServer } from 'node:http';
import { createLog } from '../config/log.ts';
import type { Config } from '../config/config.ts';
import { type Orm, openOrm } from '../db/orm.ts';
import { ensurePlatformKey } from '../db/resources/api-key.ts';
import { pool } from '../db/sql.ts';
import type { PaymentProviders } from '../providers/payment/port.ts';
import { createWorkflowClient } from '../workflows/client.ts';
import { buildApp } from './app.ts';
import type { ApiDeps } from './deps.ts';
import { BASE_PATH } from './route.ts';
import { routesOf } from './routes.ts';

/** Longer than callers and load balancers keep idle connections: who closes first must not be us, amid a request. */
const KEEP_ALIVE_MS = 75_000;
/** Connections that are still open by then are cut. */
const SHUTDOWN_MS = 25_000;

export interface Api {
  /** ends in `/api/v1` */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts serving. Temporal and the chain may be down: reads work without them. */
export async function startApi(
  config: Config,
  outside: Pick<ApiDeps, 'chainBalance' | 'chainDestination' | 'chainLedger'> & {
    readonly payments: (orm: Orm) => PaymentProviders;
  },
): Promise<Api> {
  const log = createLog({ level: config.logLevel, process: 'api' });
  const orm = await openOrm({ ...config.database, poolMax: 20, applicationName: 'orchestrator-api' });
  const workflows = createWorkflowClient({
    ...config.temporal,
    taskQueuePrefix: config.taskQueuePrefix,
    network: config.network,
    paymentSource: config.paymentSource,
  });
  const stopping = new AbortController();
  const deps: ApiDeps = {
    orm,
    config,
    workflows,
    ...outside,
    payments: outside.payments(orm),
    log,
    stopping: stopping.signal,
  };
  if (config.platformApiKeyHash !== null) await ensurePlatformKey(pool(orm), config.platformApiKeyHash);

  const handle = buildApp(routesOf(config), deps).callback();
  const server = createServer((request, response) => void handle(request, response));
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const { host, port } = config.http;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const url = `http://${host}:${portOf(server)}${BASE_PATH}`;
  log.info({ url }, 'api.started');
  return {
    url,
    stop: async () => {
      stopping.abort();
      await close(server);
      await Promise.all([workflows.close(), orm.close()]);
      log.info({}, 'api.stopped');
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Takes no new connections, lets requests finish, cuts what is left after the limit. */
async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), SHUTDOWN_MS);
  await closed;
  clearTimeout(cut);
}
