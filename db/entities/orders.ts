/** Orders with their escrow, milestones and settlements. Written by the order workflow's activities only. */
import { type InferEntity, defineEntity, p } from '@mikro-orm/core';
import type { DeadlineTerms } from '../../domain/order/deadlines.ts';
import type { EscrowWallets, OperationTask, OperationView } from '../../domain/order/shapes.ts';
import {
  DUE_ACTIONS,
  ESCROW_STATUSES,
  ESCROW_TYPES,
  FINAL_STATUSES,
  MILESTONE_STATUSES,
  ORDER_STATUSES,
  RESERVATIONS,
  WAITS,
} from '../../domain/statuses.ts';

export const Order = defineEntity({
  name: 'Order',
  tableName: 'orders',
  properties: {
    id: p.text().primary(),
    marketplaceId: p.text(),
    clientOrderRef: p.text().nullable(),
    /** SHA-256 of the creating body: tells an equal repeat of a reference from another order */
    bodyHash: p.text(),
    buyerId: p.text(),
    sellerId: p.text(),
    amount: p.bigint('bigint'),
    asset: p.text(),
    title: p.text(),
    description: p.text().nullable(),
    platformFeeBps: p.integer(),
    auto: p.boolean(),
    status: p.enum(ORDER_STATUSES),
    finalStatus: p.enum(FINAL_STATUSES).nullable(),
    reservation: p.enum(RESERVATIONS).nullable(),
    waitingFor: p.enum(WAITS).nullable(),
    /** the running operation, else the last that ended */
    operation: p.json<OperationView>().nullable(),
    /** what the operation is about; a workflow started from the row goes on with it */
    operationTask: p.json<OperationTask>().nullable(),
    deadlines: p.json<DeadlineTerms>(),
    /** absolute times by deadline name, ISO; what a resumed workflow reads its timers from */
    dueTimes: p.json<Record<string, string>>(),
    dueAt: p.datetime(3).nullable(),
    dueAction: p.enum(DUE_ACTIONS).nullable(),
    metadata: p.json<Record<string, string>>(),
    /** approve landed although release did not: only release is driven on (F4) */
    approvedAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    reservedAt: p.datetime(3).nullable(),
    fundedAt: p.datetime(3).nullable(),
    deliveredAt: p.datetime(3).nullable(),
    closedAt: p.datetime(3).nullable(),
  },
  uniques: [{ properties: ['marketplaceId', 'clientOrderRef'] }],
  indexes: [{ properties: ['marketplaceId', 'createdAt'] }, { properties: ['buyerId'] }, { properties: ['sellerId'] }],
});
export type OrderRow = InferEntity<typeof Order>;

export const Escrow = defineEntity({
  name: 'Escrow',
  tableName: 'escrows',
  properties: {
    id: p.text().primary(),
    orderId: p.text().unique(),
    marketplaceId: p.text(),
    type: p.enum(ESCROW_TYPES),
    status: p.enum(ESCROW_STATUSES),
    gateway: p.text(),
    /** derived and stored before the deploy is signed (F1) */
    contractId: p.text().nullable().unique(),
    amount: p.bigint('bigint'),
    asset: p.text(),
    platformFeeBps: p.integer(),
    factoryId: p.text(),
    wasmHash: p.text(),
    /** who plays which role, decided at deploy */
    wallets: p.json<EscrowWallets>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
});

export const Milestone = defineEntity({
  name: 'Milestone',
  tableName: 'milestones',
  properties: {
    orderId: p.text().primary(),
    index: p.integer().primary(),
    milestoneRef: p.text(),
    title: p.text(),
    amount: p.bigint('bigint'),
    sellerId: p.text(),
    status: p.enum(MILESTONE_STATUSES),
    disputeId: p.text().nullable(),
    /** its approval landed although its release did not */
    approvedAt: p.datetime(3).nullable(),
    inspectionDueAt: p.datetime(3).nullable(),
    completedAt: p.datetime(3).nullable(),
    settledAt: p.datetime(3).nullable(),
  },
  uniques: [{ properties: ['orderId', 'milestoneRef'] }],
});

/** What the chain paid, one row per recipient and transaction. */
export const Settlement = defineEntity({
  name: 'Settlement',
  tableName: 'settlements',
  properties: {
    orderId: p.text().primary(),
    transactionHash: p.text().primary(),
    ordinal: p.integer().primary(),
    userId: p.text(),
    party: p.enum(['SELLER', 'BUYER'] as const),
    milestoneRef: p.text().nullable(),
    gross: p.bigint('bigint'),
    protocolFee: p.bigint('bigint'),
    platformFee: p.bigint('bigint'),
    net: p.bigint('bigint'),
    ledger: p.integer(),
  },
});

/** How far a marketplace's time is ahead, where deadlines are tried out. Written by the API. */
export const TestClock = defineEntity({
  name: 'TestClock',
  tableName: 'test_clocks',
  properties: {
    id: p.text().primary(),
    marketplaceId: p.text().unique(),
    offsetMs: p.bigint('bigint'),
    createdAt: p.datetime(3),
  },
});
