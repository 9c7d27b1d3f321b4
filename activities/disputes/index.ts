/** Short database work of disputes: the `orders` queue. */
import type { Deps } from '../context.ts';
import { createDisputeOpening } from './opening.ts';
import { createDisputeParking } from './parking.ts';
import { createDisputeResolution } from './resolution.ts';
import { createDisputeVerbs } from './verbs.ts';

export const createDisputeActivities = (deps: Deps) => ({
  ...createDisputeOpening(deps),
  ...createDisputeVerbs(deps),
  ...createDisputeResolution(deps),
  ...createDisputeParking(deps),
});

export type DisputeActivities = ReturnType<typeof createDisputeActivities>;
