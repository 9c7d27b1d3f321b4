/** Repairs that move money. Written by the API and the command; used by the activity that carries one out. */
import { defineEntity, p } from '@mikro-orm/core';
import { PARTIES } from '../../domain/statuses.ts';

export const RepairApproval = defineEntity({
  name: 'RepairApproval',
  tableName: 'repair_approvals',
  properties: {
    id: p.text().primary(),
    /** the item it answers; at most one of an item is not used */
    attentionId: p.text(),
    marketplaceId: p.text().nullable(),
    orderId: p.text(),
    milestoneIndex: p.integer().nullable(),
    /** whose money it is; null: of neither */
    party: p.enum(PARTIES).nullable(),
    action: p.enum(['payout_to'] as const),
    /** who is paid */
    address: p.text(),
    /** stroops, before fees */
    amount: p.bigint('bigint'),
    asset: p.text(),
    reason: p.text().nullable(),
    /** id of the API key, or `command`; null: nobody has asked for it yet */
    proposedBy: p.text().nullable(),
    proposedPerson: p.text().nullable(),
    proposedAt: p.datetime(3),
    approvedBy: p.text().nullable(),
    approvedPerson: p.text().nullable(),
    approvedAt: p.datetime(3).nullable(),
    usedAt: p.datetime(3).nullable(),
  },
  indexes: [{ properties: ['attentionId'] }, { properties: ['orderId'] }],
});
