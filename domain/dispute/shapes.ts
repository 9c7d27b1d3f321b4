/** Shapes stored on the dispute's row that several layers share. */
import type { OperationView } from '../order/shapes.ts';
import type { Repair } from '../repairs.ts';
import type { DisputeDecision, DisputeStatus, DisputeVerb, OperationStatus } from '../statuses.ts';

/** Before fees, stroops as decimal integers; they sum to the part's amount. */
export interface PartShares {
  readonly seller: string;
  readonly buyer: string;
}

/** The shares of one part, as a decision states them. */
export interface SharesOfPart extends PartShares {
  /** milestone index; null: the order has none */
  readonly index: number | null;
}

/** A part of the order that is in dispute, and how far the decision about it has come on chain. */
export interface DisputedPart {
  /** milestone index; null: the order has none */
  readonly index: number | null;
  readonly ref: string | null;
  readonly seller_id: string;
  /** stroops, decimal integer */
  readonly amount: string;
  /** who gets what; null before a decision */
  readonly shares: PartShares | null;
  /** its approval is on chain: it is not sent again (F4) */
  readonly approved: boolean;
  /** the dispute is open on chain: it can only be shared out */
  readonly opened: boolean;
  readonly outcome: 'RELEASED' | 'REFUNDED' | 'SPLIT' | null;
  /** of the payout */
  readonly transaction_hash: string | null;
}

export type DisputeOperation = Omit<OperationView, 'verb'> & { readonly verb: DisputeVerb };

/** What the dispute's workflow knows of its row. */
export interface DisputeState {
  readonly order_id: string;
  readonly status: DisputeStatus;
  readonly decision: DisputeDecision | null;
  /** `diverted`: two persons decided that its seller's money goes to another address */
  readonly parts: readonly (DisputedPart & { readonly diverted?: true })[];
  readonly operation: {
    readonly id: string;
    readonly verb: DisputeVerb;
    readonly status: OperationStatus;
    /** of a parked one: what may be done about it */
    readonly repairs?: readonly Repair[];
  } | null;
  /** ISO; null: no deadline */
  readonly due_at: string | null;
  /** how far the marketplace's test clock is ahead; 0 without one */
  readonly clock_offset_ms: number;
}
