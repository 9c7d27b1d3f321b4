/**
 * The way of a request through its route: key and scope, body, idempotency, validation, handler, answer. The order is the
 * contract: nobody gets another's stored answer (F42), and what is refused before the key is looked at leaves no trace.
 */
import type { Context, Middleware } from 'koa';
import { pool } from '../db/sql.ts';
import type { Authenticated } from '../db/resources/api-key.ts';
import { IDEMPOTENCY_KEY_MAX, WAIT_SECONDS_MAX } from '../domain/limits.ts';
import { Refusal } from '../domain/refusal.ts';
import type { ApiDeps } from './deps.ts';
import { canonical, sha256 } from './hash.ts';
import { NoQuery } from './inputs.ts';
import { type IdempotencyHandle, begin, conclude, runOnce } from './idempotency.ts';
import { authorize, bearer, originOf } from './middleware/auth.ts';
import { readBody } from './middleware/body.ts';
import { requestIdOf, send } from './middleware/request.ts';
import { problemAnswer, toRefusal } from './problem.ts';
import type { Answer, Call, Route } from './route.ts';
import { isStorable, validate } from './validation.ts';

export function serve(route: Route, deps: ApiDeps): Middleware {
  return async (ctx) => {
    const auth = await authorize(ctx, route.access, deps);
    const origin = originOf(ctx, auth);
    const rawBody = route.method === 'get' ? {} : await readBody(ctx);
    const taken = auth === null ? null : await takeKey(ctx, route, deps, auth, rawBody);
    if (taken !== null && 'stored' in taken) return send(ctx, taken.stored);
    const handle = taken?.handle ?? null;
    const answer = await answerOf(ctx, deps, handle, () =>
      route.handle({
        deps,
        auth,
        origin,
        params: paramsOf(ctx),
        ...inputsOf(ctx, route, rawBody),
        ifNoneMatch: ctx.get('if-none-match') || null,
        wait: route.waits === true ? waitOf(ctx) : null,
        idempotency: handle,
        once: (work) => runOnce(deps.orm, handle, work),
      } satisfies Call),
    );
    send(ctx, shaped(route, answer));
  };
}

/** The handler's answer, or its refusal as an answer when there is a key that has to remember it. */
async function answerOf(
  ctx: Context,
  deps: ApiDeps,
  handle: IdempotencyHandle | null,
  work: () => Promise<Answer>,
): Promise<Answer> {
  if (handle === null) return work();
  let answer: Answer;
  try {
    answer = await work();
  } catch (error) {
    const refusal = toRefusal(error);
    // Outcome unknown: the row stays as it is, and the next call with this key attaches to what runs.
    if (refusal.reason === 'INTERNAL_ERROR' || refusal.reason === 'UNAVAILABLE') throw error;
    answer = problemAnswer(refusal, { instance: ctx.path, requestId: requestIdOf(ctx) });
  }
  await conclude(pool(deps.orm), handle, answer);
  return answer;
}

async function takeKey(ctx: Context, route: Route, deps: ApiDeps, auth: Authenticated, body: unknown) {
  const key = ctx.get('idempotency-key');
  if (key === '' && route.needsKey === true)
    throw new Refusal('IDEMPOTENCY_KEY_REQUIRED', 'send an Idempotency-Key and keep it for repeats');
  if (route.method !== 'post' || key === '') return null;
  if (key.length > IDEMPOTENCY_KEY_MAX || !isStorable(key))
    throw new Refusal('INVALID_HEADER', `Idempotency-Key: 1 to ${IDEMPOTENCY_KEY_MAX} characters`);
  // An answer with a secret belongs to the key that asked, not to all keys of the tenant.
  const asker = route.secret === true ? auth.key.id : '';
  return begin(pool(deps.orm), {
    tenant: auth.marketplace?.id ?? 'platform',
    key,
    hash: sha256([ctx.method, ctx.path, ctx.search, asker, canonical(body)].join('\n')),
    allots: route.allots ?? null,
    secret: route.secret === true ? bearer(ctx) : null,
  });
}

function inputsOf(ctx: Context, route: Route, body: unknown): { query: unknown; body: unknown } {
  return {
    // The pages of the documentation carry cache-busters of their own.
    query: route.tag === 'docs' ? {} : validate(route.query ?? NoQuery, queryOf(ctx)),
    body: route.body === undefined ? {} : validate(route.body, body),
  };
}

/** A path that names nothing storable names nothing. */
function paramsOf(ctx: Context): Record<string, string> {
  const params = (ctx as Context & { params: Record<string, string> }).params;
  if (!Object.values(params).every(isStorable)) throw new Refusal('NOT_FOUND', 'there is nothing at this path');
  return params;
}

/** `metadata[plan]=pro` becomes `{metadata: {plan: 'pro'}}`; a parameter given twice stays a list, which no schema takes. */
function queryOf(ctx: Context): Record<string, unknown> {
  const query: Record<string, unknown> = {};
  const metadata: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(ctx.query)) {
    const [, key] = /^metadata\[(.+)\]$/.exec(name) ?? [];
    if (key === undefined) query[name] = value;
    else metadata[key] = value;
  }
  return Object.keys(metadata).length === 0 ? query : { ...query, metadata };
}

/** `Prefer: wait=N`; preferences that cannot be read are ignored, as RFC 7240 says. */
function waitOf(ctx: Context): number | null {
  const [, digits] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=[,;]|$)/i.exec(ctx.get('prefer')) ?? [];
  return digits === undefined ? null : Math.min(Number.parseInt(digits, 10), WAIT_SECONDS_MAX);
}

/** Answers leave in the shape that the document promises: unknown fields are dropped, missing ones are a bug. */
function shaped(route: Route, answer: Answer): Answer {
  const shape = route.answers[answer.status];
  if (shape === undefined || shape === null || typeof shape === 'string') return answer;
  return { ...answer, body: shape.parse(answer.body) };
}
