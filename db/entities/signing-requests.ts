/** What users with their own wallet are asked to sign. Written by the workflow of the resource that needs the signature. */
import { defineEntity, p } from '@mikro-orm/core';
import type { Intent } from '../../domain/intents.ts';
import { ORDER_VERBS, SIGNING_REQUEST_STATUSES } from '../../domain/statuses.ts';

export const SigningRequest = defineEntity({
  name: 'SigningRequest',
  tableName: 'signing_requests',
  properties: {
    id: p.text().primary(),
    marketplaceId: p.text(),
    userId: p.text(),
    orderId: p.text(),
    operationId: p.text().nullable(),
    /** what it is for, as in `chain_transactions`: at most one request of a key is PENDING */
    intentKey: p.text(),
    intent: p.json<Intent>(),
    verb: p.enum(ORDER_VERBS),
    summary: p.text(),
    status: p.enum(SIGNING_REQUEST_STATUSES),
    /** the transaction whose envelope was handed out last; null before, and after that one was proved dead */
    transactionId: p.text().nullable(),
    expiresAt: p.datetime(3),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
  indexes: [{ properties: ['marketplaceId', 'createdAt'] }, { properties: ['userId'] }],
});
