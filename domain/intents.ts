/** What a seller hands over as proof of the work. */
export interface Evidence {
  readonly type: string;
  readonly value: string;
  readonly note: string | null;
}

/**
 * What must happen on chain, as plain JSON: it is an argument of workflows and activities and is stored with every
 * transaction. Amounts and addresses are resolved from our rows when the envelope is prepared, never taken from here.
 */
export type Intent =
  | { readonly kind: 'DEPLOY_ESCROW'; readonly orderId: string }
  | { readonly kind: 'FUND_ESCROW'; readonly orderId: string }
  | { readonly kind: 'DELIVER'; readonly orderId: string; readonly evidence: readonly Evidence[] }
  | { readonly kind: 'APPROVE'; readonly orderId: string; readonly milestoneIndex: number }
  | { readonly kind: 'RELEASE'; readonly orderId: string; readonly milestoneIndex: number | null }
  | { readonly kind: 'PROVISION_WALLETS'; readonly batchId: string };

/** Calls on an escrow contract; the others are classic transactions that we build ourselves. */
export type EscrowIntent = Extract<Intent, { readonly orderId: string }>;

export type IntentKind = Intent['kind'];

/** In words, for the operator who looks at the workflow's history. */
export function intentSummary(intent: Intent): string {
  switch (intent.kind) {
    case 'DEPLOY_ESCROW':
      return 'deploy the escrow contract';
    case 'FUND_ESCROW':
      return 'fund the escrow';
    case 'DELIVER':
      return 'mark the work as delivered';
    case 'APPROVE':
      return 'approve the work';
    case 'RELEASE':
      return 'release the escrow to the seller';
    case 'PROVISION_WALLETS':
      return `create wallets of ${intent.batchId}`;
  }
}

/** Escrow envelopes come from the REST gateway, whose rate limit its task queue keeps; classic ones we build ourselves. */
export function prepareQueue(intent: Intent): 'escrow-api' | 'chain' {
  return 'orderId' in intent ? 'escrow-api' : 'chain';
}
