/** Short database work of withdrawals and adjustments: the `orders` queue. */
import type { Deps } from '../context.ts';
import { createPaymentOperations } from './operation.ts';
import { createPaymentVerbs } from './verbs.ts';

export const createPaymentRowActivities = (deps: Deps) => ({
  ...createPaymentVerbs(deps),
  ...createPaymentOperations(deps),
});

export type PaymentRowActivities = ReturnType<typeof createPaymentRowActivities>;
