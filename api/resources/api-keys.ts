/** API keys of the caller's own marketplace (or of the platform), and who the caller is. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { endApiKey, listApiKeys, lockApiKey } from '../../db/resources/api-key.ts';
import { pool } from '../../db/sql.ts';
import { refuseField } from '../../domain/refusal.ts';
import { ApiKeySchema } from '../../domain/resources/marketplace.ts';
import { SCOPES } from '../../domain/statuses.ts';
import { IdParams, TimeInput, given, listAnswer, listOf, pageQuery, text } from '../inputs.ts';
import { createKey } from '../keys.ts';
import { type Call, found, route } from '../route.ts';

const NewKeySchema = ApiKeySchema.extend({ api_key: z.string() }).meta({
  id: 'NewApiKey',
  description: '`api_key` is shown here only',
});
const MeSchema = z
  .object({
    api_key: ApiKeySchema,
    marketplace: z.object({ id: z.string(), name: z.string() }).nullable(),
    network: z.string(),
  })
  .meta({ id: 'Me' });

function isNetwork(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  const widest = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : 0;
  if (widest === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number.parseInt(bits, 10) <= widest);
}

const CreateKeyBody = z.strictObject({
  name: text(100),
  person: text(100).nullish(),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  ip_allow: z.array(z.string().refine(isNetwork, 'FORMAT: an IP address or network like 10.0.0.0/8')).max(50).nullish(),
  expires_at: TimeInput.nullish(),
});

/** How long a rotated key works beside its successor. */
const OVERLAP_DEFAULT_S = 86_400;
const OVERLAP_MAX_S = 30 * 86_400;
const RotateBody = z.strictObject({ overlap_seconds: z.int().min(0).max(OVERLAP_MAX_S).nullish() });

const tenantOf = (call: Call): string | null => call.auth?.marketplace?.id ?? null;

export const API_KEY_ROUTES = [
  route({
    method: 'post',
    path: '/auth/api-keys',
    tag: 'auth',
    summary: 'Create an API key; it is shown once',
    access: { keys: 'any', scope: 'admin' },
    body: CreateKeyBody,
    secret: true,
    answers: { 201: NewKeySchema },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => {
      const { body, deps } = call;
      // A second person's approval is another person's key: who it is must be known.
      if (body.scopes.includes('support') && given(body.person) === null)
        throw refuseField('/person', 'REQUIRED', 'a key with the scope support names its person');
      if (body.expires_at != null && Date.parse(body.expires_at) <= Date.now())
        throw refuseField('/expires_at', 'VALUE', 'the key would have expired');
      return call.once(async (trx) => ({
        status: 201,
        body: await createKey(trx, deps.config.network, {
          marketplaceId: tenantOf(call),
          name: body.name,
          person: given(body.person),
          scopes: [...new Set(body.scopes)],
          ipAllow: body.ip_allow ?? [],
          expiresAt: given(body.expires_at),
        }),
      }));
    },
  }),
  route({
    method: 'get',
    path: '/auth/api-keys',
    tag: 'auth',
    summary: 'List the API keys that are not revoked',
    access: { keys: 'any', scope: 'admin' },
    query: z.strictObject(pageQuery),
    answers: { 200: listOf(ApiKeySchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listApiKeys(pool(call.deps.orm), tenantOf(call), call.query)),
  }),
  route({
    method: 'post',
    path: '/auth/api-keys/:id/rotate',
    tag: 'auth',
    summary: 'Replace a key; the old one works on for `overlap_seconds` (default one day)',
    access: { keys: 'any', scope: 'admin' },
    params: IdParams,
    body: RotateBody,
    secret: true,
    answers: { 201: NewKeySchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) =>
      call.once(async (trx) => {
        const old = found(await lockApiKey(trx, tenantOf(call), call.params.id), 'API key');
        await endApiKey(trx, old.id, call.body.overlap_seconds ?? OVERLAP_DEFAULT_S);
        const { name, person, scopes, ip_allow: ipAllow, expires_at: expiresAt } = old;
        const successor = { marketplaceId: tenantOf(call), name, person, scopes, ipAllow, expiresAt };
        return { status: 201, body: await createKey(trx, call.deps.config.network, successor) };
      }),
  }),
  route({
    method: 'delete',
    path: '/auth/api-keys/:id',
    tag: 'auth',
    summary: 'Revoke a key at once',
    access: { keys: 'any', scope: 'admin' },
    params: IdParams,
    answers: { 204: null },
    reasons: ['NOT_FOUND'],
    handle: async (call) =>
      call.once(async (trx) => {
        const key = found(await lockApiKey(trx, tenantOf(call), call.params.id), 'API key');
        await endApiKey(trx, key.id, 0);
        return { status: 204 };
      }),
  }),
  route({
    method: 'get',
    path: '/auth/me',
    tag: 'auth',
    summary: 'Who the caller is',
    access: { keys: 'any', scope: 'read' },
    answers: { 200: MeSchema },
    reasons: [],
    handle: async (call) => ({
      status: 200,
      body: {
        api_key: call.auth?.key,
        marketplace: call.auth?.marketplace ?? null,
        network: call.deps.config.network,
      },
    }),
  }),
];
