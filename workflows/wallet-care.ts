/** What is done to a wallet on chain besides following it: closing it, and giving back trustlines that it lacks. */
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { WalletActivities } from '../activities/wallets/index.ts';
import type { WalletCareIntent } from '../domain/intents.ts';
import { type ChainOutcome, executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type { WalletClosed, WalletInput } from './messages.ts';
import { localSteps } from './worded.ts';

/** Orders wait for a trustline: before deploys, behind payouts. */
const PRIORITY = 3;

interface WalletCare {
  /** Who asks while one runs gets its outcome. @throws ApplicationFailure INVALID_STATE, TRANSACTION_FAILED: it stays open */
  close(): Promise<WalletClosed>;
  /** Adds the trustlines that are missing; one that cannot be added becomes an attention item. Never throws a refusal. */
  repair(): Promise<void>;
}

export function walletCare({ wallet_id, task_queue_prefix }: WalletInput): WalletCare {
  const retry = { initialInterval: '500ms', maximumInterval: '20s' } as const;
  const db = localSteps<WalletActivities>({ startToCloseTimeout: '10s', retry });
  const { readTrustlines } = proxyActivities<WalletActivities>({
    taskQueue: `${task_queue_prefix}chain`,
    summary: 'read the trustlines',
    startToCloseTimeout: '10s',
    retry,
  });
  let closing: Promise<WalletClosed> | null = null;
  let repairing = false;

  const onChain = (intent: WalletCareIntent, step: string) =>
    executeOnChain({ intent, step, operation_id: null, priority: PRIORITY, task_queue_prefix });

  async function closeOnce(): Promise<WalletClosed> {
    if ((await db.beginClosing({ wallet_id })) === 'CLOSED') return { wallet_id, transaction_hash: null };
    const outcome = await settled(async () => {
      const { present } = await readTrustlines({ wallet_id });
      return onChain({ kind: 'CLOSE_WALLET', walletId: wallet_id, assets: present }, 'close');
    });
    if (outcome.status === 'LANDED') return { wallet_id, transaction_hash: outcome.transaction_hash };
    await db.abandonClosing({ wallet_id });
    throw ApplicationFailure.nonRetryable(
      `wallet ${wallet_id} stays open, money may have come meanwhile: ${outcome.detail}`,
      'TRANSACTION_FAILED',
    );
  }

  return {
    close: async () => {
      closing ??= closeOnce();
      try {
        return await closing;
      } finally {
        closing = null;
      }
    },

    repair: async () => {
      if (repairing) return;
      repairing = true;
      try {
        const { missing, repairs, unfinished } = await readTrustlines({ wallet_id });
        const outcome =
          missing.length === 0 && !unfinished
            ? null
            : await settled(() =>
                onChain({ kind: 'ADD_TRUSTLINES', walletId: wallet_id, assets: missing }, `trustlines/${repairs}`),
              );
        await db.trustlinesRepaired({ wallet_id, failure: outcome?.status === 'DEAD' ? outcome.detail : null });
      } finally {
        repairing = false;
      }
    },
  };
}

type Settled = Pick<Extract<ChainOutcome, { status: 'LANDED' }>, 'status' | 'transaction_hash'> | Dead;
type Dead = Pick<Extract<ChainOutcome, { status: 'DEAD' }>, 'status' | 'detail'>;

/** A refusal comes before anything was signed: as dead as what was proved dead. */
async function settled(work: () => Promise<ChainOutcome>): Promise<Settled> {
  try {
    return await work();
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal === null) throw error;
    return { status: 'DEAD', detail: refusal.message };
  }
}
