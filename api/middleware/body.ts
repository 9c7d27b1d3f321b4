/** Reads JSON bodies: wrong type 415, malformed 400, too large 413. */
import { bodyParser } from '@koa/bodyparser';
import type { Context } from 'koa';
import { BODY_BYTES_MAX } from '../../domain/limits.ts';
import { Refusal } from '../../domain/refusal.ts';

const parse = bodyParser({
  enableTypes: ['json'],
  jsonLimit: BODY_BYTES_MAX,
  parsedMethods: ['POST', 'PATCH', 'DELETE'],
  onError: (error) => {
    const status = 'status' in error ? error.status : 400;
    if (status === 413) throw new Refusal('BODY_TOO_LARGE', `a body has at most ${BODY_BYTES_MAX} bytes`);
    if (status === 415) throw new Refusal('UNSUPPORTED_MEDIA_TYPE', 'the content encoding or charset is not supported');
    throw new Refusal('MALFORMED_JSON', 'the body must be one JSON object in UTF-8');
  },
});

/**
 * The body of a request; `{}` when it has none.
 * @throws Refusal UNSUPPORTED_MEDIA_TYPE, MALFORMED_JSON, BODY_TOO_LARGE
 */
export async function readBody(ctx: Context): Promise<unknown> {
  const hasBody = ctx.get('transfer-encoding') !== '' || (ctx.request.length ?? 0) > 0;
  if (!hasBody) return {};
  // `is` answers null without a body, false for another type
  if (ctx.request.is('json', '+json') === false || !/^(utf-?8)?$/i.test(ctx.request.charset))
    throw new Refusal('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json in UTF-8');
  await parse(ctx, () => Promise.resolve());
  const body: unknown = ctx.request.body;
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Refusal('MALFORMED_JSON', 'the body must be one JSON object in UTF-8');
  return body;
}
