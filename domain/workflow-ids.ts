/** Ids of workflows and names of task queues: one writer per row follows from one workflow per id. */

export const orderWorkflowId = (orderId: string): string => `order/${orderId}`;
export const disputeWorkflowId = (disputeId: string): string => `dispute/${disputeId}`;
/** `withdrawal/{id}` and `adjustment/{id}` */
export const paymentWorkflowId = (payment: { readonly type: string; readonly id: string }): string =>
  `${payment.type}/${payment.id}`;
/** one per contract that holds something when its order is over */
export const surplusWorkflowId = (escrowId: string): string => `surplus/${escrowId}`;
export const walletWorkflowId = (walletId: string): string => `wallet/${walletId}`;
export const provisionerWorkflowId = (network: string): string => `provisioner/${network}`;
export const chainReaderWorkflowId = (network: string): string => `chain-reader/${network}`;
export const reconcileWorkflowId = (network: string): string => `reconcile/${network}`;

export const TASK_QUEUES = ['orders', 'escrow-api', 'chain', 'signing', 'payments', 'webhooks'] as const;
export type TaskQueue = (typeof TASK_QUEUES)[number];
