/** Activities in the process of the test, over a stack's database and providers. */
import type { Client } from '@temporalio/client';
import { pino } from 'pino';
import type { Deps } from '../../activities/context.ts';
import { createReconcileActivities } from '../../activities/wallets/reconcile.ts';
import { loadConfig } from '../../config/config.ts';
import { openOrm } from '../../db/orm.ts';
import { createDeps } from '../../worker/deps.ts';
import type { TestStack } from './stack.ts';

export async function withDeps<T>(
  { env }: Pick<TestStack, 'env'>,
  client: Client,
  work: (deps: Deps) => Promise<T>,
): Promise<T> {
  const config = loadConfig(env, 'worker');
  const orm = await openOrm({ url: config.database.url, poolMax: 2 });
  try {
    return await work(createDeps(config, { orm, client, log: pino({ level: 'silent' }) }));
  } finally {
    await orm.close();
  }
}

/** One look of what reconciles, at everything however young. */
export const reconcileNow = (stack: Pick<TestStack, 'env'>, client: Client) =>
  withDeps(stack, client, (deps) => createReconcileActivities(deps).reconcile({ older_than_s: 0 }));
