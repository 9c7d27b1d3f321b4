/** Shapes stored on the order's rows that several layers share. */
import type { DueAction, OperationCause, OperationStatus, OrderStatus, OrderVerb, WaitingFor } from '../statuses.ts';

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
  readonly platform: WalletRef;
  readonly release_signer: WalletRef;
  readonly dispute_resolver: WalletRef;
  readonly deploy_signer: WalletRef;
  readonly funder: WalletRef;
}

/** What the order workflow knows about its row: the machine's view and the next timer. Small: it is in every history. */
export interface OrderState {
  readonly status: OrderStatus;
  readonly auto: boolean;
  readonly delivered: boolean;
  readonly approved: boolean;
  readonly waiting_for: WaitingFor | null;
  readonly operation: { readonly id: string; readonly verb: OrderVerb; readonly status: OperationStatus } | null;
  readonly due: { readonly action: DueAction; readonly at: string } | null;
}
