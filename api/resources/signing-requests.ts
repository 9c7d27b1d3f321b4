/**
 * What users with their own wallet are asked to sign. Only GET of one pending request hands an envelope out: it is built
 * then, and from that moment on it may land.
 */
import { z } from 'zod';
import { findOrder } from '../../db/resources/order.ts';
import {
  type SigningRequestDetail,
  findSigningRequest,
  listSigningRequests,
} from '../../db/resources/signing-request.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { Refusal } from '../../domain/refusal.ts';
import { SigningRequestSchema } from '../../domain/resources/signing-request.ts';
import { signatureUri } from '../../domain/sep7.ts';
import { SIGNING_REQUEST_STATUSES } from '../../domain/statuses.ts';
import { NotRunning } from '../../workflows/client.ts';
import { updateIdOf } from '../idempotency.ts';
import { IdParams, commaList, listAnswer, listOf, pageQuery, text } from '../inputs.ts';
import { type Answer, BASE_PATH, type Call, found, marketplaceOf, route } from '../route.ts';
import { waitFor } from '../waiting.ts';

/** Building takes a provider's answer; the workflow itself gives up a little earlier. */
const TIMEOUT_MS = 25_000;
const ENVELOPE_MAX = 65_536;
/** SEP-7's limit of a message. */
const MESSAGE_MAX = 300;

type RequestCall = Call<{ id: string }>;

const requestOf = async (call: RequestCall): Promise<SigningRequestDetail> =>
  found(await findSigningRequest(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'signing request');

/** With the envelope as long as it is to be signed; its hash also afterwards. */
function shown(call: RequestCall, { resource, signer, live }: SigningRequestDetail) {
  if (live === null) return resource;
  if (resource.status !== 'PENDING') return { ...resource, hash: live.hash };
  const { network, stellar } = call.deps.config;
  const passphrase = network === 'public' ? null : stellar.passphrase;
  const message = resource.summary.slice(0, MESSAGE_MAX);
  return {
    ...resource,
    unsigned_envelope: live.envelope,
    hash: live.hash,
    sep7_uri: signatureUri(live.envelope, signer, message, passphrase),
  };
}

/** An update of the order's workflow; one that was lost is started from its row and asked again. */
async function ask(call: RequestCall, { orderId }: SigningRequestDetail, work: () => Promise<void>): Promise<void> {
  try {
    await work().catch(async (error: unknown) => {
      if (!(error instanceof NotRunning) || (await requestOf(call)).resource.status !== 'PENDING') throw error;
      await call.deps.workflows.resumeOrder(orderId);
      await work();
    });
  } catch (error) {
    if (error instanceof NotRunning) throw await stateRefusal(call, 'the request is over');
    if (error instanceof Refusal && error.reason === 'INVALID_STATE') throw await stateRefusal(call, error.message);
    throw error;
  }
}

async function stateRefusal(call: RequestCall, detail: string): Promise<Refusal> {
  const { resource } = await requestOf(call);
  return new Refusal('INVALID_STATE', detail, { current_status: resource.status, allowed: [], operation: null });
}

async function open(call: RequestCall): Promise<Answer> {
  const request = await requestOf(call);
  if (request.resource.status !== 'PENDING') return { status: 200, body: shown(call, request) };
  const { workflows } = call.deps;
  const options = { updateId: newId('request'), timeoutMs: TIMEOUT_MS };
  await ask(call, request, () => workflows.openSigningRequest(request.orderId, call.params.id, options));
  return { status: 200, body: shown(call, await requestOf(call)) };
}

async function sign(call: Call<{ id: string }, unknown, { signed_envelope: string }>): Promise<Answer> {
  const request = await requestOf(call);
  const { deps, idempotency, wait } = call;
  const { status } = request.resource;
  // A repeat of the call that signed learns what became of it; anybody else comes too late.
  if (status !== 'PENDING' && idempotency?.repeated !== true)
    throw await stateRefusal(call, status === 'EXPIRED' ? 'the request has expired' : 'the request is signed already');
  const updateId = idempotency === null ? newId('request') : updateIdOf(idempotency);
  const signature = { signing_request_id: call.params.id, signed_envelope: call.body.signed_envelope };
  // Once it has landed there is nothing to check any more.
  if (status === 'PENDING')
    await ask(call, request, () =>
      deps.workflows.submitSignature(request.orderId, signature, { updateId, timeoutMs: TIMEOUT_MS }),
    );
  const settled = await waitFor(
    async () => {
      const now = await requestOf(call);
      return now.resource.status === 'PENDING' ? null : now;
    },
    { ms: (wait ?? 0) * 1_000, signal: deps.stopping },
  );
  const applied = wait === null ? {} : { 'Preference-Applied': `wait=${wait}` };
  if (wait !== null && settled?.resource.status === 'EXPIRED') throw await notPaid(call, settled.orderId, applied);
  const headers = { Location: `${BASE_PATH}/signing-requests/${call.params.id}`, ...applied };
  return {
    status: settled === null || wait === null ? 202 : 200,
    body: shown(call, settled ?? (await requestOf(call))),
    headers,
  };
}

/** What was signed is proved dead, and the order goes another way. */
async function notPaid(call: RequestCall, orderId: string, headers: Record<string, string>): Promise<Refusal> {
  const order = await findOrder(pool(call.deps.orm), marketplaceOf(call).id, orderId);
  const operation = order?.operation ?? null;
  const detail = operation?.error?.detail ?? 'the request has expired: nothing was paid';
  return new Refusal('OPERATION_FAILED', detail, { operation, headers });
}

export const SIGNING_REQUEST_ROUTES = [
  route({
    method: 'get',
    path: '/signing-requests',
    tag: 'signing',
    summary: 'List what users with their own wallet are asked to sign; without envelopes',
    access: { keys: 'marketplace', scope: 'write' },
    query: z.strictObject({
      ...pageQuery,
      user_id: z.string().optional(),
      order_id: z.string().optional(),
      status: commaList(SIGNING_REQUEST_STATUSES),
    }),
    answers: { 200: listOf(SigningRequestSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) =>
      listAnswer(await listSigningRequests(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/signing-requests/:id',
    tag: 'signing',
    summary: 'Open a request: the envelope to sign is built and handed out',
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    answers: { 200: SigningRequestSchema },
    reasons: [
      'NOT_FOUND',
      'INVALID_STATE',
      'INSUFFICIENT_FUNDS',
      'ENVELOPE_REJECTED',
      'TRUSTLINE_UNUSABLE',
      'UNAVAILABLE',
    ],
    handle: open,
  }),
  route({
    method: 'post',
    path: '/signing-requests/:id/signature',
    tag: 'signing',
    summary: "Hand in the user's signature; the fee is paid by the platform",
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    body: z.strictObject({ signed_envelope: text(ENVELOPE_MAX) }),
    waits: true,
    answers: { 200: SigningRequestSchema, 202: SigningRequestSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE', 'OPERATION_FAILED', 'UNAVAILABLE'],
    handle: sign,
  }),
];
