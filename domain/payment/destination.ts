/** Whether an account can be paid, from what the chain says about it. Pure; amounts in stroops. */

export interface DestinationView {
  readonly exists: boolean;
  /** for the asset that is paid */
  readonly line: { readonly balance: bigint; readonly limit: bigint; readonly authorized: boolean } | null;
  /** SEP-29: it asks to be paid with a memo only, because many share the account */
  readonly memoRequired: boolean;
}

/**
 * Why the payment would fail, or would get lost there; null when nothing speaks against it.
 * @param payment `named`: a memo or a muxed address tells for whom of those who share the account it is
 */
export function whyUnpayable(
  view: DestinationView,
  payment: { readonly amount: bigint; readonly asset: string; readonly named: boolean },
): string | null {
  const { line } = view;
  if (!view.exists) return 'the account does not exist';
  if (line === null) return `the account has no trustline for ${payment.asset}`;
  if (!line.authorized) return `the issuer does not let the account hold ${payment.asset}`;
  if (line.limit - line.balance < payment.amount) return `the account's limit for ${payment.asset} leaves no room`;
  if (view.memoRequired && !payment.named) return 'the account takes payments with a memo only';
  return null;
}
