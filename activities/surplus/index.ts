import type { Deps } from '../context.ts';
import { createSurplusLook } from './look.ts';
import { createSurplusPayout } from './payout.ts';
import { wakeSurplus } from './wake.ts';

/** Queue `orders`: what is left in the contracts of orders that are over. */
export const createSurplusActivities = (deps: Deps) => ({
  ...createSurplusLook(deps),
  ...createSurplusPayout(deps),
  /** An order is over and its contract still holds something: its surplus takes over. */
  startSurplus: ({ order_id }: { order_id: string }): Promise<void> => wakeSurplus(deps, order_id),
});

export type SurplusActivities = ReturnType<typeof createSurplusActivities>;
