/** Who calls, and whether they may: before anything is read, stored or counted (F42, F46). */
import { BlockList, isIP } from 'node:net';
import type { Context } from 'koa';
import { type Authenticated, authenticate } from '../../db/resources/api-key.ts';
import { pool } from '../../db/sql.ts';
import { ACTOR_MAX } from '../../domain/limits.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { Origin } from '../../workflows/messages.ts';
import type { ApiDeps } from '../deps.ts';
import { sha256 } from '../hash.ts';
import { type Access, BASE_PATH } from '../route.ts';
import { isStorable } from '../validation.ts';
import { requestIdOf } from './request.ts';

/**
 * The key behind a request, checked against what the route asks for; null on public routes.
 * @throws Refusal UNAUTHENTICATED, INSUFFICIENT_SCOPE
 */
export async function authorize(ctx: Context, access: Access, deps: ApiDeps): Promise<Authenticated | null> {
  if (access.keys === 'public') return null;
  const token = bearer(ctx);
  const auth = token === null ? null : await authenticate(pool(deps.orm), sha256(token));
  if (auth === null || !addressAllowed(auth.key.ip_allow, ctx.ip))
    throw new Refusal('UNAUTHENTICATED', 'send a valid API key: Authorization: Bearer <api key>', {
      headers: { 'WWW-Authenticate': `Bearer realm="${BASE_PATH}"` },
    });
  ctx.state['keyId'] = auth.key.id;
  const belongs = auth.marketplace === null ? 'platform' : 'marketplace';
  if (access.keys !== 'any' && access.keys !== belongs)
    throw new Refusal('INSUFFICIENT_SCOPE', `this call needs a ${access.keys} key`);
  if (!auth.key.scopes.includes(access.scope))
    throw new Refusal('INSUFFICIENT_SCOPE', `this call needs the scope ${access.scope}`);
  return auth;
}

/** The key itself as it was sent. */
export const bearer = (ctx: Context): string | null => /^Bearer +(\S+)$/i.exec(ctx.get('authorization'))?.[1] ?? null;

function addressAllowed(allow: readonly string[], address: string): boolean {
  if (allow.length === 0) return true;
  const plain = address.replace(/^::ffff:/, '');
  const list = new BlockList();
  for (const entry of allow) {
    const [network = '', bits] = entry.split('/');
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number.parseInt(bits, 10), family);
  }
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Whose doing it is, for events and audit: `X-Actor` where the caller names somebody, else the key. It never authorises,
 * and it cannot pose as a key.
 * @throws Refusal INVALID_HEADER
 */
export function originOf(ctx: Context, auth: Authenticated | null): Origin {
  const actor = ctx.get('x-actor');
  if (actor.length > ACTOR_MAX || !isStorable(actor) || actor.startsWith('key_'))
    throw new Refusal('INVALID_HEADER', `X-Actor: at most ${ACTOR_MAX} characters, not beginning with key_`);
  return { request_id: requestIdOf(ctx), actor: actor === '' ? (auth?.key.id ?? null) : actor };
}
