/** Users, their wallets and their balances as the API and its events show them. */
import { z } from 'zod';
import { MOVEMENT_KINDS, PAYMENT_PROVIDERS, USER_STATUSES, WALLET_STATUSES } from '../statuses.ts';
import { Amount, AssetCode, Id, Metadata, ResourceRef, Timestamp } from './common.ts';

const Address = z.string().nullable().meta({ description: 'Stellar address; null until the wallet is READY' });

export const UserSchema = z
  .object({
    id: Id,
    external_user_id: z.string(),
    email: z.string().nullable(),
    status: z.enum(USER_STATUSES),
    wallet: z.object({
      id: Id,
      provider: z.enum(PAYMENT_PROVIDERS),
      status: z.enum(WALLET_STATUSES),
      address: Address,
    }),
    metadata: Metadata,
    version: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'User' });
export type UserResource = z.infer<typeof UserSchema>;

export const WalletSchema = z
  .object({
    id: Id,
    user_id: Id.nullable(),
    provider: z.enum(PAYMENT_PROVIDERS),
    status: z.enum(WALLET_STATUSES),
    address: Address,
    balances: z.array(z.object({ asset: AssetCode, amount: Amount })),
    cursor_ledger: z.int().nullable(),
    created_at: Timestamp,
  })
  .meta({ id: 'Wallet' });
export type WalletResource = z.infer<typeof WalletSchema>;

export const WalletTransactionSchema = z
  .object({
    id: Id,
    direction: z.enum(['IN', 'OUT']),
    amount: Amount,
    asset: AssetCode,
    counterparty: z.string().nullable(),
    kind: z.enum(MOVEMENT_KINDS),
    resource: ResourceRef.nullable(),
    transaction_hash: z.string(),
    ledger: z.int(),
    created_at: Timestamp,
  })
  .meta({ id: 'WalletTransaction' });
export type WalletTransaction = z.infer<typeof WalletTransactionSchema>;

export const BalanceSchema = z
  .object({
    user_id: Id,
    asset: AssetCode,
    available: Amount,
    reserved: Amount,
    total: Amount,
    in_escrow: Amount,
    at: Timestamp,
  })
  .meta({ id: 'Balance' });

export const BalanceTransactionSchema = z
  .object({
    id: Id,
    type: z.string(),
    direction: z.enum(['CREDIT', 'DEBIT', 'HOLD', 'UNHOLD']),
    amount: Amount,
    asset: AssetCode,
    available_after: Amount,
    resource: ResourceRef,
    transaction_hash: z.string().nullable(),
    created_at: Timestamp,
  })
  .meta({ id: 'BalanceTransaction' });
