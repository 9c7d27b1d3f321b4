/** What commands that look around work with: the database, the chain, Temporal; no keys, nothing is signed. */
import { Client, Connection } from '@temporalio/client';
import type { Deps } from '../../activities/context.ts';
import { loadConfig } from '../../config/config.ts';
import { createLog } from '../../config/log.ts';
import { openOrm } from '../../db/orm.ts';
import { createDeps } from '../../worker/deps.ts';
import { type ServiceOptions, loadEnvironment } from '../services.ts';

/** Temporal is connected to at the first question: what else there is to see is shown without it. */
export async function withDeps<T>(options: ServiceOptions, work: (deps: Deps) => Promise<T>): Promise<T> {
  loadEnvironment(options);
  const config = loadConfig({ ...process.env, TASK_QUEUES: 'orders' }, 'worker');
  const orm = await openOrm({ url: config.database.url, poolMax: 4, applicationName: 'orchestrator-command' });
  const connection = Connection.lazy({ address: config.temporal.address, interceptors: [] });
  const client = new Client({ connection, namespace: config.temporal.namespace });
  try {
    return await work(createDeps(config, { orm, client, log: createLog({ level: 'fatal', process: 'command' }) }));
  } finally {
    await connection.close();
    await orm.close();
  }
}
