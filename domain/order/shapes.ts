/** Shapes stored on the order's rows that several layers share. */
import type { Evidence } from '../intents.ts';
import type {
  MilestoneStatus,
  OperationCause,
  OperationStatus,
  OrderStatus,
  OrderVerb,
  WaitingFor,
} from '../statuses.ts';
import type { Repair } from '../repairs.ts';
import type { Due } from './deadlines.ts';

/** A problem (RFC 9457) as it is stored with an operation that failed. */
export interface StoredProblem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly request_id: string | null;
  readonly retryable: boolean;
  readonly errors: readonly { readonly pointer: string; readonly code: string; readonly detail: string }[];
}

/** `operation` of a resource, exactly as the API shows it. */
export interface OperationView {
  readonly id: string;
  readonly verb: OrderVerb;
  readonly cause: OperationCause;
  readonly status: OperationStatus;
  readonly step: string | null;
  readonly transaction_hash: string | null;
  readonly error: StoredProblem | null;
  readonly request_id: string | null;
  readonly started_at: string;
  readonly finished_at: string | null;
}

export interface WalletRef {
  readonly wallet_id: string;
  readonly address: string;
}

/** Which wallet plays which role on an escrow (the role table of the design). */
export interface EscrowWallets {
  readonly approver: WalletRef;
  readonly service_provider: WalletRef;
  readonly receiver: WalletRef;
  /** by milestone; absent for an order without */
  readonly receivers?: readonly WalletRef[];
  readonly platform: WalletRef;
  readonly release_signer: WalletRef;
  readonly dispute_resolver: WalletRef;
  readonly deploy_signer: WalletRef;
  readonly funder: WalletRef;
}

/** What an operation was asked for besides its verb: kept with it, so that a workflow started from the row goes on with it. */
export interface OperationTask {
  /** the parts it is about: milestone indexes, or the one part of an order without; empty for verbs about no part */
  readonly parts: readonly (number | null)[];
  readonly evidence: readonly Evidence[];
}

/** A part that the running operation is about. */
export interface OperationTarget {
  /** milestone index; null: the order has none */
  readonly index: number | null;
  /** its approval is on chain: it is not sent again (F4) */
  readonly approved: boolean;
  /** two persons decided that its seller's money goes to another address: only a resolution can do that */
  readonly diverted?: true;
}

/** What the order workflow knows about its row: the machine's view and the next timer. Small: it is in every history. */
export interface OrderState {
  readonly status: OrderStatus;
  readonly auto: boolean;
  readonly parts: readonly MilestoneStatus[];
  readonly hasMilestones: boolean;
  readonly waiting_for: WaitingFor | null;
  readonly operation: {
    readonly id: string;
    readonly verb: OrderVerb;
    readonly status: OperationStatus;
    readonly targets: readonly OperationTarget[];
    /** of a parked one: what may be done about it; histories from before do not have it */
    readonly repairs?: readonly Repair[];
  } | null;
  /** just closed, and its contract still holds something */
  readonly surplus?: true;
  /** of its escrow, once it is known */
  readonly contract_id?: string;
  /** the next timer of its own; a dispute's belongs to the dispute */
  readonly due: Due | null;
  /** how far the marketplace's test clock is ahead; 0 without one */
  readonly clock_offset_ms: number;
  /** when the row was read, in seconds by the database's clock: of two states the later one counts, in whatever order
   * they arrive. Absent in histories of before. */
  readonly as_of?: number;
}
