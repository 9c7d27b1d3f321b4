/** What every request gets: an id, an answer in problem form when something goes wrong, one line in the log. */
import type { Context, Middleware } from 'koa';
import { newId } from '../../domain/ids.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { ApiDeps } from '../deps.ts';
import { problemAnswer, toRefusal } from '../problem.ts';
import type { Answer } from '../route.ts';

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

export function send(ctx: Context, answer: Answer): void {
  ctx.status = answer.status;
  if (answer.body === undefined) ctx.body = null;
  else if (typeof answer.body === 'string' || Buffer.isBuffer(answer.body)) ctx.body = answer.body;
  else ctx.body = JSON.stringify(answer.body);
  if (answer.body === undefined) ctx.status = answer.status;
  else ctx.type = answer.headers?.['content-type'] ?? 'application/json';
  for (const [name, value] of Object.entries(answer.headers ?? {})) ctx.set(name, value);
}

/** Accepts the caller's request id or makes one; it is in every answer, log line, event and workflow memo. */
export const requestId: Middleware = async (ctx, next) => {
  const wanted = ctx.get('x-request-id');
  const valid = wanted === '' || REQUEST_ID.test(wanted);
  ctx.state['requestId'] = valid && wanted !== '' ? wanted : newId('request');
  ctx.set('X-Request-Id', requestIdOf(ctx));
  if (valid) return next();
  refuse(
    ctx,
    new Refusal('INVALID_HEADER', 'X-Request-Id: 1 to 128 letters, digits, dots, colons, dashes or underscores'),
  );
};

export const requestIdOf = (ctx: Context): string => String(ctx.state['requestId']);

export function refuse(ctx: Context, refusal: Refusal): void {
  send(ctx, problemAnswer(refusal, { instance: ctx.path, requestId: requestIdOf(ctx) }));
}

/** Errors become problems; what nobody expected is logged, never shown. */
export function problems({ log, stopping }: Pick<ApiDeps, 'log' | 'stopping'>): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const refusal = toRefusal(error);
      const line = { error, request_id: requestIdOf(ctx), method: ctx.method, path: ctx.path };
      if (refusal.reason === 'INTERNAL_ERROR') log.error(line, 'request.failed');
      else if (refusal.reason === 'UNAVAILABLE') log.warn(line, 'request.unavailable');
      refuse(ctx, refusal);
    } finally {
      // A process that stops keeps no connection open for a next request.
      if (stopping.aborted) ctx.set('Connection', 'close');
      const { status, method, path } = ctx;
      log.debug({ method, path, status, request_id: requestIdOf(ctx), key_id: ctx.state['keyId'] }, 'request.answered');
    }
  };
}

/** Runs behind the router: what no route has answered. */
export const unrouted: Middleware = async (ctx, next) => {
  await next();
  if (ctx.status === 405 || ctx.status === 501) {
    const allow = ctx.response.get('allow');
    throw new Refusal('METHOD_NOT_ALLOWED', `${ctx.method} is not allowed here`, { headers: { Allow: allow } });
  }
  if (ctx.status === 404 && ctx.body == null) throw new Refusal('NOT_FOUND', 'there is nothing at this path');
};
