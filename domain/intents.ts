/** What a seller hands over as proof of the work. */
export interface Evidence {
  readonly type: string;
  readonly value: string;
  readonly note: string | null;
}

/** A withdrawal or an adjustment. */
export interface PaymentRef {
  readonly type: 'withdrawal' | 'adjustment';
  readonly id: string;
}

/**
 * What must happen on chain, as plain JSON: it is an argument of workflows and activities and is stored with every
 * transaction. Amounts and addresses are resolved from our rows when the envelope is prepared, never taken from here.
 */
export type Intent =
  | { readonly kind: 'DEPLOY_ESCROW'; readonly orderId: string }
  | { readonly kind: 'FUND_ESCROW'; readonly orderId: string }
  /** delivery of the work, or completion of a milestone; the evidence is with the operation on the order's row */
  | { readonly kind: 'DELIVER'; readonly orderId: string; readonly milestoneIndex: number | null }
  | { readonly kind: 'APPROVE'; readonly orderId: string; readonly milestoneIndex: number | null }
  | { readonly kind: 'RELEASE'; readonly orderId: string; readonly milestoneIndex: number | null }
  | { readonly kind: 'OPEN_DISPUTE'; readonly orderId: string; readonly milestoneIndex: number | null }
  | {
      readonly kind: 'RESOLVE_DISPUTE';
      readonly orderId: string;
      readonly milestoneIndex: number | null;
      /** weights as whole decimal numbers; a refund is `{ seller: '0', buyer: '1' }` */
      readonly shares: { readonly seller: string; readonly buyer: string };
      /** what there is to share, stroops, as the preparation found it on the contract; set there */
      readonly base?: string;
    }
  /** what is left when the order is over, to the address that two persons agreed on */
  | { readonly kind: 'WITHDRAW_SURPLUS'; readonly orderId: string; readonly approvalId: string }
  | { readonly kind: 'PAY'; readonly payment: PaymentRef }
  | { readonly kind: 'PROVISION_WALLETS'; readonly batchId: string }
  /** `assets` are codes: those whose trustline is missing, and those whose trustline is there */
  | { readonly kind: 'ADD_TRUSTLINES'; readonly walletId: string; readonly assets: readonly string[] }
  | { readonly kind: 'CLOSE_WALLET'; readonly walletId: string; readonly assets: readonly string[] };

/** Calls on an escrow contract; the others are classic transactions that we build ourselves. */
export type EscrowIntent = Extract<Intent, { readonly orderId: string }>;

/** What changes a wallet on chain without moving money. */
export type WalletCareIntent = Extract<Intent, { readonly walletId: string }>;

/** In words, for the operator who looks at the workflow's history. */
export function intentSummary(intent: Intent): string {
  switch (intent.kind) {
    case 'DEPLOY_ESCROW':
      return 'deploy the escrow contract';
    case 'FUND_ESCROW':
      return 'fund the escrow';
    case 'DELIVER':
      return `mark ${partWords(intent.milestoneIndex, 'the work')} as completed`;
    case 'APPROVE':
      return `approve ${partWords(intent.milestoneIndex, 'the work')}`;
    case 'RELEASE':
      return `release ${partWords(intent.milestoneIndex, 'the escrow')} to the seller`;
    case 'OPEN_DISPUTE':
      return `open the dispute about ${partWords(intent.milestoneIndex, 'the escrow')} on chain`;
    case 'RESOLVE_DISPUTE':
      return `share out ${partWords(intent.milestoneIndex, 'the escrow')} between the parties`;
    case 'WITHDRAW_SURPLUS':
      return 'pay out what is left in the escrow';
    case 'PAY':
      return `pay the ${intent.payment.type}`;
    case 'PROVISION_WALLETS':
      return `create wallets of ${intent.batchId}`;
    case 'ADD_TRUSTLINES':
      return `give ${intent.walletId} its trustlines`;
    case 'CLOSE_WALLET':
      return `close ${intent.walletId}`;
  }
}

/** Milestones are counted from one, as people do. */
const partWords = (index: number | null, whole: string): string => (index === null ? whole : `milestone ${index + 1}`);

/**
 * Escrow envelopes usually come from the REST gateway, whose rate limit its task queue keeps; classic ones, and what its API
 * has no route for, we build ourselves. Both queues serve the activity, so that orders in flight survive a change of the
 * gateway.
 */
export function prepareQueue(intent: Intent): 'escrow-api' | 'chain' {
  return 'orderId' in intent && intent.kind !== 'WITHDRAW_SURPLUS' ? 'escrow-api' : 'chain';
}
