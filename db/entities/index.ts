import { ChainEnvelope, ChainTransaction, SourceLease } from './chain.ts';
import { Attention, AuditEntry, Event, IdempotencyKey, ResourceCounter } from './messages.ts';
import { Escrow, Milestone, Order, Settlement } from './orders.ts';
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
  Order,
  Escrow,
  SponsorBalance,
  Milestone,
  Settlement,
  ChainTransaction,
  ChainEnvelope,
  SourceLease,
  ResourceCounter,
  Event,
  IdempotencyKey,
  Attention,
  AuditEntry,
];
