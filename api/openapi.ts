/** The OpenAPI 3.1 document, generated from the routes. */
import { z } from 'zod';
import { type ZodOpenApiOperationObject, type ZodOpenApiPathsObject, createDocument } from 'zod-openapi';
import { IDEMPOTENCY_KEY_MAX, WAIT_SECONDS_MAX } from '../domain/limits.ts';
import { REASON_TABLE, type Reason } from '../domain/reasons.ts';
import { Operation, PaymentOperation } from '../domain/resources/common.ts';
import { PROBLEM_TYPE } from './problem.ts';
import { type AnswerShape, BASE_PATH, type Route } from './route.ts';
import { VERSION } from './version.ts';

const Problem = z
  .object({
    type: z.string().meta({ example: `${BASE_PATH}/docs/errors/INVALID_STATE` }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().meta({ example: 'INVALID_STATE' }),
    request_id: z.string().nullable(),
    retryable: z.boolean().meta({ description: 'A program may repeat the same request with the same key' }),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })),
    current_status: z.string().nullable().optional().meta({ description: 'INVALID_STATE: where the resource stands' }),
    allowed: z.array(z.string()).optional().meta({ description: 'INVALID_STATE: the verbs it takes now' }),
    operation: z.union([Operation, PaymentOperation]).nullable().optional(),
  })
  .meta({ id: 'Problem', description: 'Problem document (RFC 9457)' });

const IdempotencyKey = z.string().max(IDEMPOTENCY_KEY_MAX).meta({
  description: 'The same key with the same request has the same result, also while the first call runs',
});
const Prefer = z
  .string()
  .optional()
  .meta({
    description: `\`wait=N\`: wait up to N seconds (at most ${WAIT_SECONDS_MAX}) for the outcome`,
    example: 'wait=20',
  });
const Actor = z.string().optional().meta({ description: 'Who acts, for events and audit; it authorises nothing' });

/** Every route that wants a key may be refused for these. */
const ALWAYS: readonly Reason[] = ['INTERNAL_ERROR', 'UNAVAILABLE'];

/** `/orders/:id` → `/orders/{id}` */
export const openApiPath = (path: string): string => path.replaceAll(/:([a-z_]+)/g, '{$1}');
export const operationIdOf = ({ method, path }: Route): string =>
  `${method}${path.replaceAll(/[/:._-]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`;

export function openApiDocument(routes: readonly Route[]): ReturnType<typeof createDocument> {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const path = openApiPath(route.path);
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Orchestrator',
      version: VERSION,
      description:
        'Buyers’ money in escrow on Stellar until the work is delivered: users and wallets, orders, disputes, withdrawals, ' +
        'events. Amounts are decimal strings, times are UTC, and whatever is sent with an Idempotency-Key may be repeated.',
    },
    servers: [{ url: BASE_PATH }],
    security: [{ apiKey: [] }],
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    paths,
  });
}

function operation(route: Route): ZodOpenApiOperationObject {
  const keyed = route.access.keys !== 'public';
  const headers = {
    ...(route.method === 'post'
      ? { 'Idempotency-Key': route.needsKey === true ? IdempotencyKey : IdempotencyKey.optional() }
      : {}),
    ...(route.waits === true ? { Prefer } : {}),
    ...(keyed && route.method !== 'get' ? { 'X-Actor': Actor } : {}),
  };
  return {
    operationId: operationIdOf(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.access.keys === 'public'
      ? { security: [] }
      : { description: `Needs the scope \`${route.access.scope}\`${keysNote(route.access.keys)}.` }),
    requestParams: {
      ...(route.params === undefined ? {} : { path: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(Object.keys(headers).length === 0 ? {} : { header: z.object(headers) }),
    },
    ...(route.body === undefined ? {} : { requestBody: { content: { 'application/json': { schema: route.body } } } }),
    responses: { ...answers(route), ...problems(route) },
  };
}

const keysNote = (keys: 'marketplace' | 'platform' | 'any'): string =>
  keys === 'platform' ? ' of a platform key' : '';

function answers(route: Route): ZodOpenApiOperationObject['responses'] {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, shape]) => [
      status,
      { description: DESCRIPTIONS[status] ?? 'OK', ...content(shape) },
    ]),
  );
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  201: 'Created',
  202: 'Accepted: durable, and going on',
  204: 'Done',
  304: 'Not changed',
  503: 'Not ready',
};

const content = (shape: AnswerShape) => {
  if (shape === null) return {};
  return typeof shape === 'string'
    ? { content: { [shape]: { schema: z.string() } } }
    : { content: { 'application/json': { schema: shape } } };
};

/** Reasons by status: those of the route, of its key, of its body and idempotency. */
function problems(route: Route): ZodOpenApiOperationObject['responses'] {
  const reasons = new Set<Reason>([...route.reasons, ...(route.tag === 'docs' ? [] : ALWAYS)]);
  if (route.access.keys !== 'public')
    for (const reason of ['UNAUTHENTICATED', 'INSUFFICIENT_SCOPE'] as const) reasons.add(reason);
  if (route.method !== 'get')
    for (const reason of ['MALFORMED_JSON', 'INVALID_HEADER', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const)
      reasons.add(reason);
  if (route.method === 'post') reasons.add('IDEMPOTENCY_KEY_REUSED');
  if (route.needsKey === true) reasons.add('IDEMPOTENCY_KEY_REQUIRED');
  const byStatus = Map.groupBy(reasons, (reason) => REASON_TABLE[reason].status);
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => !(status in route.answers))
      .map(([status, list]) => [
        String(status),
        { description: list.join(', '), content: { [PROBLEM_TYPE]: { schema: Problem } } },
      ]),
  );
}
