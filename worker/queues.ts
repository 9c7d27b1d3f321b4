/** Which activities a task queue serves, and how many at once. */
import {
  createChainActivities,
  createEscrowApiActivities,
  createOrderActivities,
  createSigningActivities,
} from '../activities/index.ts';
import type { Deps } from '../activities/context.ts';
import { createPaymentActivities } from '../activities/payments/index.ts';
import { createKeyActivities } from '../activities/signing/keys.ts';
import { createWalletActivities } from '../activities/wallets/index.ts';
import type { TaskQueue } from '../domain/workflow-ids.ts';

export interface QueueSettings {
  readonly activities: object;
  /** activities at once: small ones share the database pool, streams only wait */
  readonly concurrency: number;
  /** how long running activities may go on after SIGTERM; streams end at once, their cursors are stored */
  readonly graceMs: number;
}

const SHORT_GRACE_MS = 5_000;

/** Null: nothing to do on this queue yet. */
export function queueSettings(queue: TaskQueue, deps: Deps): QueueSettings | null {
  const short = (activities: object, concurrency: number): QueueSettings => ({
    activities,
    concurrency,
    graceMs: SHORT_GRACE_MS,
  });
  switch (queue) {
    case 'orders':
      return short({ ...createOrderActivities(deps), ...createWalletActivities(deps) }, 50);
    case 'chain': {
      const { setBirthCursors, readTrustlines } = createWalletActivities(deps);
      return short({ ...createChainActivities(deps), setBirthCursors, readTrustlines }, 50);
    }
    case 'escrow-api':
      return short(createEscrowApiActivities(deps), 20);
    case 'signing':
      return short({ ...createSigningActivities(deps), ...createKeyActivities(deps) }, 10);
    case 'payments':
      return { activities: createPaymentActivities(deps), concurrency: 5_000, graceMs: 0 };
    case 'webhooks':
      return null;
  }
}
