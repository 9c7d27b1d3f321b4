/** The one reader of the network's payments: a long activity, started again for ever. What it knows is in its row. */
import { continueAsNew, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { PaymentActivities } from '../activities/payments/index.ts';
import type { ChainReaderInput } from './messages.ts';

/** The activity returns that often, so that its attempts start at one again. */
const RUN_MS = 3_600_000;
const RUNS = 100;

export async function chainReader(input: ChainReaderInput): Promise<void> {
  const { readChain } = proxyActivities<PaymentActivities>({
    taskQueue: `${input.task_queue_prefix}payments`,
    summary: `read the payments of ${input.network}`,
    startToCloseTimeout: RUN_MS * 2,
    // One reader for everybody: when its process dies, deposits wait this long.
    heartbeatTimeout: '10s',
    retry: { initialInterval: '1s', backoffCoefficient: 1 },
  });
  for (let run = 0; run < RUNS; run += 1) {
    const { ledger } = await readChain({ run_ms: RUN_MS });
    setCurrentDetails(`read up to ledger ${ledger}`);
  }
  await continueAsNew<typeof chainReader>(input);
}
