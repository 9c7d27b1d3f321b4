import { ChainEnvelope, ChainTransaction, SourceLease } from './chain.ts';
import { Dispute, DisputeComment, DisputeEvidence } from './disputes.ts';
import { WorkflowHistory } from './histories.ts';
import { Attention, AuditEntry, Event, IdempotencyKey, ResourceCounter } from './messages.ts';
import { Escrow, Milestone, Order, Settlement, TestClock } from './orders.ts';
import { TemporalCluster, UnaccountedTransaction } from './recovery.ts';
import { RepairApproval } from './repairs.ts';
import { SigningRequest } from './signing-requests.ts';
import { Payment } from './payments.ts';
import { ProviderLimit, ProviderTurn } from './providers.ts';
import { Surplus } from './surpluses.ts';
import { ApiKey, Marketplace, User } from './tenancy.ts';
import { NetworkCursor, ObservedMovement, RecordedMovement, SponsorBalance, Wallet, WalletKey } from './wallets.ts';

/** Every table but the ledger's, which only its posting function may write. */
export const ENTITIES = [
  Marketplace,
  ApiKey,
  User,
  Wallet,
  WalletKey,
  ObservedMovement,
  RecordedMovement,
  NetworkCursor,
  SponsorBalance,
  Order,
  Escrow,
  Milestone,
  Settlement,
  TestClock,
  Dispute,
  DisputeEvidence,
  DisputeComment,
  Payment,
  Surplus,
  ChainTransaction,
  ChainEnvelope,
  SourceLease,
  WorkflowHistory,
  TemporalCluster,
  UnaccountedTransaction,
  RepairApproval,
  ProviderLimit,
  ProviderTurn,
  SigningRequest,
  ResourceCounter,
  Event,
  IdempotencyKey,
  Attention,
  AuditEntry,
];
