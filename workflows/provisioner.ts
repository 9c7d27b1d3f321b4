/**
 * Creates wallets on chain, up to eighteen in one transaction. What arrives while a batch is on its way goes into the
 * next one. A batch that is proved dead is halved, so that one bad wallet cannot hold up the others.
 */
import {
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { KeyActivities } from '../activities/signing/keys.ts';
import type { WalletActivities } from '../activities/wallets/index.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import { type ProvisionerInput, provisionSignal } from './messages.ts';
import { localSteps } from './worded.ts';

const EVENTS_MAX = 500;
/** After one that could not be created: something outside has to change first. */
const PAUSE_AFTER_FAILURE = '30 seconds';
/** Orders that wait for a wallet go on when it is there: before deploys, behind payouts. */
const PRIORITY = 3;

export async function provisioner(input: ProvisionerInput): Promise<void> {
  let asked = true;
  setHandler(provisionSignal, () => {
    asked = true;
  });
  const { db, createWalletKeys, setBirthCursors, wakeProvisioned } = activitiesOf(input.task_queue_prefix);

  let failed = false;
  /** single wallets that could not be created, and the one whose pause is over */
  const hopeless = new Set<string>();
  let paused: string | null = null;
  while (workflowInfo().historyLength < EVENTS_MAX && !workflowInfo().continueAsNewSuggested) {
    asked = false;
    const batch = await db.takeBatch({ new_first: failed });
    setCurrentDetails(batch === null ? 'nobody waits' : `creating ${batch.size} wallets: ${batch.batch_id}`);
    if (batch === null) {
      await condition(() => asked);
      continue;
    }
    if (hopeless.has(batch.batch_id) && paused !== batch.batch_id) {
      // Nobody else waits. Who comes meanwhile goes first.
      paused = batch.batch_id;
      await condition(() => asked, PAUSE_AFTER_FAILURE, { summary: 'something outside has to change first' });
      continue;
    }
    paused = null;
    const failure = await create(batch.batch_id);
    failed = failure !== null;
    if (failure === null) await wakeProvisioned({ batch_id: batch.batch_id });
    else if (batch.size > 1) await db.splitBatch({ batch_id: batch.batch_id });
    else {
      const behind = await db.provisioningNeedsAttention({ batch_id: batch.batch_id, ...failure });
      hopeless.add(behind.batch_id);
    }
  }
  await continueAsNew<typeof provisioner>(input);

  /** @returns why the batch was not created, or null when it is there */
  async function create(batchId: string): Promise<{ reason: string; detail: string } | null> {
    await createWalletKeys({ batch_id: batchId });
    await setBirthCursors({ batch_id: batchId });
    try {
      const outcome = await executeOnChain({
        intent: { kind: 'PROVISION_WALLETS', batchId },
        step: `provision/${batchId}`,
        operation_id: null,
        priority: PRIORITY,
        task_queue_prefix: input.task_queue_prefix,
      });
      return outcome.status === 'DEAD' ? { reason: outcome.reason, detail: outcome.detail } : null;
    } catch (error) {
      // An envelope that was rejected was not signed: nothing of it can land.
      const refusal = asRefusal(error);
      if (refusal === null) throw error;
      return { reason: refusal.type ?? 'INTERNAL_ERROR', detail: refusal.message };
    }
  }
}

function activitiesOf(prefix: string) {
  const retry = { initialInterval: '500ms', maximumInterval: '20s' } as const;
  const db = localSteps<WalletActivities>({ startToCloseTimeout: '10s', retry });
  const { setBirthCursors } = proxyActivities<WalletActivities>({
    taskQueue: `${prefix}chain`,
    summary: 'where the streams begin',
    startToCloseTimeout: '20s',
    retry,
  });
  const { createWalletKeys } = proxyActivities<KeyActivities>({
    taskQueue: `${prefix}signing`,
    summary: 'make and seal the keys',
    startToCloseTimeout: '20s',
    retry,
  });
  const { wakeProvisioned } = proxyActivities<WalletActivities>({
    taskQueue: `${prefix}orders`,
    summary: 'wake wallets and orders',
    startToCloseTimeout: '20s',
    retry,
  });
  return { db, createWalletKeys, setBirthCursors, wakeProvisioned };
}
