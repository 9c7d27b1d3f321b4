/** The milestones of an order; their verbs are in order-verbs.ts. */
import { z } from 'zod';
import type { OrderResource } from '../../db/resources/order.ts';
import { Refusal } from '../../domain/refusal.ts';
import { Milestone } from '../../domain/resources/order.ts';
import { IdParams, limitQuery, listBody, listOf } from '../inputs.ts';
import { type Call, found, route } from '../route.ts';
import { orderOf } from './orders.ts';

/** The milestone that a path names. @throws Refusal NOT_FOUND */
export async function milestoneOf(call: Call<{ id: string; ref: string }>): Promise<string> {
  const { milestones } = await orderOf(call);
  const named = milestones.find(({ milestone_ref: ref }) => ref === call.params.ref) ?? null;
  return found(named, 'milestone').milestone_ref;
}

/** @throws Refusal NOT_FOUND naming each of `/milestone_refs` that the order does not have */
export async function demandMilestones(call: Call<{ id: string }>, refs: readonly string[]): Promise<OrderResource> {
  const order = await orderOf(call);
  const known = new Set(order.milestones.map(({ milestone_ref: ref }) => ref));
  const errors = refs.flatMap((ref, index) =>
    known.has(ref)
      ? []
      : [{ pointer: `/milestone_refs/${index}`, code: 'NOT_FOUND', detail: `there is no milestone ${ref}` }],
  );
  if (errors[0] !== undefined) throw new Refusal('NOT_FOUND', errors[0].detail, { errors });
  return order;
}

/** The index that the next page begins with. */
const IndexCursor = z.string().regex(/^\d{1,3}$/, 'CURSOR: not a cursor of this list');

export const MILESTONE_ROUTES = [
  route({
    method: 'get',
    path: '/orders/:id/milestones',
    tag: 'orders',
    summary: 'The milestones of an order, in their order',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: z.strictObject({ ...limitQuery, cursor: IndexCursor.optional() }),
    answers: { 200: listOf(Milestone) },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => {
      const { limit, cursor = '0' } = call.query;
      const { milestones } = await orderOf(call);
      const end = Number.parseInt(cursor, 10) + limit;
      const hasMore = end < milestones.length;
      return listBody({ items: milestones.slice(end - limit, end), hasMore }, hasMore ? String(end) : null);
    },
  }),
];
