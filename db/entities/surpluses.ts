/** Money that is left in the contract of an order that is over, one row per escrow: opened by whoever finds it. */
import { defineEntity, p } from '@mikro-orm/core';

export const Surplus = defineEntity({
  name: 'Surplus',
  tableName: 'surpluses',
  properties: {
    /** of the escrow */
    id: p.text().primary(),
    orderId: p.text(),
    marketplaceId: p.text(),
    /** stroops: what the open matter is about, and what its payout pays */
    amount: p.bigint('bigint').nullable(),
    /** the matter that somebody has to decide */
    attentionId: p.text().nullable(),
    /** two persons agreed: it is being paid out */
    approvalId: p.text().nullable(),
    /** when somebody last saw something there; a look that began later knows of it */
    seenAt: p.datetime(6),
    lookedAt: p.datetime(6).nullable(),
    /** when nothing was left; null while there is */
    settledAt: p.datetime(3).nullable(),
  },
});
