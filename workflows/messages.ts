/**
 * Names and shapes of every message: imported by the workflows, by the API's client façade, by activities and by tests.
 * No I/O imports here. Amounts are decimal strings; times ISO.
 */
import { defineSignal, defineUpdate } from '@temporalio/workflow';
import type { SharesOfPart } from '../domain/dispute/shapes.ts';
import type { DeadlineTerms } from '../domain/order/deadlines.ts';
import type { Destination } from '../domain/payment/shapes.ts';
import type {
  AdjustmentDirection,
  DisputeDecision,
  DisputeReason,
  EvidenceType,
  PartyName,
  PaymentKind,
  PaymentProviderName,
} from '../domain/statuses.ts';
import type { Evidence, PaymentRef } from '../domain/intents.ts';

/** Who asked, and under which request id everything that follows is found again. */
export interface Origin {
  readonly request_id: string | null;
  /** id of the API key; null for timers and `auto` */
  readonly actor: string | null;
}

/** What every order workflow starts with; `resume` starts it from its row, in mid-life. */
export interface OrderInput {
  readonly order_id: string;
  readonly task_queue_prefix: string;
  readonly resume?: boolean;
}

export interface CreateOrder extends Origin {
  readonly order_id: string;
  readonly marketplace_id: string;
  readonly client_order_ref: string | null;
  readonly body_hash: string;
  readonly buyer_id: string;
  readonly seller_id: string;
  readonly amount: string;
  readonly asset: string;
  readonly title: string;
  readonly description: string | null;
  readonly platform_fee_bps: number;
  readonly auto: boolean;
  readonly deadlines: DeadlineTerms;
  readonly metadata: Record<string, string>;
  /** in the order of their index; absent for an order without */
  readonly milestones?: readonly {
    readonly milestone_ref: string;
    readonly title: string;
    readonly amount: string;
    readonly seller_id: string;
  }[];
}

/** A verb on an order. `operation_id` is chosen by the caller so that it can look for it on the row. */
export interface VerbRequest extends Origin {
  readonly operation_id: string;
  readonly reason: string | null;
}

/** A verb about parts of an order: milestones by their references, or all that can take it. */
export interface PartsRequest extends VerbRequest {
  readonly milestone_refs?: readonly string[] | null;
}

export interface DeliverRequest extends PartsRequest {
  readonly evidence: readonly Evidence[];
}

/** Opens a dispute about parts of an order; `dispute.id` is allotted by the caller. */
export interface OpenDispute extends PartsRequest {
  readonly dispute: {
    readonly id: string;
    readonly opened_by: PartyName;
    readonly reason: DisputeReason;
    readonly description: string | null;
    readonly evidence: readonly { readonly type: EvidenceType; readonly value: string; readonly note: string | null }[];
  };
}

export interface ExtendRequest extends VerbRequest {
  readonly deadline: string;
  readonly due_at: string;
}

/** The answer of every update on an order: the caller reads the row for the rest. */
export interface OrderAnswer {
  readonly order_id: string;
  readonly status: string;
}

export const createOrderUpdate = defineUpdate<OrderAnswer, [CreateOrder]>('create');
export const reserveUpdate = defineUpdate<OrderAnswer, [VerbRequest]>('reserve');
export const cancelUpdate = defineUpdate<OrderAnswer, [VerbRequest]>('cancel');
export const escrowUpdate = defineUpdate<OrderAnswer, [VerbRequest]>('escrow');
export const fundUpdate = defineUpdate<OrderAnswer, [VerbRequest]>('fund');
export const deliverUpdate = defineUpdate<OrderAnswer, [DeliverRequest]>('deliver');
export const completeMilestoneUpdate = defineUpdate<OrderAnswer, [DeliverRequest]>('complete_milestone');
export const releaseMilestoneUpdate = defineUpdate<OrderAnswer, [PartsRequest]>('release_milestone');
export const releaseUpdate = defineUpdate<OrderAnswer, [PartsRequest]>('release');
export const refundUpdate = defineUpdate<OrderAnswer, [PartsRequest]>('refund');
export const disputeUpdate = defineUpdate<OrderAnswer, [OpenDispute]>('dispute');
export const extendUpdate = defineUpdate<OrderAnswer, [ExtendRequest]>('extend');

/** A deposit was booked for the buyer, or a wallet the order waits for became ready: look again. */
export const orderWakeSignal = defineSignal<[{ readonly cause: 'DEPOSIT' | 'WALLET' | 'RESUME' }]>('wake');
/** The marketplace's test clock went on: deadlines may be over now. */
export const clockAdvancedSignal = defineSignal<[{ readonly offset_ms: number }]>('clock_advanced');
/** Money moved on the order's contract in a transaction that is not ours. */
export const foreignTransactionSignal = defineSignal<[{ readonly transaction_hash: string }]>('foreign_transaction');

/** A dispute of the order is over: take over what became of it. */
export const disputeSettledSignal = defineSignal<[{ readonly dispute_id: string }]>('dispute_settled');

/** What the workflow of a dispute starts with: its row exists. */
export interface DisputeInput {
  readonly dispute_id: string;
  readonly task_queue_prefix: string;
}

/** A verb on a dispute. `operation_id` is chosen by the caller so that it can look for it on the row. */
export interface DisputeVerbRequest extends Origin {
  readonly dispute_id: string;
  readonly operation_id: string;
}
export interface AssignDispute extends DisputeVerbRequest {
  readonly assigned_to: string;
}
export interface WithdrawDispute extends DisputeVerbRequest {
  readonly by: PartyName;
}
export interface ResolveDispute extends DisputeVerbRequest {
  readonly decision: DisputeDecision;
  /** of each part in dispute */
  readonly shares: readonly SharesOfPart[];
  readonly note: string | null;
  readonly resolved_by: string;
}

/** The answer of every update on a dispute: the caller reads the row for the rest. */
export interface DisputeAnswer {
  readonly dispute_id: string;
  readonly status: string;
}
export const assignDisputeUpdate = defineUpdate<DisputeAnswer, [AssignDispute]>('assign');
export const withdrawDisputeUpdate = defineUpdate<DisputeAnswer, [WithdrawDispute]>('withdraw');
export const resolveDisputeUpdate = defineUpdate<DisputeAnswer, [ResolveDispute]>('resolve');

/** What the workflow of a surplus starts with: its row exists. */
export interface SurplusInput {
  readonly escrow_id: string;
  readonly task_queue_prefix: string;
}

/** The row of a dispute, payment or surplus may have moved without its workflow, or its marketplace goes on: look again. */
export const rowWakeSignal = defineSignal<[]>('wake');

export interface WalletInput {
  readonly wallet_id: string;
  readonly network: string;
  readonly task_queue_prefix: string;
  /** false: this deployment's wallets are not followed */
  readonly follow: boolean;
  readonly source: 'shared' | 'stream';
  readonly resume?: boolean;
}

export interface CreateUser extends Origin {
  readonly user_id: string;
  readonly wallet_id: string;
  readonly marketplace_id: string;
  readonly external_user_id: string;
  readonly email: string | null;
  readonly metadata: Record<string, string>;
  /** how the wallet begins, as its provider said; absent: we make it, keys included */
  readonly wallet?: {
    readonly provider: PaymentProviderName;
    readonly status: 'PROVISIONING' | 'READY';
    readonly address: string | null;
  };
}

export interface UserAnswer {
  readonly user_id: string;
  /** false: a user with this external id existed and the given fields are equal */
  readonly created: boolean;
}

export const createUserUpdate = defineUpdate<UserAnswer, [CreateUser]>('create_user');
/** PATCH /users/:id and suspend, activate: changes of a user after creation. */
export interface ChangeUser extends Origin {
  readonly email?: string | null;
  readonly metadata?: Record<string, string>;
  readonly status?: 'ACTIVE' | 'SUSPENDED';
}
export const changeUserUpdate = defineUpdate<UserAnswer, [ChangeUser]>('change_user');
/** Ends the wallet: its reserves go back to the sponsor. */
export const closeWalletUpdate = defineUpdate<WalletClosed, [Origin]>('close');
export interface WalletClosed {
  readonly wallet_id: string;
  /** null when it was closed before */
  readonly transaction_hash: string | null;
}
/** A trustline of this wallet is missing: look, and give it back. */
export const repairTrustlinesSignal = defineSignal<[]>('repair_trustlines');
/** Something for this wallet was seen while it slept, or its provisioning settled. */
export const walletWakeSignal = defineSignal<[]>('wake');

export interface ProvisionerInput {
  readonly network: string;
  readonly task_queue_prefix: string;
}
/** Wallets wait to be provisioned. */
export const provisionSignal = defineSignal<[]>('provision');

export interface ChainReaderInput {
  readonly network: string;
  readonly task_queue_prefix: string;
}

/** Repair of a parked step. */
export interface RepairRequest extends Origin {
  readonly reason: string | null;
  /** of `adopt`: 64 hex digits */
  readonly transaction_hash?: string;
  /** of `payout_to`: what two persons decided is on its row, and checked there before anything moves */
  readonly approval_id?: string;
}
/**
 * On every workflow that can park; each resolves when the row shows it. `retry`: try it again, the only one that the Temporal
 * UI may send. `adopt`: it was done, by this transaction. `give_up`: nothing was signed, as if it were dead. `payout_to`:
 * somebody else is paid.
 */
export const repairUpdates = {
  retry: defineUpdate<void, [RepairRequest]>('retry'),
  adopt: defineUpdate<void, [RepairRequest]>('adopt'),
  give_up: defineUpdate<void, [RepairRequest]>('give_up'),
  payout_to: defineUpdate<void, [RepairRequest]>('payout_to'),
} as const;

/** What the workflow of a withdrawal or an adjustment starts with; `resume` starts it from its row, in mid-life. */
export interface PaymentInput {
  readonly payment: PaymentRef;
  readonly task_queue_prefix: string;
  readonly resume?: boolean;
}

/**
 * A verb on a payment. `operation_id` is chosen by the caller so that it can look for it on the row; `key_id` and `person`
 * are those of the API key: the second person is another one's key.
 */
export interface PaymentVerbRequest extends Origin {
  readonly payment_id: string;
  readonly operation_id: string;
  readonly reason: string | null;
  readonly key_id: string;
  readonly person: string | null;
}

export interface CreatePayment extends PaymentVerbRequest {
  readonly kind: PaymentKind;
  readonly marketplace_id: string;
  /** null: out of the marketplace's earned fees */
  readonly user_id: string | null;
  /** of an adjustment */
  readonly direction: AdjustmentDirection | null;
  readonly amount: string;
  readonly asset: string;
  /** of a withdrawal */
  readonly destination: Destination | null;
  readonly client_ref: string | null;
  readonly body_hash: string;
  readonly reference: string | null;
  readonly metadata: Record<string, string>;
  /** what a user may withdraw within a day; null: not limited */
  readonly day_max: string | null;
}

/** The answer of every update on a payment: the caller reads the row for the rest. */
export interface PaymentAnswer {
  readonly payment_id: string;
  readonly status: string;
}

export const createPaymentUpdate = defineUpdate<PaymentAnswer, [CreatePayment]>('create');
export const approvePaymentUpdate = defineUpdate<PaymentAnswer, [PaymentVerbRequest]>('approve');
export const cancelPaymentUpdate = defineUpdate<PaymentAnswer, [PaymentVerbRequest]>('cancel');

/** GET of one signing request: afterwards its row names the transaction that is to be signed. */
export interface OpenSigningRequest {
  readonly signing_request_id: string;
}
export const openSigningRequestUpdate = defineUpdate<void, [OpenSigningRequest]>('open_signing_request');
export interface SubmitSignature extends OpenSigningRequest {
  /** base64 */
  readonly signed_envelope: string;
}
/** The user's signature: the caller is told whether it is one. */
export const submitSignatureUpdate = defineUpdate<void, [SubmitSignature]>('submit_signature');
