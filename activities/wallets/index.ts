/** Short database work and signals of wallets, the provisioner and reconcile: the `orders` queue. */
import type { Deps } from '../context.ts';
import { createClosingActivities } from './closing.ts';
import { createFollowActivities } from './follow.ts';
import { createProvisioningActivities } from './provisioning.ts';
import { createReconcileActivities } from './reconcile.ts';
import { createTrustlineActivities } from './trustlines.ts';
import { createUserActivities } from './users.ts';

export function createWalletActivities(deps: Deps) {
  return {
    ...createUserActivities(deps),
    ...createFollowActivities(deps),
    ...createProvisioningActivities(deps),
    ...createReconcileActivities(deps),
    ...createClosingActivities(deps),
    ...createTrustlineActivities(deps),
  };
}

export type WalletActivities = ReturnType<typeof createWalletActivities>;
