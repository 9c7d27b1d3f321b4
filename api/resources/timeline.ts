/** The timeline of an order: from the request to the hash and the ledger number. */
import { z } from 'zod';
import { orderTimeline } from '../../db/resources/timeline.ts';
import { pool } from '../../db/sql.ts';
import { TimelineItemSchema } from '../../domain/resources/timeline.ts';
import { IdParams, limitQuery, listBody, listOf } from '../inputs.ts';
import { route } from '../route.ts';
import { orderOf } from './orders.ts';

const TimelineQuery = z.strictObject({
  ...limitQuery,
  cursor: z.base64url().optional().meta({ description: '`next_cursor` of the page before' }),
});

export const TIMELINE_ROUTES = [
  route({
    method: 'get',
    path: '/orders/:id/timeline',
    tag: 'orders',
    summary: 'Everything that happened to an order, oldest first: requests, steps, transactions, transfers, events',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: TimelineQuery,
    answers: { 200: listOf(TimelineItemSchema) },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => {
      const { id } = await orderOf(call);
      const { limit, cursor } = call.query;
      const after = cursor === undefined ? null : Buffer.from(cursor, 'base64url').toString('utf8');
      const page = await orderTimeline(pool(call.deps.orm), id, { limit, after });
      const last = page.hasMore ? page.items.at(-1) : undefined;
      const items = page.items.map(({ place: _place, ...item }) => item);
      return listBody({ ...page, items }, last === undefined ? null : Buffer.from(last.place).toString('base64url'));
    },
  }),
];
