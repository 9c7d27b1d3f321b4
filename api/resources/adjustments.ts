/** Corrections of a user's balance by support: money of the marketplace's own wallet to the user's, or back. */
import { z } from 'zod';
import { type AdjustmentResource, findAdjustment, listAdjustments } from '../../db/resources/payment.ts';
import { findUser } from '../../db/resources/user.ts';
import { pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { Refusal, refuseField } from '../../domain/refusal.ts';
import { AdjustmentSchema } from '../../domain/resources/payment.ts';
import type { AdjustmentDirection } from '../../domain/statuses.ts';
import { canonical, sha256 } from '../hash.ts';
import {
  AmountInput,
  AssetInput,
  IdParams,
  ReasonBody,
  given,
  listAnswer,
  listOf,
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
import { type Answer, type Call, found, marketplaceOf, route } from '../route.ts';

const ADJUSTMENT: PaymentType<AdjustmentResource> = { type: 'adjustment', find: findAdjustment };

const AdjustBody = z.strictObject({
  amount: AmountInput,
  asset: AssetInput.nullish(),
  reason: text(500),
  reference: text(255).nullish(),
});

async function adjust(
  call: Call<{ id: string }, unknown, z.output<typeof AdjustBody>>,
  direction: AdjustmentDirection,
): Promise<Answer> {
  const { body, deps } = call;
  const marketplace = marketplaceOf(call);
  const user = found(await findUser(pool(deps.orm), marketplace.id, call.params.id), 'user');
  return createPayment(call, ADJUSTMENT, allottedId(call, ADJUSTMENT), async () => {
    if (marketplace.status === 'PAUSED')
      throw new Refusal('MARKETPLACE_PAUSED', 'the marketplace pays nothing out now');
    const asset = body.asset ?? marketplace.defaultAsset;
    if (!deps.config.assets.some(({ code }) => code === asset))
      throw refuseField('/asset', 'VALUE', 'this asset is not settled here; see /config');
    return {
      kind: 'ADJUSTMENT' as const,
      user_id: user.id,
      direction,
      amount: formatAmount(body.amount),
      asset,
      destination: null,
      client_ref: null,
      body_hash: sha256(canonical(body)),
      reason: body.reason,
      reference: given(body.reference),
      metadata: {},
      day_max: null,
    };
  });
}

const bySupport = { keys: 'marketplace', scope: 'support' } as const;

const adjustRoute = (direction: AdjustmentDirection, path: string, summary: string) =>
  route({
    method: 'post',
    path,
    tag: 'adjustments',
    summary,
    access: bySupport,
    params: IdParams,
    body: AdjustBody,
    allots: 'adjustment',
    needsKey: true,
    waits: true,
    answers: { 202: AdjustmentSchema, 200: AdjustmentSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INSUFFICIENT_FUNDS', 'MARKETPLACE_PAUSED', 'OPERATION_FAILED'],
    handle: (call) => adjust(call, direction),
  });

const verb = { method: 'post', tag: 'adjustments', access: bySupport, params: IdParams, body: ReasonBody } as const;

export const ADJUSTMENT_ROUTES = [
  adjustRoute(
    'CREDIT',
    '/users/:id/balance/credit',
    'Correct a balance upwards with the marketplace’s own money; another person approves it',
  ),
  adjustRoute('DEBIT', '/users/:id/balance/debit', 'Correct a balance downwards; another person approves it'),
  route({
    method: 'get',
    path: '/adjustments',
    tag: 'adjustments',
    summary: 'List adjustments',
    access: bySupport,
    query: z.strictObject(pageQuery),
    answers: { 200: listOf(AdjustmentSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listAdjustments(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/adjustments/:id',
    tag: 'adjustments',
    summary: 'Get an adjustment',
    access: bySupport,
    params: IdParams,
    answers: { 200: AdjustmentSchema },
    reasons: ['NOT_FOUND'],
    handle: async (call) => paymentAnswer(ADJUSTMENT, 200, await paymentOf(ADJUSTMENT, call, call.params.id)),
  }),
  route({
    ...verb,
    path: '/adjustments/:id/approve',
    summary: 'Approve an adjustment that another person asked for',
    waits: true,
    answers: { 202: AdjustmentSchema, 200: AdjustmentSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE', 'MARKETPLACE_PAUSED', 'OPERATION_FAILED'],
    handle: (call) => approvePayment(call, ADJUSTMENT),
  }),
  route({
    ...verb,
    path: '/adjustments/:id/cancel',
    summary: 'Cancel an adjustment before its transaction is signed',
    answers: { 200: AdjustmentSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE'],
    handle: (call) => cancelPayment(call, ADJUSTMENT),
  }),
];
