/** Shapes stored on the row of a withdrawal or an adjustment that several layers share. */
import type { OperationView } from '../order/shapes.ts';
import type { MemoType, OperationStatus, PaymentStatus, PaymentVerb } from '../statuses.ts';

/** Memo of the payment's transaction: TEXT at most 28 bytes, ID an unsigned 64-bit number, HASH and RETURN 64 hex digits. */
export interface Memo {
  readonly type: MemoType;
  readonly value: string;
}

/** Where a withdrawal goes, as its caller named it. */
export interface Destination {
  /** G… or M… */
  readonly address: string;
  /** the account that is credited: G… */
  readonly account: string;
  readonly memo: Memo | null;
}

/** Whose money it is, before and after: one side of the booking. Wallets are ours and custodial. */
export type PaymentParty =
  | { readonly kind: 'USER'; readonly userId: string; readonly walletId: string }
  /** the marketplace's fee wallet: its earned fees, or its own money */
  | { readonly kind: 'FEES' | 'EQUITY'; readonly walletId: string }
  | { readonly kind: 'EXTERNAL' };

export type PaymentOperation = Omit<OperationView, 'verb'> & { readonly verb: PaymentVerb };

/** What the payment's workflow knows of its row. */
export interface PaymentState {
  readonly status: PaymentStatus;
  readonly operation: { readonly id: string; readonly verb: PaymentVerb; readonly status: OperationStatus };
}
