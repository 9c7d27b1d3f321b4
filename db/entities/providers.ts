/** The queue in front of a provider that counts our requests. Written by `take_provider_turn` alone. */
import { defineEntity, p } from '@mikro-orm/core';

export const ProviderLimit = defineEntity({
  name: 'ProviderLimit',
  tableName: 'provider_limits',
  properties: {
    provider: p.text().primary(),
    /** it asked to be left alone until then */
    heldUntil: p.datetime(6).nullable(),
  },
});

export const ProviderTurn = defineEntity({
  name: 'ProviderTurn',
  tableName: 'provider_turns',
  properties: {
    id: p.uuid().primary(),
    provider: p.text(),
    /** what it is for; waits at most once */
    owner: p.text(),
    /** lower goes first */
    priority: p.integer(),
    queuedAt: p.datetime(6),
    /** a waiter that stopped asking is passed over */
    polledAt: p.datetime(6),
    /** counts for a minute from then on; null: waits */
    grantedAt: p.datetime(6).nullable(),
  },
});
