/** Withdrawals and adjustments: money that leaves one of our wallets. Written by their workflows' activities only. */
import { type InferEntity, defineEntity, p } from '@mikro-orm/core';
import type { Destination, PaymentOperation, PaymentParty } from '../../domain/payment/shapes.ts';
import { ADJUSTMENT_DIRECTIONS, PAYMENT_KINDS, PAYMENT_STATUSES } from '../../domain/statuses.ts';

export const Payment = defineEntity({
  name: 'Payment',
  tableName: 'payments',
  properties: {
    /** `wd_…` or `adj_…` */
    id: p.text().primary(),
    kind: p.enum(PAYMENT_KINDS),
    marketplaceId: p.text(),
    /** null: the marketplace's earned fees */
    userId: p.text().nullable(),
    /** of an adjustment */
    direction: p.enum(ADJUSTMENT_DIRECTIONS).nullable(),
    amount: p.bigint('bigint'),
    asset: p.text(),
    /** whose money it is, before and after; decided when it was asked for */
    payer: p.json<PaymentParty>(),
    payee: p.json<PaymentParty>(),
    /** null: the payee's wallet of ours */
    destination: p.json<Destination>().nullable(),
    clientRef: p.text().nullable(),
    bodyHash: p.text(),
    reason: p.text().nullable(),
    reference: p.text().nullable(),
    status: p.enum(PAYMENT_STATUSES),
    operation: p.json<PaymentOperation>(),
    /** ids of API keys, and the person of the first: another one approves */
    requestedBy: p.text(),
    requestedPerson: p.text().nullable(),
    approvedBy: p.text().nullable(),
    transactionHash: p.text().nullable(),
    ledger: p.integer().nullable(),
    metadata: p.json<Record<string, string>>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    completedAt: p.datetime(3).nullable(),
  },
  uniques: [{ properties: ['marketplaceId', 'clientRef'] }],
  indexes: [{ properties: ['marketplaceId', 'kind', 'createdAt'] }, { properties: ['userId', 'createdAt'] }],
});
export type PaymentRow = InferEntity<typeof Payment>;
