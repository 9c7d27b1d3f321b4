/** Lives that are worth keeping, by name of their file. Those that move the chain's clock come last. */
import { chainReaderWorkflowId, provisionerWorkflowId, reconcileWorkflowId } from '../../domain/workflow-ids.ts';
import { DISPUTES } from './disputes.ts';
import { LATE_ORDERS, ORDERS } from './orders.ts';
import { LATE_PAYMENTS, PAYMENTS } from './payments.ts';
import type { Scenarios } from './scene.ts';
import { SURPLUSES } from './surpluses.ts';

export const SCENARIOS: Scenarios = {
  ...ORDERS,
  ...DISPUTES,
  ...PAYMENTS,
  ...SURPLUSES,
  provisioner: ({ network }) => Promise.resolve(provisionerWorkflowId(network)),
  'chain-reader': ({ network }) => Promise.resolve(chainReaderWorkflowId(network)),
  reconcile: ({ network }) => Promise.resolve(reconcileWorkflowId(network)),
  ...LATE_ORDERS,
  ...LATE_PAYMENTS,
};
