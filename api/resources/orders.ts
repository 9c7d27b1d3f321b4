/** Orders: created through their workflow, read from the tables. The verbs are in order-verbs.ts. */
import { z } from 'zod';
import { type OrderResource, findOrder, findOrderByRef, listOrders, orderProgress } from '../../db/resources/order.ts';
import { userStatuses } from '../../db/resources/user.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { DESCRIPTION_MAX, MILESTONES_MAX, PLATFORM_FEE_BPS_MAX, TITLE_MAX } from '../../domain/limits.ts';
import { formatAmount } from '../../domain/money.ts';
import { DEFAULT_DEADLINES, type DeadlineTerms } from '../../domain/order/deadlines.ts';
import { Refusal, refuseField } from '../../domain/refusal.ts';
import { OrderSchema } from '../../domain/resources/order.ts';
import { ORDER_STATUSES } from '../../domain/statuses.ts';
import { NotRunning } from '../../workflows/client.ts';
import { canonical, sha256 } from '../hash.ts';
import { updateIdOf } from '../idempotency.ts';
import {
  AmountInput,
  AssetInput,
  DeadlinesInput,
  IdParams,
  MetadataInput,
  MilestoneRef,
  commaList,
  createdQuery,
  flagQuery,
  given,
  listAnswer,
  listOf,
  metadataQuery,
  pageQuery,
  text,
} from '../inputs.ts';
import { type Answer, BASE_PATH, type Call, found, marketplaceOf, route } from '../route.ts';
import { waitFor, whenChanged } from '../waiting.ts';

const CREATE_TIMEOUT_MS = 10_000;

const MilestonesInput = z
  .array(
    z.strictObject({
      milestone_ref: MilestoneRef,
      title: text(TITLE_MAX),
      amount: AmountInput,
      seller_id: z.string().nullish(),
    }),
  )
  .max(MILESTONES_MAX, `TOO_MANY: at most ${MILESTONES_MAX} milestones`);

const CreateOrderBody = z.strictObject({
  client_order_ref: text(255).nullish(),
  buyer_id: z.string(),
  seller_id: z.string(),
  amount: AmountInput,
  asset: AssetInput.nullish(),
  title: text(TITLE_MAX),
  description: text(DESCRIPTION_MAX).nullish(),
  platform_fee_bps: z.int().min(0).max(PLATFORM_FEE_BPS_MAX).nullish(),
  auto: z.boolean().nullish(),
  milestones: MilestonesInput.nullish(),
  deadlines: DeadlinesInput.nullish(),
  metadata: MetadataInput.nullish(),
});
type CreateOrderBody = z.output<typeof CreateOrderBody>;

export const orderAnswer = (status: number, order: OrderResource): Answer => ({
  status,
  body: order,
  headers: {
    ETag: `"${order.version}"`,
    ...(status === 201 || status === 202 ? { Location: `${BASE_PATH}/orders/${order.id}` } : {}),
  },
});

export const orderOf = async (call: Call<{ id: string }>): Promise<OrderResource> =>
  found(await findOrder(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'order');

async function createOrder(call: Call<unknown, unknown, CreateOrderBody>): Promise<Answer> {
  const { deps, body, idempotency } = call;
  const marketplace = marketplaceOf(call);
  const bodyHash = sha256(canonical(body));
  const orderId = idempotency?.resourceId ?? newId('order');
  const known = await knownOrder(call, marketplace.id, bodyHash, orderId);
  if (known !== null) return known;
  checkMilestones(body);
  await checkParties(call, marketplace.id);
  const asset = checkTerms(call, body.asset ?? marketplace.defaultAsset);
  try {
    await deps.workflows.createOrder(
      {
        ...call.origin,
        order_id: orderId,
        marketplace_id: marketplace.id,
        client_order_ref: given(body.client_order_ref),
        body_hash: bodyHash,
        buyer_id: body.buyer_id,
        seller_id: body.seller_id,
        amount: formatAmount(body.amount),
        asset,
        title: body.title,
        description: given(body.description),
        platform_fee_bps: body.platform_fee_bps ?? marketplace.platformFeeBps,
        auto: body.auto ?? false,
        deadlines: deadlinesOf(body.deadlines, marketplace.deadlines),
        metadata: body.metadata ?? {},
        ...milestonesOf(body),
      },
      { updateId: idempotency === null ? newId('request') : updateIdOf(idempotency), timeoutMs: CREATE_TIMEOUT_MS },
    );
  } catch (error) {
    // Lost the race for the reference to an equal order; or created long ago by this very call.
    const raced = (error instanceof Refusal && error.reason === 'CLIENT_REF_REUSED') || error instanceof NotRunning;
    const other = raced ? await knownOrder(call, marketplace.id, bodyHash, orderId) : null;
    if (other === null) throw withoutOrder(error);
    return other;
  }
  return orderAnswer(201, found(await findOrder(pool(deps.orm), marketplace.id, orderId), 'order'));
}

/** A party's wallet is closed: there is no order yet whose state could be shown. */
const withoutOrder = (error: unknown): unknown =>
  error instanceof Refusal && error.reason === 'INVALID_STATE'
    ? new Refusal(error.reason, error.message, {
        current_status: null,
        allowed: [],
        operation: null,
        ...error.details,
      })
    : error;

/** Where an automatic order is still on its way by itself. */
const AUTOMATIC: readonly OrderResource['status'][] = [
  'ORDER_CREATED',
  'FUNDS_RESERVED',
  'ESCROW_CREATING',
  'ESCROW_FUNDING',
];
const ORDER_LOOK_MS = 250;

/** With `auto` and `Prefer: wait=N` the answer comes when the order is funded, or when it stopped on the way. */
async function createAndWait(call: Call<unknown, unknown, CreateOrderBody>): Promise<Answer> {
  const answer = await createOrder(call);
  if (call.wait === null || call.body.auto !== true) return answer;
  const { deps, wait } = call;
  const { id } = answer.body as OrderResource;
  const look = async () => findOrder(pool(deps.orm), marketplaceOf(call).id, id);
  const isThrough = ({ status, operation }: OrderResource): boolean =>
    !AUTOMATIC.includes(status) || operation?.status === 'FAILED' || operation?.status === 'PARKED';
  await waitFor(async () => ((order) => (order === null || isThrough(order) ? true : null))(await look()), {
    ms: wait * 1_000,
    signal: deps.stopping,
    everyMs: ORDER_LOOK_MS,
  });
  const { headers, ...rest } = orderAnswer(answer.status, found(await look(), 'order'));
  return { ...rest, headers: { ...headers, 'Preference-Applied': `wait=${wait}` } };
}

/** The order that this call, or another one with the same reference, made before. */
async function knownOrder(
  call: Call<unknown, unknown, CreateOrderBody>,
  marketplaceId: string,
  bodyHash: string,
  allottedId: string,
): Promise<Answer | null> {
  const db = pool(call.deps.orm);
  // Only a repeated call can find its own order: a fresh id belongs to nobody.
  const own = call.idempotency === null ? null : await findOrder(db, marketplaceId, allottedId);
  if (own !== null) return orderAnswer(201, own);
  const reference = given(call.body.client_order_ref);
  const known = reference === null ? null : await findOrderByRef(db, marketplaceId, reference);
  if (known === null) return null;
  if (known.bodyHash !== bodyHash)
    throw new Refusal('CLIENT_REF_REUSED', 'an order with this reference was made from another body', {
      order_id: known.id,
    });
  return orderAnswer(200, found(await findOrder(db, marketplaceId, known.id), 'order'));
}

async function checkParties(call: Call<unknown, unknown, CreateOrderBody>, marketplaceId: string): Promise<void> {
  const { buyer_id: buyerId, seller_id: sellerId } = call.body;
  const parties = [
    { pointer: '/buyer_id', id: buyerId },
    { pointer: '/seller_id', id: sellerId },
    ...(call.body.milestones ?? []).flatMap(({ seller_id: id }, index) =>
      id == null ? [] : [{ pointer: `/milestones/${index}/seller_id`, id }],
    ),
  ];
  const same = parties.find(({ pointer, id }) => pointer !== '/buyer_id' && id === buyerId);
  if (same !== undefined) throw refuseField(same.pointer, 'SAME_PARTY', 'buyer and seller must differ');
  const ids = [...new Set(parties.map(({ id }) => id))];
  const statuses = await userStatuses(pool(call.deps.orm), marketplaceId, ids);
  const missing = parties
    .filter(({ id }) => !statuses.has(id))
    .map(({ pointer }) => ({ pointer, code: 'NOT_FOUND', detail: 'there is no such user' }));
  if (missing.length > 0) throw new Refusal('NOT_FOUND', 'there is no such user', { errors: missing });
  const suspended = parties
    .filter(({ id }) => statuses.get(id) !== 'ACTIVE')
    .map(({ pointer, id }) => ({ pointer, code: 'USER_SUSPENDED', detail: `user ${id} is suspended` }));
  if (suspended[0] !== undefined) throw new Refusal('USER_SUSPENDED', suspended[0].detail, { errors: suspended });
}

/** Each under its own reference, and together the whole amount. */
function checkMilestones({ milestones, amount }: CreateOrderBody): void {
  if (milestones == null || milestones.length === 0) return;
  const errors = milestones.flatMap(({ milestone_ref: ref }, index) =>
    milestones.findIndex((other) => other.milestone_ref === ref) === index
      ? []
      : [{ pointer: `/milestones/${index}/milestone_ref`, code: 'DUPLICATE', detail: `${ref} is used before` }],
  );
  if (errors[0] !== undefined) throw new Refusal('VALIDATION_ERROR', errors[0].detail, { errors });
  const total = milestones.reduce((sum, milestone) => sum + milestone.amount, 0n);
  if (total === amount) return;
  const detail = `the milestones add up to ${formatAmount(total)}, not to ${formatAmount(amount)}`;
  throw refuseField('/milestones', 'SUM', detail);
}

const milestonesOf = ({ milestones, seller_id }: CreateOrderBody) =>
  milestones == null || milestones.length === 0
    ? {}
    : {
        milestones: milestones.map(({ amount, ...milestone }) => ({
          ...milestone,
          amount: formatAmount(amount),
          seller_id: milestone.seller_id ?? seller_id,
        })),
      };

function checkTerms(call: Call<unknown, unknown, CreateOrderBody>, asset: string): string {
  const { assets, orderLimits } = call.deps.config;
  if (!assets.some(({ code }) => code === asset))
    throw refuseField('/asset', 'VALUE', 'this asset is not settled here; see /config');
  const { amount } = call.body;
  if (amount < orderLimits.min || amount > orderLimits.max) {
    const detail = `the amount of an order is ${formatAmount(orderLimits.min)} to ${formatAmount(orderLimits.max)}`;
    throw new Refusal('LIMIT_EXCEEDED', detail, { errors: [{ pointer: '/amount', code: 'LIMIT_EXCEEDED', detail }] });
  }
  return asset;
}

/** What the order leaves out, or leaves null, comes from the marketplace. */
function deadlinesOf(wanted: CreateOrderBody['deadlines'], defaults: DeadlineTerms): DeadlineTerms {
  const stated = Object.entries(wanted ?? {}).filter(([, value]) => value != null);
  return { ...DEFAULT_DEADLINES, ...defaults, ...Object.fromEntries(stated) };
}

export const ORDER_ROUTES = [
  route({
    method: 'post',
    path: '/orders',
    tag: 'orders',
    summary:
      'Create an order; with `auto` it is reserved, escrowed and funded by itself (`Prefer: wait=N` waits for that)',
    access: { keys: 'marketplace', scope: 'write' },
    body: CreateOrderBody,
    allots: 'order',
    answers: { 201: OrderSchema, 200: OrderSchema },
    reasons: [
      'VALIDATION_ERROR',
      'NOT_FOUND',
      'LIMIT_EXCEEDED',
      'CLIENT_REF_REUSED',
      'USER_SUSPENDED',
      'INVALID_STATE',
    ],
    waits: true,
    handle: createAndWait,
  }),
  route({
    method: 'get',
    path: '/orders',
    tag: 'orders',
    summary: 'List orders',
    access: { keys: 'marketplace', scope: 'read' },
    query: z.strictObject({
      ...pageQuery,
      ...createdQuery,
      client_order_ref: z.string().optional(),
      buyer_id: z.string().optional(),
      seller_id: z.string().optional(),
      status: commaList(ORDER_STATUSES),
      attention: flagQuery,
      metadata: metadataQuery,
    }),
    answers: { 200: listOf(OrderSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listOrders(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/orders/:id',
    tag: 'orders',
    summary: 'Get an order; with If-None-Match and `Prefer: wait=N` when it has changed',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    waits: true,
    answers: { 200: OrderSchema, 304: null },
    reasons: ['NOT_FOUND'],
    handle: (call) =>
      whenChanged(
        call,
        () => orderOf(call),
        (order) => orderAnswer(200, order),
        () => orderProgress(pool(call.deps.orm), call.params.id),
      ),
  }),
];
