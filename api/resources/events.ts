/** Events: everything that happened, in one order; with `after` the way to follow without webhooks. */
import { z } from 'zod';
import { findEvent, listEvents } from '../../db/resources/event.ts';
import { pool } from '../../db/sql.ts';
import { EventSchema } from '../../domain/resources/event.ts';
import { IdParams, limitQuery, listBody, listOf } from '../inputs.ts';
import { type Answer, type Call, found, marketplaceOf, route } from '../route.ts';
import { waitFor } from '../waiting.ts';

const TYPE = /^(\*|[a-z_]+\.(\*|[a-z_]+))$/;
const types = z
  .string()
  .transform((text) => text.split(','))
  .refine((list) => list.every((type) => TYPE.test(type)), 'VALUE: a comma list of types or patterns like order.*')
  .optional()
  .meta({ override: { type: 'string', description: 'Comma list of types and patterns like `order.*`' } });

const EventsQuery = z.strictObject({
  ...limitQuery,
  cursor: z.string().optional().meta({ description: '`next_cursor` of the page before' }),
  after: z.string().optional().meta({ description: 'Id of an event: what came after it, oldest first' }),
  type: types,
  resource_type: z.string().optional(),
  delivered: z.enum(['true', 'false']).optional(),
  resource_id: z.string().optional(),
});

/** The cursor of a page is the id of its last event; it goes on in the direction of the first page. */
async function list(call: Call<unknown, z.output<typeof EventsQuery>>): Promise<Answer> {
  const { deps, query, wait } = call;
  const marketplaceId = marketplaceOf(call).id;
  const { after, cursor, limit } = query;
  // Undelivered is what an enabled endpoint has not got: there are none.
  if (query.delivered === 'false') return listBody({ items: [], hasMore: false }, null);
  const from = after === undefined ? { before: cursor } : { after: cursor ?? after };
  const look = () => listEvents(pool(deps.orm), marketplaceId, query, { limit, ...from });
  const wanted = { ms: (wait ?? 0) * 1_000, signal: deps.stopping, everyMs: 150 };
  const shown =
    after === undefined || wait === null
      ? await look()
      : ((await waitFor(async () => nonEmpty(await look()), wanted)) ?? { items: [], hasMore: false });
  const answer = listBody(shown, shown.hasMore ? (shown.items.at(-1)?.id ?? null) : null);
  return wait === null || after === undefined
    ? answer
    : { ...answer, headers: { 'Preference-Applied': `wait=${wait}` } };
}

const nonEmpty = <T extends { readonly items: readonly unknown[] }>(page: T): T | null =>
  page.items.length === 0 ? null : page;

export const EVENT_ROUTES = [
  route({
    method: 'get',
    path: '/events',
    tag: 'events',
    summary: 'List events, newest first; with `after` oldest first, and with `Prefer: wait=N` as they come',
    access: { keys: 'marketplace', scope: 'read' },
    query: EventsQuery,
    waits: true,
    answers: { 200: listOf(EventSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: list,
  }),
  route({
    method: 'get',
    path: '/events/:id',
    tag: 'events',
    summary: 'Get an event',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    answers: { 200: EventSchema },
    reasons: ['NOT_FOUND'],
    handle: async (call) => ({
      status: 200,
      body: found(await findEvent(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'event'),
    }),
  }),
];
