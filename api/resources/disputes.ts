/** Disputes: opened on an order, argued about, decided by somebody who is not a party. */
import { z } from 'zod';
import {
  type DisputeResource,
  appendComment,
  appendEvidence,
  findDispute,
  listDisputes,
  partyNames,
} from '../../db/resources/dispute.ts';
import { findOrder } from '../../db/resources/order.ts';
import { pool } from '../../db/sql.ts';
import { type StatedSplit, shareOut, sharesOf } from '../../domain/dispute/decision.ts';
import { newId } from '../../domain/ids.ts';
import { ACTOR_MAX, DISPUTE_COMMENTS_MAX, DISPUTE_EVIDENCE_MAX, MILESTONES_MAX } from '../../domain/limits.ts';
import { parseAmount } from '../../domain/money.ts';
import { Refusal, Unavailable, refuseField } from '../../domain/refusal.ts';
import { DisputeSchema } from '../../domain/resources/dispute.ts';
import type { OrderResource } from '../../domain/resources/order.ts';
import { DISPUTE_DECISIONS, DISPUTE_REASONS, DISPUTE_STATUSES, PARTIES } from '../../domain/statuses.ts';
import { append, disputeAnswer, disputeOf, driveDispute, invalidState, untilApplied } from '../disputes.ts';
import {
  EvidenceInput,
  IdParams,
  MilestoneRef,
  MilestoneRefs,
  ShareInput,
  commaList,
  flagQuery,
  given,
  listAnswer,
  listOf,
  pageQuery,
  text,
} from '../inputs.ts';
import { type Answer, type Call, found, marketplaceOf, route } from '../route.ts';
import { whenChanged, whenSettled } from '../waiting.ts';
import { DRY_RUN_ANSWER, demandParts, preview, wholeBalance } from './dry-run.ts';
import { demandMilestones } from './milestones.ts';
import { drive } from './order-verbs.ts';

const OpenBody = z.strictObject({
  opened_by: z.enum(PARTIES),
  reason: z.enum(DISPUTE_REASONS),
  description: text(2_000).nullish(),
  milestone_refs: MilestoneRefs.nullish(),
  evidence: EvidenceInput.nullish(),
});

type OpenCall = Call<{ id: string }, { dry_run?: boolean | undefined }, z.output<typeof OpenBody>>;

const pieces = (evidence: z.output<typeof EvidenceInput>) =>
  evidence.map((piece) => ({ ...piece, note: given(piece.note) }));

async function open(call: OpenCall): Promise<Answer> {
  const { body } = call;
  const marketplaceId = marketplaceOf(call).id;
  const id = call.idempotency?.resourceId ?? newId('dispute');
  const look = () => findDispute(pool(call.deps.orm), marketplaceId, id);
  const known = await look();
  if (known !== null) return disputeAnswer(201, known);
  const refs = given(body.milestone_refs);
  const order = await demandMilestones(call, refs ?? []);
  if (call.query.dry_run === true) {
    demandParts(order, 'dispute', refs);
    return preview(order, []);
  }
  const { opened_by, reason, description, evidence } = body;
  const dispute = {
    id,
    opened_by,
    reason,
    description: given(description),
    evidence: pieces(evidence ?? []),
  };
  const about = refs === null ? {} : { milestone_refs: refs };
  await drive(call, (request) => ({ verb: 'dispute', request: { ...request, ...about, dispute } }));
  const opened = await look();
  if (opened === null) throw new Unavailable('the dispute was not opened in time');
  return disputeAnswer(201, opened);
}

const ResolveBody = z.strictObject({
  decision: z.enum(DISPUTE_DECISIONS),
  release_amount: ShareInput.nullish(),
  refund_amount: ShareInput.nullish(),
  milestones: z
    .array(z.strictObject({ milestone_ref: MilestoneRef, release_amount: ShareInput, refund_amount: ShareInput }))
    .max(MILESTONES_MAX)
    .nullish()
    .meta({ description: 'A SPLIT of more than one milestone' }),
  note: text(2_000).nullish(),
  resolved_by: text(ACTOR_MAX),
});
type ResolveCall = Call<{ id: string }, { dry_run?: boolean | undefined }, z.output<typeof ResolveBody>>;

interface Part {
  readonly index: number | null;
  readonly ref: string | null;
  readonly sellerId: string;
  readonly amount: string;
}

/** The parts in dispute, in the order of their milestones; amounts in stroops. */
function partsOf(dispute: DisputeResource, order: OrderResource): Part[] {
  const disputed = order.milestones.filter(({ milestone_ref: ref }) => dispute.milestone_refs.includes(ref));
  if (disputed.length === 0)
    return [{ index: null, ref: null, sellerId: order.seller_id, amount: parseAmount(dispute.amount).toString() }];
  return disputed.map(({ index, milestone_ref: ref, seller_id: sellerId, amount }) => ({
    index,
    ref,
    sellerId,
    amount: parseAmount(amount).toString(),
  }));
}

/** @throws Refusal VALIDATION_ERROR */
function splitsOf({ body }: ResolveCall, parts: readonly Part[]): StatedSplit[] {
  const { decision, release_amount: release, refund_amount: refund, milestones } = body;
  const stated = { '/release_amount': release, '/refund_amount': refund, '/milestones': milestones };
  const refuse = (pointer: string, detail: string) => refuseField(pointer, 'CONFLICT', detail);
  if (decision !== 'SPLIT') {
    const [extra] = Object.entries(stated).filter(([, value]) => value != null);
    if (extra !== undefined) throw refuse(extra[0], `${decision} has no amounts: leave it out`);
    return [];
  }
  if (milestones != null) {
    if (release != null || refund != null) throw refuse('/milestones', 'state either milestones or amounts');
    return milestones.map((one) => ({
      ref: one.milestone_ref,
      release: one.release_amount,
      refund: one.refund_amount,
    }));
  }
  if (parts.length > 1) throw refuseField('/milestones', 'REQUIRED', 'name each milestone in dispute');
  if (release == null) throw refuseField('/release_amount', 'REQUIRED', 'this field is required');
  if (refund == null) throw refuseField('/refund_amount', 'REQUIRED', 'this field is required');
  return [{ ref: parts[0]?.ref ?? null, release, refund }];
}

/** @throws Refusal NOT_FOUND naming each milestone that the order does not have */
function demandKnown({ body: { milestones } }: ResolveCall, order: OrderResource): void {
  const errors = (milestones ?? []).flatMap(({ milestone_ref: ref }, index) =>
    order.milestones.some((known) => known.milestone_ref === ref)
      ? []
      : [{ pointer: `/milestones/${index}/milestone_ref`, code: 'NOT_FOUND', detail: `there is no milestone ${ref}` }],
  );
  if (errors[0] !== undefined) throw new Refusal('NOT_FOUND', errors[0].detail, { errors });
}

/** How long a withdrawal waits for its order: a signal and a database step. */
const APPLIED_WITHIN_MS = 5_000;

async function resolve(call: ResolveCall): Promise<Answer> {
  const { body, deps } = call;
  const end = Date.now() + (call.wait ?? 0) * 1_000;
  const db = pool(deps.orm);
  const dispute = await disputeOf(call);
  const order = found(await findOrder(db, marketplaceOf(call).id, dispute.order_id), 'order');
  if ((await partyNames(db, order.id)).has(body.resolved_by))
    throw refuseField('/resolved_by', 'PARTY', 'who decides is not one of the parties');
  demandKnown(call, order);
  const parts = partsOf(dispute, order);
  const shared = sharesOf(parts, body.decision, splitsOf(call, parts));
  if (!('shares' in shared)) {
    const place = (body.milestones ?? []).findIndex(({ milestone_ref: ref }) => ref === shared.ref);
    const pointer = body.milestones == null ? '/release_amount' : place < 0 ? '/milestones' : `/milestones/${place}`;
    throw refuseField(pointer, 'SUM', shared.problem);
  }
  const { shares } = shared;
  if (call.query.dry_run === true) {
    if (!dispute.allowed.includes('resolve')) throw invalidState(dispute, 'resolve');
    const whole = body.decision === 'FULL_RELEASE' ? null : await wholeBalance(call, order);
    return preview(
      order,
      (shareOut(parts, shares) ?? []).map(({ index, ref, sellerId, amount, shares: { seller, buyer } }) => ({
        milestoneRef: ref,
        sellerId,
        base: index === null && whole !== null ? whole : BigInt(amount),
        shares: { seller: BigInt(seller), buyer: BigInt(buyer) },
      })),
    );
  }
  const operationId = await driveDispute(call, 'resolve', (request, options) =>
    deps.workflows.resolveDispute(
      { ...request, decision: body.decision, shares, note: given(body.note), resolved_by: body.resolved_by },
      options,
    ),
  );
  const answer = await whenSettled(call, operationId, () => disputeOf(call), disputeAnswer);
  if (answer.status === 200) await untilApplied(call, end - Date.now());
  return answer;
}

const support = { keys: 'marketplace', scope: 'support' } as const;
const write = { keys: 'marketplace', scope: 'write' } as const;
const verb = { method: 'post', tag: 'disputes', params: IdParams } as const;

const tooMany = (what: string, most: number): Refusal =>
  new Refusal('LIMIT_EXCEEDED', `a dispute takes at most ${most} ${what}`);

export const DISPUTE_ROUTES = [
  route({
    ...verb,
    path: '/orders/:id/resolution/dispute',
    summary: 'Open a dispute about an order, or about some of its milestones',
    access: write,
    query: z.strictObject({ dry_run: flagQuery }),
    body: OpenBody,
    allots: 'dispute',
    answers: { 201: DisputeSchema, 200: DRY_RUN_ANSWER },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE'],
    handle: open,
  }),
  route({
    method: 'get',
    path: '/disputes',
    tag: 'disputes',
    summary: 'List disputes',
    access: support,
    query: z.strictObject({
      ...pageQuery,
      order_id: z.string().optional(),
      status: commaList(DISPUTE_STATUSES),
      opened_by: z.enum(PARTIES).optional(),
    }),
    answers: { 200: listOf(DisputeSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listDisputes(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/disputes/:id',
    tag: 'disputes',
    summary: 'Get a dispute; with If-None-Match and `Prefer: wait=N` when it has changed',
    access: support,
    params: IdParams,
    waits: true,
    answers: { 200: DisputeSchema, 304: null },
    reasons: ['NOT_FOUND'],
    handle: (call) =>
      whenChanged(
        call,
        () => disputeOf(call),
        (dispute) => disputeAnswer(200, dispute),
      ),
  }),
  route({
    ...verb,
    path: '/disputes/:id/assign',
    summary: 'Give a dispute to somebody who looks into it',
    access: support,
    body: z.strictObject({ assigned_to: text(ACTOR_MAX) }),
    answers: { 200: DisputeSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE'],
    handle: async (call) => {
      await driveDispute(call, 'assign', (request, options) =>
        call.deps.workflows.assignDispute({ ...request, assigned_to: call.body.assigned_to }, options),
      );
      return disputeAnswer(200, await disputeOf(call));
    },
  }),
  route({
    ...verb,
    path: '/disputes/:id/evidence',
    summary: 'Append evidence; what is there is never changed',
    access: write,
    body: z.strictObject({ by: text(ACTOR_MAX), evidence: EvidenceInput.min(1) }),
    answers: { 200: DisputeSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE', 'LIMIT_EXCEEDED'],
    handle: (call) =>
      append(call, 'evidence', async (trx, { id, evidence: before }) => {
        const { by, evidence } = call.body;
        if (before.length + evidence.length > DISPUTE_EVIDENCE_MAX)
          throw tooMany('pieces of evidence', DISPUTE_EVIDENCE_MAX);
        const added = await appendEvidence(trx, id, by, pieces(evidence));
        return { type: 'dispute.evidence_added', change: { evidence: added } };
      }),
  }),
  route({
    ...verb,
    path: '/disputes/:id/comments',
    summary: 'Append a comment',
    access: write,
    body: z.strictObject({ by: text(ACTOR_MAX), text: text(2_000) }),
    answers: { 200: DisputeSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'LIMIT_EXCEEDED'],
    handle: (call) =>
      append(call, 'comments', async (trx, { id, comments }) => {
        if (comments.length >= DISPUTE_COMMENTS_MAX) throw tooMany('comments', DISPUTE_COMMENTS_MAX);
        const comment = await appendComment(trx, id, call.body.by, call.body.text);
        return { type: 'dispute.commented', change: { comment } };
      }),
  }),
  route({
    ...verb,
    path: '/disputes/:id/withdraw',
    summary: 'Withdraw a dispute: by its opener, before it is decided; the order goes on',
    access: write,
    body: z.strictObject({ by: z.enum(PARTIES) }),
    answers: { 200: DisputeSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE'],
    handle: async (call) => {
      const { by } = call.body;
      const { opened_by: opener } = await disputeOf(call);
      if (by !== opener) throw refuseField('/by', 'NOT_OPENER', `the ${opener} opened it`);
      await driveDispute(call, 'withdraw', (request, options) =>
        call.deps.workflows.withdrawDispute({ ...request, by }, options),
      );
      await untilApplied(call, APPLIED_WITHIN_MS);
      return disputeAnswer(200, await disputeOf(call));
    },
  }),
  route({
    ...verb,
    path: '/disputes/:id/resolve',
    summary: 'Decide a dispute; amounts are before fees and sum to what is in dispute',
    access: support,
    query: z.strictObject({ dry_run: flagQuery }),
    body: ResolveBody,
    waits: true,
    answers: { 202: DisputeSchema, 200: z.union([DisputeSchema, DRY_RUN_ANSWER]) },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE', 'MARKETPLACE_PAUSED', 'OPERATION_FAILED'],
    handle: resolve,
  }),
];
