/** Short database work and signals of wallets, the provisioner and reconcile: the `orders` queue. */
import type { Deps } from '../context.ts';
import { createFollowActivities } from './follow.ts';
import { createProvisioningActivities } from './provisioning.ts';
import { createReconcileActivities } from './reconcile.ts';
import { createUserActivities } from './users.ts';

export function createWalletActivities(deps: Deps) {
  return {
    ...createUserActivities(deps),
    ...createFollowActivities(deps),
    ...createProvisioningActivities(deps),
    ...createReconcileActivities(deps),
  };
}

export type WalletActivities = ReturnType<typeof createWalletActivities>;
