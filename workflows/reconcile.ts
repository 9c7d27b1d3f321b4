/** Looks, every half minute, for what fell between two chairs; see the activity for what that is. */
import { continueAsNew, proxyActivities, setCurrentDetails, sleep } from '@temporalio/workflow';
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
    const found = await activities.reconcile({ older_than_s: GRACE_S });
    setCurrentDetails(foundWords({ ...found }));
    await sleep(PAUSE, { summary: 'next look' });
  }
  await continueAsNew<typeof reconcile>(input);
}

/** What an operator reads at the top of the workflow's page. */
function foundWords(found: Readonly<Record<string, number>>): string {
  const lines = Object.entries(found).filter(([, count]) => count > 0);
  if (lines.length === 0) return 'The last look found nothing.';
  return `The last look found\n\n${lines.map(([what, count]) => `- ${what.replaceAll('_', ' ')}: ${count}`).join('\n')}`;
}
