/** Marketplaces: tenants, for platform keys only. */
import { z } from 'zod';
import { recordAudit } from '../../db/audit.ts';
import {
  type MarketplaceTerms,
  findMarketplace,
  insertMarketplace,
  listMarketplaces,
  setMarketplaceStatus,
  updateMarketplace,
  walletsReady,
} from '../../db/resources/marketplace.ts';
import { openDisputes } from '../../db/resources/dispute.ts';
import { openOrders } from '../../db/resources/order.ts';
import { pool } from '../../db/sql.ts';
import { PLATFORM_FEE_BPS_MAX } from '../../domain/limits.ts';
import { DEFAULT_DEADLINES } from '../../domain/order/deadlines.ts';
import { refuseField } from '../../domain/refusal.ts';
import { MarketplaceSchema } from '../../domain/resources/marketplace.ts';
import { PAYMENT_PROVIDERS, SCOPES } from '../../domain/statuses.ts';
import {
  AmountInput,
  AssetInput,
  DeadlinesInput,
  IdParams,
  ReasonBody,
  given,
  listAnswer,
  listOf,
  pageQuery,
  text,
} from '../inputs.ts';
import type { ApiDeps } from '../deps.ts';
import { createKey } from '../keys.ts';
import { type Answer, BASE_PATH, type Call, found, route } from '../route.ts';

const NewMarketplaceSchema = MarketplaceSchema.extend({ api_key: z.string(), wallets_ready: z.boolean() }).meta({
  id: 'NewMarketplace',
  description: '`api_key` is shown here only',
});
const OneMarketplaceSchema = MarketplaceSchema.extend({ wallets_ready: z.boolean() }).meta({ id: 'MarketplaceDetail' });

const terms = {
  default_asset: AssetInput.nullish(),
  platform_fee_bps: z.int().min(0).max(PLATFORM_FEE_BPS_MAX).nullish(),
  deadlines: DeadlinesInput.nullish(),
  approval_threshold: AmountInput.nullish(),
};
const CreateBody = z.strictObject({
  name: text(100),
  ...terms,
  payment_provider: z
    .enum(PAYMENT_PROVIDERS)
    .nullish()
    .meta({ description: 'Who holds the keys of new users’ wallets' }),
});
const ChangeBody = z.strictObject({ name: text(100).nullish(), ...terms });

function checkAsset(call: Call, code: string): string {
  if (!call.deps.config.assets.some((asset) => asset.code === code))
    throw refuseField('/default_asset', 'VALUE', 'this asset is not settled here; see /config');
  return code;
}

/** Fields that were stated, null included. */
const stated = (input: Record<string, unknown> | null | undefined) =>
  Object.fromEntries(Object.entries(input ?? {}).filter(([, value]) => value !== undefined));

async function create(call: Call<unknown, unknown, z.output<typeof CreateBody>>): Promise<Answer> {
  const { body, deps } = call;
  const { assets, network, pools } = deps.config;
  const asset = checkAsset(call, body.default_asset ?? assets[0]?.code ?? '');
  const fresh: MarketplaceTerms = {
    name: body.name,
    default_asset: asset,
    platform_fee_bps: body.platform_fee_bps ?? 0,
    payment_provider: body.payment_provider ?? deps.config.paymentProvider,
    deadlines: { ...DEFAULT_DEADLINES, ...stated(body.deadlines) },
    approvalThreshold: given(body.approval_threshold),
  };
  let walletIds: string[] = [];
  const answer = await call.once(async (trx) => {
    const inserted = await insertMarketplace(trx, fresh, pools);
    walletIds = inserted.walletIds;
    const key = await createKey(trx, network, {
      marketplaceId: inserted.marketplace.id,
      name: 'first key',
      person: null,
      scopes: SCOPES,
      ipAllow: [],
      expiresAt: null,
    });
    return {
      status: 201,
      body: { ...inserted.marketplace, api_key: key.api_key, wallets_ready: false },
      headers: { Location: `${BASE_PATH}/marketplaces/${inserted.marketplace.id}` },
    };
  });
  // Nobody waits for it: the rows are what counts, and reconcile starts what does not start now.
  void deps.workflows
    .ensureWallets(walletIds)
    .catch((error: unknown) => deps.log.warn({ error, wallet_ids: walletIds }, 'marketplace.wallets_not_started'));
  return answer;
}

async function shown(call: Call<{ id: string }>): Promise<Answer> {
  const db = pool(call.deps.orm);
  const marketplace = found(await findMarketplace(db, call.params.id), 'marketplace');
  return { status: 200, body: { ...marketplace, wallets_ready: await walletsReady(db, marketplace.id) } };
}

async function change(call: Call<{ id: string }, unknown, z.output<typeof ChangeBody>>): Promise<Answer> {
  const { body } = call;
  await call.once(async (trx) => {
    const current = found(await findMarketplace(trx, call.params.id), 'marketplace');
    const updated = await updateMarketplace(trx, current.id, {
      ...(body.name == null ? {} : { name: body.name }),
      ...(body.default_asset == null ? {} : { default_asset: checkAsset(call, body.default_asset) }),
      ...(body.platform_fee_bps == null ? {} : { platform_fee_bps: body.platform_fee_bps }),
      ...(body.deadlines == null ? {} : { deadlines: { ...current.deadlines, ...stated(body.deadlines) } }),
      ...(body.approval_threshold === undefined ? {} : { approvalThreshold: body.approval_threshold }),
    });
    return { status: 200, body: updated };
  });
  return shown(call);
}

const platform = (scope: 'read' | 'write' | 'admin') => ({ keys: 'platform', scope }) as const;

/** Paused: nothing is paid out and deadlines wait; money coming in and reads go on. */
const setStatus = (verb: 'pause' | 'resume', status: 'PAUSED' | 'ACTIVE', summary: string) =>
  route({
    method: 'post',
    path: `/marketplaces/:id/${verb}`,
    tag: 'marketplaces',
    summary,
    access: platform('write'),
    params: IdParams,
    body: ReasonBody,
    answers: { 200: OneMarketplaceSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => {
      const { id } = call.params;
      const answer = await call.once(async (trx) => {
        const before = found(await setMarketplaceStatus(trx, id, status), 'marketplace');
        await recordAudit(trx, {
          marketplaceId: id,
          actor: call.origin.actor,
          requestId: call.origin.request_id,
          action: `marketplace.${verb}`,
          resource: { type: 'marketplace', id },
          before: { status: before },
          after: { status, reason: given(call.body.reason) },
        });
        const marketplace = found(await findMarketplace(trx, id), 'marketplace');
        return { status: 200, body: { ...marketplace, wallets_ready: await walletsReady(trx, id) } };
      });
      // Who is not told is found by reconcile.
      if (status === 'ACTIVE') await wakeWaiting(call.deps, id);
      return answer;
    },
  });

async function wakeWaiting({ orm, workflows, log }: ApiDeps, marketplaceId: string): Promise<void> {
  try {
    await workflows.wakeOrders(await openOrders(pool(orm), marketplaceId, 'RESUME'));
    await workflows.wakeDisputes(await openDisputes(pool(orm), marketplaceId));
  } catch (error) {
    log.warn({ error, marketplace_id: marketplaceId }, 'marketplace.not_woken');
  }
}

export const MARKETPLACE_ROUTES = [
  route({
    method: 'post',
    path: '/marketplaces',
    tag: 'marketplaces',
    summary: 'Create a marketplace with its own wallets and its first API key, which is shown once',
    access: platform('admin'),
    body: CreateBody,
    secret: true,
    answers: { 201: NewMarketplaceSchema },
    reasons: ['VALIDATION_ERROR'],
    handle: create,
  }),
  route({
    method: 'get',
    path: '/marketplaces',
    tag: 'marketplaces',
    summary: 'List marketplaces',
    access: platform('read'),
    query: z.strictObject(pageQuery),
    answers: { 200: listOf(MarketplaceSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listMarketplaces(pool(call.deps.orm), call.query)),
  }),
  route({
    method: 'get',
    path: '/marketplaces/:id',
    tag: 'marketplaces',
    summary: 'Get a marketplace',
    access: platform('read'),
    params: IdParams,
    answers: { 200: OneMarketplaceSchema },
    reasons: ['NOT_FOUND'],
    handle: shown,
  }),
  route({
    method: 'patch',
    path: '/marketplaces/:id',
    tag: 'marketplaces',
    summary: 'Change a marketplace; orders keep the terms they were made with',
    access: platform('write'),
    params: IdParams,
    body: ChangeBody,
    answers: { 200: OneMarketplaceSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: change,
  }),
  setStatus(
    'pause',
    'PAUSED',
    'Pause a marketplace: no withdrawal, release, refund or decision; money coming in, new orders and reads go on',
  ),
  setStatus('resume', 'ACTIVE', 'Resume a paused marketplace'),
];
