/**
 * What must happen on chain, as plain JSON: it is an argument of workflows and activities and is stored with every
 * transaction. Amounts and addresses are resolved from our rows when the envelope is prepared, never taken from here.
 */
export type Intent =
  | { readonly kind: 'DEPLOY_ESCROW'; readonly orderId: string }
  | { readonly kind: 'FUND_ESCROW'; readonly orderId: string }
  | { readonly kind: 'DELIVER'; readonly orderId: string; readonly evidence: string }
  | { readonly kind: 'APPROVE'; readonly orderId: string; readonly milestoneIndex: number }
  | { readonly kind: 'RELEASE'; readonly orderId: string; readonly milestoneIndex: number | null }
  | { readonly kind: 'PROVISION_WALLETS'; readonly batchId: string };

export type IntentKind = Intent['kind'];
