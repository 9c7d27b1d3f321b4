/** Every status and kind that is stored or sent, as unions; the database's CHECK constraints are built from these lists. */

export const ORDER_STATUSES = [
  'ORDER_CREATED',
  'FUNDS_RESERVED',
  'ESCROW_CREATING',
  'ESCROW_FUNDING',
  'ESCROW_FUNDED',
  'IN_PROGRESS',
  'RELEASE_REQUESTED',
  'RELEASED',
  'REFUND_REQUESTED',
  'REFUNDED',
  'DISPUTED',
  'CLOSED',
] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

export const FINAL_STATUSES = ['RELEASED', 'REFUNDED', 'SPLIT', 'CANCELED', 'EXPIRED'] as const;
export type FinalStatus = (typeof FINAL_STATUSES)[number];

export const ORDER_VERBS = [
  'reserve',
  'cancel',
  'escrow',
  'fund',
  'deliver',
  'complete_milestone',
  'release_milestone',
  'release',
  'refund',
  'dispute',
  'extend',
] as const;
export type OrderVerb = (typeof ORDER_VERBS)[number];

export const ESCROW_TYPES = ['SINGLE_RELEASE', 'MULTI_RELEASE'] as const;
export const ESCROW_STATUSES = [
  'CREATING',
  'CREATED',
  'FUNDING',
  'FUNDED',
  'DISPUTED',
  'RELEASED',
  'REFUNDED',
  'SPLIT',
] as const;
export type EscrowStatus = (typeof ESCROW_STATUSES)[number];

export const MILESTONE_STATUSES = ['OPEN', 'COMPLETED', 'DISPUTED', 'RELEASED', 'REFUNDED', 'SPLIT'] as const;
export type MilestoneStatus = (typeof MILESTONE_STATUSES)[number];

export const DISPUTE_STATUSES = ['OPEN', 'UNDER_REVIEW', 'RESOLVING', 'RESOLVED', 'WITHDRAWN'] as const;
export type DisputeStatus = (typeof DISPUTE_STATUSES)[number];
export const DISPUTE_VERBS = ['assign', 'withdraw', 'resolve'] as const;
export type DisputeVerb = (typeof DISPUTE_VERBS)[number];
export const DISPUTE_REASONS = ['NOT_DELIVERED', 'QUALITY_ISSUE', 'OTHER'] as const;
export type DisputeReason = (typeof DISPUTE_REASONS)[number];
export const DISPUTE_DECISIONS = ['FULL_RELEASE', 'FULL_REFUND', 'SPLIT'] as const;
export type DisputeDecision = (typeof DISPUTE_DECISIONS)[number];
export const PARTIES = ['BUYER', 'SELLER'] as const;
export type PartyName = (typeof PARTIES)[number];
export const EVIDENCE_TYPES = ['TEXT', 'URL', 'SHA256'] as const;
export type EvidenceType = (typeof EVIDENCE_TYPES)[number];

export const RESERVATIONS = ['HELD', 'UNGUARANTEED'] as const;
export type Reservation = (typeof RESERVATIONS)[number];

export const WAITS = ['DEPOSIT', 'WALLET', 'SIGNATURE', 'PROVIDER', 'RESUME'] as const;
export type WaitingFor = (typeof WAITS)[number];

export const OPERATION_STATUSES = ['RUNNING', 'PARKED', 'SUCCEEDED', 'FAILED'] as const;
export type OperationStatus = (typeof OPERATION_STATUSES)[number];
export type OperationCause = 'API' | 'AUTO' | 'DEADLINE' | 'REPAIR';

export const DUE_ACTIONS = ['EXPIRE', 'AUTO_REFUND', 'AUTO_RELEASE', 'DISPUTE_DEFAULT'] as const;
export type DueAction = (typeof DUE_ACTIONS)[number];

export const USER_STATUSES = ['ACTIVE', 'SUSPENDED'] as const;
export const WALLET_STATUSES = ['PROVISIONING', 'READY', 'CLOSED'] as const;
export type WalletStatus = (typeof WALLET_STATUSES)[number];

/** USER belongs to a user; FEE, OPERATOR, RESOLVER to a marketplace; CHANNEL and SPONSOR to the deployment. */
export const WALLET_KINDS = ['USER', 'FEE', 'OPERATOR', 'RESOLVER', 'CHANNEL', 'SPONSOR'] as const;
export type WalletKind = (typeof WALLET_KINDS)[number];

export const PAYMENT_PROVIDERS = ['crypto-native', 'external-wallet'] as const;
export type PaymentProviderName = (typeof PAYMENT_PROVIDERS)[number];

export const MARKETPLACE_STATUSES = ['ACTIVE', 'PAUSED'] as const;
export const SCOPES = ['read', 'write', 'support', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * A transaction of ours. PREPARED has no signature; from SIGNED on it may land at any time until it is CONFIRMED,
 * FAILED (landed with a failed result) or DEAD (proved that it can never land).
 */
export const CHAIN_TRANSACTION_STATUSES = ['PREPARED', 'SIGNED', 'SUBMITTED', 'CONFIRMED', 'FAILED', 'DEAD'] as const;
export type ChainTransactionStatus = (typeof CHAIN_TRANSACTION_STATUSES)[number];

export const MOVEMENT_KINDS = ['DEPOSIT', 'ESCROW', 'WITHDRAWAL', 'ADJUSTMENT', 'UNEXPLAINED'] as const;
export type MovementKind = (typeof MOVEMENT_KINDS)[number];

/** Money that leaves one of our wallets by a payment of ours: at a user's or the marketplace's wish, or corrected by support. */
export const PAYMENT_KINDS = ['WITHDRAWAL', 'ADJUSTMENT'] as const;
export type PaymentKind = (typeof PAYMENT_KINDS)[number];
/** From SUBMITTED on its envelope may land; FAILED is proved not to have happened. */
export const PAYMENT_STATUSES = [
  'CREATED',
  'APPROVAL_REQUIRED',
  'APPROVED',
  'SUBMITTED',
  'COMPLETED',
  'FAILED',
  'CANCELED',
] as const;
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];
export const PAYMENT_VERBS = ['create', 'approve', 'cancel'] as const;
export type PaymentVerb = (typeof PAYMENT_VERBS)[number];
export const ADJUSTMENT_DIRECTIONS = ['CREDIT', 'DEBIT'] as const;
export type AdjustmentDirection = (typeof ADJUSTMENT_DIRECTIONS)[number];
export const MEMO_TYPES = ['TEXT', 'ID', 'HASH', 'RETURN'] as const;
export type MemoType = (typeof MEMO_TYPES)[number];

/** COMPLETED: what was signed has landed. EXPIRED: it is proved that it never will. */
export const SIGNING_REQUEST_STATUSES = ['PENDING', 'COMPLETED', 'EXPIRED'] as const;
export type SigningRequestStatus = (typeof SIGNING_REQUEST_STATUSES)[number];

export const RESOURCE_TYPES = [
  'order',
  'dispute',
  'user',
  'wallet',
  'marketplace',
  'escrow',
  'withdrawal',
  'adjustment',
  'signing_request',
] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/** Why a workflow's history is kept: it waits for an operator, or it is over. */
export const HISTORY_REASONS = ['PARKED', 'CLOSED'] as const;
export type HistoryReason = (typeof HISTORY_REASONS)[number];
