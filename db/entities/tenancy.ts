/** Marketplaces, their API keys, their users. Written by the API and by the wallet workflows. */
import { defineEntity, p } from '@mikro-orm/core';
import { MARKETPLACE_STATUSES, PAYMENT_PROVIDERS, USER_STATUSES } from '../../domain/statuses.ts';
import type { DeadlineTerms } from '../../domain/order/deadlines.ts';

export const Marketplace = defineEntity({
  name: 'Marketplace',
  tableName: 'marketplaces',
  properties: {
    id: p.text().primary(),
    name: p.text(),
    status: p.enum(MARKETPLACE_STATUSES).default('ACTIVE'),
    defaultAsset: p.text(),
    platformFeeBps: p.integer(),
    paymentProvider: p.enum(PAYMENT_PROVIDERS),
    deadlines: p.json<DeadlineTerms>(),
    approvalThreshold: p.bigint('bigint').nullable(),
    createdAt: p.datetime(3),
  },
});

export const ApiKey = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.text().primary(),
    /** null: a platform key, which belongs to no marketplace */
    marketplaceId: p.text().nullable(),
    name: p.text(),
    person: p.text().nullable(),
    prefix: p.text(),
    /** SHA-256 of the key, hex; the key itself is shown once and stored nowhere (F42) */
    keyHash: p.text().unique(),
    scopes: p.array(),
    ipAllow: p.array(),
    expiresAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
    lastUsedAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
  },
  indexes: [{ properties: ['marketplaceId'] }],
});

export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.text().primary(),
    marketplaceId: p.text(),
    externalUserId: p.text(),
    email: p.text().nullable(),
    status: p.enum(USER_STATUSES).default('ACTIVE'),
    metadata: p.json<Record<string, string>>(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
  uniques: [{ properties: ['marketplaceId', 'externalUserId'] }],
});
