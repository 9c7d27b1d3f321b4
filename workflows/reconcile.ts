/** Looks, every half minute, for what fell between two chairs; see the activity for what that is. */
import { continueAsNew, proxyActivities, sleep } from '@temporalio/workflow';
import type { WalletActivities } from '../activities/wallets/index.ts';
import type { ChainReaderInput } from './messages.ts';

const PAUSE = '30 seconds';
const ROUNDS = 40;
/** What is younger may still be on its way. */
const GRACE_S = 60;

export async function reconcile(input: ChainReaderInput): Promise<void> {
  const activities = proxyActivities<WalletActivities>({
    taskQueue: `${input.task_queue_prefix}orders`,
    summary: 'compare rows, chain transactions and books',
    startToCloseTimeout: '1 minute',
    retry: { initialInterval: '5s', maximumInterval: '1 minute' },
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    await activities.reconcile({ older_than_s: GRACE_S });
    await sleep(PAUSE, { summary: 'next look' });
  }
  await continueAsNew<typeof reconcile>(input);
}
