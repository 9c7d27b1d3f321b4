/** Wallets, their encrypted keys, and what was seen on chain for them. Written by the wallet and chain reader workflows. */
import { defineEntity, p } from '@mikro-orm/core';
import { MOVEMENT_KINDS, PAYMENT_PROVIDERS, WALLET_KINDS, WALLET_STATUSES } from '../../domain/statuses.ts';

export const Wallet = defineEntity({
  name: 'Wallet',
  tableName: 'wallets',
  properties: {
    id: p.text().primary(),
    /** null for CHANNEL and SPONSOR, which belong to the deployment */
    marketplaceId: p.text().nullable(),
    userId: p.text().nullable(),
    kind: p.enum(WALLET_KINDS),
    provider: p.enum(PAYMENT_PROVIDERS),
    status: p.enum(WALLET_STATUSES),
    /** known to us from key creation on; shown only when READY (F39). Unique among ours, else per marketplace */
    address: p.text().nullable(),
    /** where the stream began: read before the address was handed out (F28) */
    birthCursor: p.text().nullable(),
    /** the last position whose movements are recorded; moves in the transaction that records them (F68) */
    streamCursor: p.text().nullable(),
    /** provisioning transaction it is part of */
    batchId: p.text().nullable(),
    /** set while it is being closed: it takes no new part in anything */
    closingAt: p.datetime(3).nullable(),
    /** when its trustlines were last looked at */
    checkedAt: p.datetime(3).nullable(),
    /** repairs of its trustlines that landed: names the next one */
    repairs: p.integer().default(0),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
  indexes: [
    { properties: ['marketplaceId', 'kind'] },
    { properties: ['userId'] },
    { properties: ['status'] },
    { properties: ['address'] },
  ],
});

export const WalletKey = defineEntity({
  name: 'WalletKey',
  tableName: 'wallet_keys',
  properties: {
    walletId: p.text().primary(),
    publicKey: p.text(),
    /** versioned envelope-encrypted seed; opens only for this wallet, key and network (F57) */
    ciphertext: p.text(),
    /** key-encryption key that wraps it: what rotation and the boot canary look for */
    keyId: p.text(),
    createdAt: p.datetime(3),
  },
  indexes: [{ properties: ['keyId', 'walletId'] }],
});

/** Every movement of the network that touches one of our addresses, as the chain reader saw it. */
export const ObservedMovement = defineEntity({
  name: 'ObservedMovement',
  tableName: 'observed_movements',
  properties: {
    network: p.text().primary(),
    operationId: p.bigint('bigint').primary(),
    index: p.integer().primary(),
    kind: p.text(),
    fromAddress: p.text().nullable(),
    toAddress: p.text().nullable(),
    assetCode: p.text(),
    assetIssuer: p.text().nullable(),
    amount: p.bigint('bigint'),
    transactionHash: p.text(),
    ledger: p.integer(),
    closedAt: p.datetime(3),
  },
  indexes: [{ properties: ['toAddress', 'operationId'] }, { properties: ['fromAddress', 'operationId'] }],
});

/** A movement as one of our wallets or contracts owns it: the unit that is booked once (F27, F30). */
export const RecordedMovement = defineEntity({
  name: 'RecordedMovement',
  tableName: 'movements',
  properties: {
    network: p.text().primary(),
    /** wallet or escrow id */
    ownerId: p.text().primary(),
    operationId: p.bigint('bigint').primary(),
    direction: p.enum(['IN', 'OUT'] as const).primary(),
    /** position among this owner's changes of this asset in the operation */
    ordinal: p.integer().primary(),
    asset: p.text().primary(),
    id: p.text().unique(),
    amount: p.bigint('bigint'),
    counterparty: p.text().nullable(),
    kind: p.enum(MOVEMENT_KINDS),
    resourceType: p.text().nullable(),
    resourceId: p.text().nullable(),
    transactionHash: p.text(),
    ledger: p.integer(),
    createdAt: p.datetime(3),
  },
  indexes: [{ properties: ['ownerId', 'ledger'] }, { properties: ['transactionHash'] }],
});

/** How far the readers of a network have come. */
export const NetworkCursor = defineEntity({
  name: 'NetworkCursor',
  tableName: 'network_cursors',
  properties: {
    network: p.text().primary(),
    reader: p.text().primary(),
    cursor: p.text(),
    ledger: p.integer(),
    updatedAt: p.datetime(3),
  },
});

/** What the account that pays fees and reserves has left, as reconcile saw it last. Stroops of XLM. */
export const SponsorBalance = defineEntity({
  name: 'SponsorBalance',
  tableName: 'sponsor_balances',
  properties: {
    network: p.text().primary(),
    address: p.text(),
    /** what it may spend: its balance without the reserves it holds for others and itself */
    available: p.bigint('bigint'),
    /** fees and reserves of the last days, per day */
    burnPerDay: p.bigint('bigint'),
    ledger: p.integer(),
    at: p.datetime(3),
  },
});
