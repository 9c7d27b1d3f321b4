/** Withdrawals: money of users, or the marketplace's earned fees, to an address of their choice. */
import { z } from 'zod';
import {
  type WithdrawalResource,
  findWithdrawal,
  findWithdrawalByRef,
  listWithdrawals,
} from '../../db/resources/payment.ts';
import { userStatuses } from '../../db/resources/user.ts';
import { pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { whyUnpayable } from '../../domain/payment/destination.ts';
import type { Destination } from '../../domain/payment/shapes.ts';
import { Refusal, refuseField } from '../../domain/refusal.ts';
import { WithdrawalSchema } from '../../domain/resources/payment.ts';
import { PAYMENT_STATUSES } from '../../domain/statuses.ts';
import { DestinationInput, destinationOf, unpayable } from '../destination.ts';
import { canonical, sha256 } from '../hash.ts';
import {
  AmountInput,
  AssetInput,
  IdParams,
  MetadataInput,
  ReasonBody,
  commaList,
  given,
  listAnswer,
  listOf,
  metadataQuery,
  pageQuery,
  text,
} from '../inputs.ts';
import {
  type PaymentType,
  allottedId,
  approvePayment,
  cancelPayment,
  createPayment,
  paymentAnswer,
  paymentOf,
} from '../payments.ts';
import { type Answer, type Call, marketplaceOf, route } from '../route.ts';
import { whenChanged } from '../waiting.ts';

const WITHDRAWAL: PaymentType<WithdrawalResource> = { type: 'withdrawal', find: findWithdrawal };

const CreateBody = z.strictObject({
  from: z.enum(['USER', 'FEES']).nullish().meta({ description: 'FEES: the earned fees of the marketplace (admin)' }),
  user_id: z.string().nullish().meta({ description: 'Required unless `from` is FEES' }),
  amount: AmountInput,
  asset: AssetInput.nullish(),
  destination: DestinationInput,
  client_ref: text(255).nullish(),
  metadata: MetadataInput.nullish(),
});
type CreateCall = Call<unknown, unknown, z.output<typeof CreateBody>>;

async function create(call: CreateCall): Promise<Answer> {
  const { body } = call;
  const bodyHash = sha256(canonical(body));
  const id = allottedId(call, WITHDRAWAL);
  if (body.from === 'FEES' && call.auth?.key.scopes.includes('admin') !== true)
    throw new Refusal('INSUFFICIENT_SCOPE', 'paying out earned fees needs the scope admin');
  const known = await knownByRef(call, bodyHash, id);
  if (known !== null) return paymentAnswer(WITHDRAWAL, 200, known);
  try {
    return await createPayment(call, WITHDRAWAL, id, () => termsOf(call, bodyHash));
  } catch (error) {
    // Lost the race for the reference to an equal withdrawal.
    const raced = error instanceof Refusal && error.reason === 'CLIENT_REF_REUSED';
    const other = raced ? await knownByRef(call, bodyHash, id) : null;
    if (other === null) throw error;
    return paymentAnswer(WITHDRAWAL, 200, other);
  }
}

/** The withdrawal that another call with the same reference made. @throws Refusal CLIENT_REF_REUSED */
async function knownByRef(call: CreateCall, bodyHash: string, id: string): Promise<WithdrawalResource | null> {
  const reference = given(call.body.client_ref);
  const db = pool(call.deps.orm);
  const known = reference === null ? null : await findWithdrawalByRef(db, marketplaceOf(call).id, reference);
  if (known === null || known.id === id) return null;
  if (known.bodyHash !== bodyHash)
    throw new Refusal('CLIENT_REF_REUSED', 'a withdrawal with this reference was made from another body', {
      withdrawal_id: known.id,
    });
  return paymentOf(WITHDRAWAL, call, known.id);
}

/** What is asked for, looked at before anything is held. @throws Refusal */
async function termsOf(call: CreateCall, bodyHash: string) {
  const { body, deps } = call;
  const marketplace = marketplaceOf(call);
  const { dayMax } = deps.config.withdrawalLimits;
  if (marketplace.status === 'PAUSED') throw new Refusal('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
  const userId = await payerOf(call);
  const asset = assetOf(call, body.asset ?? marketplace.defaultAsset);
  demandLimits(call);
  const destination = destinationOf(body.destination);
  await demandPayable(call, destination, asset);
  return {
    kind: 'WITHDRAWAL' as const,
    user_id: userId,
    direction: null,
    amount: formatAmount(body.amount),
    asset: asset.code,
    destination,
    client_ref: given(body.client_ref),
    body_hash: bodyHash,
    reason: null,
    reference: null,
    metadata: body.metadata ?? {},
    day_max: dayMax === null ? null : formatAmount(dayMax),
  };
}

async function payerOf(call: CreateCall): Promise<string | null> {
  const { from, user_id: userId } = call.body;
  if (from === 'FEES') {
    if (userId != null) throw refuseField('/user_id', 'CONFLICT', 'earned fees belong to no user: leave it out');
    return null;
  }
  if (userId == null) throw refuseField('/user_id', 'REQUIRED', 'this field is required');
  const status = (await userStatuses(pool(call.deps.orm), marketplaceOf(call).id, [userId])).get(userId);
  const detail = 'there is no such user';
  if (status === undefined)
    throw new Refusal('NOT_FOUND', detail, { errors: [{ pointer: '/user_id', code: 'NOT_FOUND', detail }] });
  if (status === 'SUSPENDED') throw new Refusal('USER_SUSPENDED', `user ${userId} is suspended`);
  return userId;
}

function assetOf(call: CreateCall, code: string) {
  const asset = call.deps.config.assets.find((candidate) => candidate.code === code);
  if (asset === undefined) throw refuseField('/asset', 'VALUE', 'this asset is not settled here; see /config');
  return asset;
}

function demandLimits({ body: { amount }, deps }: CreateCall): void {
  const { min, max } = deps.config.withdrawalLimits;
  if (amount >= min && (max === null || amount <= max)) return;
  const upTo = max === null ? 'or more' : `to ${formatAmount(max)}`;
  const detail = `the amount of a withdrawal is ${formatAmount(min)} ${upTo}`;
  throw new Refusal('LIMIT_EXCEEDED', detail, { errors: [{ pointer: '/amount', code: 'LIMIT_EXCEEDED', detail }] });
}

/** A provider that is down keeps nobody from asking: the destination is looked at again before anything is signed. */
async function demandPayable(
  call: CreateCall,
  { address, account, memo }: Destination,
  asset: { readonly code: string; readonly issuer: string },
): Promise<void> {
  const { chainDestination, log } = call.deps;
  const view = await chainDestination(account, asset).catch((error: unknown) => {
    log.warn({ error, request_id: call.origin.request_id }, 'chain.unreadable');
    return null;
  });
  if (view === null) return;
  const named = memo !== null || address !== account;
  const problem = whyUnpayable(view, { amount: call.body.amount, asset: asset.code, named });
  if (problem !== null) throw unpayable(problem);
}

const verb = { method: 'post', tag: 'withdrawals', params: IdParams, body: ReasonBody } as const;
const bySupport = { keys: 'marketplace', scope: 'support' } as const;

export const WITHDRAWAL_ROUTES = [
  route({
    method: 'post',
    path: '/withdrawals',
    tag: 'withdrawals',
    summary: 'Pay money out; from the marketplace’s threshold on another person approves it first',
    access: { keys: 'marketplace', scope: 'write' },
    body: CreateBody,
    allots: 'withdrawal',
    needsKey: true,
    waits: true,
    answers: { 202: WithdrawalSchema, 200: WithdrawalSchema },
    reasons: [
      'VALIDATION_ERROR',
      'NOT_FOUND',
      'INSUFFICIENT_FUNDS',
      'LIMIT_EXCEEDED',
      'DESTINATION_INVALID',
      'CLIENT_REF_REUSED',
      'USER_SUSPENDED',
      'MARKETPLACE_PAUSED',
      'OPERATION_FAILED',
    ],
    handle: create,
  }),
  route({
    method: 'get',
    path: '/withdrawals',
    tag: 'withdrawals',
    summary: 'List withdrawals',
    access: { keys: 'marketplace', scope: 'read' },
    query: z.strictObject({
      ...pageQuery,
      user_id: z.string().optional(),
      status: commaList(PAYMENT_STATUSES),
      client_ref: z.string().optional(),
      metadata: metadataQuery,
    }),
    answers: { 200: listOf(WithdrawalSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listWithdrawals(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/withdrawals/:id',
    tag: 'withdrawals',
    summary: 'Get a withdrawal; with If-None-Match and `Prefer: wait=N` when it has changed',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    waits: true,
    answers: { 200: WithdrawalSchema, 304: null },
    reasons: ['NOT_FOUND'],
    handle: (call) =>
      whenChanged(
        call,
        () => paymentOf(WITHDRAWAL, call, call.params.id),
        (withdrawal) => paymentAnswer(WITHDRAWAL, 200, withdrawal),
      ),
  }),
  route({
    ...verb,
    path: '/withdrawals/:id/approve',
    summary: 'Approve a withdrawal that another person asked for',
    access: bySupport,
    waits: true,
    answers: { 202: WithdrawalSchema, 200: WithdrawalSchema },
    reasons: [
      'NOT_FOUND',
      'VALIDATION_ERROR',
      'INVALID_STATE',
      'USER_SUSPENDED',
      'MARKETPLACE_PAUSED',
      'OPERATION_FAILED',
    ],
    handle: (call) => approvePayment(call, WITHDRAWAL),
  }),
  route({
    ...verb,
    path: '/withdrawals/:id/cancel',
    summary: 'Cancel a withdrawal before its transaction is signed; the money is available again',
    access: bySupport,
    answers: { 200: WithdrawalSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE'],
    handle: (call) => cancelPayment(call, WITHDRAWAL),
  }),
];
