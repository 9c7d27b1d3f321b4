/**
 * The verbs of an order: updates of its workflow. The update is the operation up to its settled state; how long the caller
 * waits for it is decided here, and 202 is answered only once the row shows the operation.
 */
import { z } from 'zod';
import { type OrderResource, orderProgress, orderView } from '../../db/resources/order.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { DATABASE_VERB_WAIT_MS } from '../../domain/limits.ts';
import { refusal } from '../../domain/order/machine.ts';
import { Refusal, Unavailable } from '../../domain/refusal.ts';
import { DeadlineName } from '../../domain/resources/common.ts';
import { OrderSchema } from '../../domain/resources/order.ts';
import { NotRunning, type VerbCall } from '../../workflows/client.ts';
import type { VerbRequest } from '../../workflows/messages.ts';
import { operationIdOf, updateIdOf } from '../idempotency.ts';
import { EvidenceInput, IdParams, MilestoneRefs, ReasonBody, ReasonInput, TimeInput, given, text } from '../inputs.ts';
import { type Answer, type Call, route } from '../route.ts';
import { pause } from '../waiting.ts';
import { DRY_RUN, dryRun } from './dry-run.ts';
import { demandMilestones, milestoneOf } from './milestones.ts';
import { orderAnswer, orderOf } from './orders.ts';

type OrderCall = Call<{ id: string }>;
type Verb = VerbCall['verb'];
const DATABASE_VERBS: ReadonlySet<Verb> = new Set(['reserve', 'cancel', 'dispute', 'extend']);
const PAYS_OUT: ReadonlySet<Verb> = new Set(['release', 'release_milestone', 'refund']);

/** An operation that is not on the row by then is not durable yet: 503, and a repeat with the same key attaches. */
const VISIBLE_WITHIN_MS = 10_000;
/** What a killed worker had in hand is handed on after ten seconds, and five more for the queue that was its own. */
const HEARD_WITHIN_MS = 20_000;
const HEARD_LOOK_MS = 250;
const LOOK_FIRST_MS = 15;
const LOOK_LAST_MS = 150;

interface Patience {
  /** milliseconds that the caller waits for the outcome */
  readonly waitMs: number;
  /** when the order's workflow last gave an answer, of whatever kind */
  readonly heard: { at: number };
}

type Outcome = { readonly settled: true } | { readonly settled: false; readonly error: unknown };

/** Sends the verb and answers as soon as there is something to say. */
export async function drive(call: OrderCall, build: (request: VerbRequest) => VerbCall): Promise<Answer> {
  const order = await orderOf(call);
  const operationId = call.idempotency === null ? newId('operation') : operationIdOf(call.idempotency);
  const verbCall = build({ ...call.origin, operation_id: operationId, reason: null });
  const onChain = !DATABASE_VERBS.has(verbCall.verb);
  const waitMs = onChain ? (call.wait ?? 0) * 1_000 : DATABASE_VERB_WAIT_MS;
  const answered = new AbortController();
  const heard = { at: Date.now() };
  try {
    const update = send(call, order, verbCall, { waitMs, heard, signal: answered.signal });
    const outcome = await raced(call, operationId, { waitMs, heard }, update);
    const answer = await answerTo(call, { operationId, verb: verbCall.verb, onChain }, outcome);
    return onChain && call.wait !== null
      ? { ...answer, headers: { ...answer.headers, 'Preference-Applied': `wait=${call.wait}` } }
      : answer;
  } finally {
    answered.abort();
  }
}

/** The update with its outcome as a value; an order whose workflow was lost is started from its row and asked again. */
async function send(
  call: OrderCall,
  order: OrderResource,
  verbCall: VerbCall,
  { waitMs, heard, signal }: Patience & { readonly signal: AbortSignal },
): Promise<Outcome> {
  const { workflows } = call.deps;
  const updateId = call.idempotency === null ? verbCall.request.operation_id : updateIdOf(call.idempotency);
  const ask = () =>
    workflows.orderVerb(order.id, verbCall, { updateId, timeoutMs: waitMs + VISIBLE_WITHIN_MS, signal });
  try {
    await untilHeard(call, verbCall.verb, heard, ask).catch(async (error: unknown) => {
      if (!(error instanceof NotRunning) || (await orderOf(call)).status === 'CLOSED') throw error;
      await workflows.resumeOrder(order.id);
      return ask();
    });
    return { settled: true };
  } catch (error) {
    return { settled: false, error };
  }
}

/**
 * The row says that the last operation is over as soon as it is booked; when the worker dies right then, its workflow
 * hears of it only when the attempt is handed on. A caller who goes by the row is not refused for that.
 */
async function untilHeard<T>(call: OrderCall, verb: Verb, heard: Patience['heard'], ask: () => Promise<T>): Promise<T> {
  const end = Date.now() + HEARD_WITHIN_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      heard.at = Date.now();
      const busy = error instanceof Refusal && error.reason === 'INVALID_STATE' && error.details['retryable'] === true;
      if (!busy || !(await orderOf(call)).allowed.includes(verb)) throw error;
      if (Date.now() > end) throw new Unavailable('the order goes on in a moment', { cause: error });
      await pause(HEARD_LOOK_MS, call.deps.stopping);
    }
  }
}

/** The update's outcome; null when the operation is on the row and the caller should not, or cannot, wait longer. */
async function raced(
  call: OrderCall,
  operationId: string,
  { waitMs, heard }: Patience,
  update: Promise<Outcome>,
): Promise<Outcome | null> {
  const { orm, stopping } = call.deps;
  const begun = Date.now();
  for (let interval = LOOK_FIRST_MS; ; interval = Math.min(interval * 2, LOOK_LAST_MS)) {
    // Ends at once when the process stops.
    const outcome = await Promise.race([update, pause(interval, stopping)]);
    if (outcome !== undefined) return outcome;
    const progress = await orderProgress(pool(orm), call.params.id);
    const elapsed = Date.now() - begun;
    if (progress?.operationId === operationId) {
      if (progress.operationStatus === 'PARKED' || elapsed >= waitMs || stopping.aborted) return null;
    } else if (Date.now() - heard.at >= waitMs + VISIBLE_WITHIN_MS || stopping.aborted) {
      return { settled: false, error: new Unavailable('the operation did not begin in time') };
    }
  }
}

interface Driven {
  readonly operationId: string;
  readonly verb: Verb;
  readonly onChain: boolean;
}

async function answerTo(call: OrderCall, driven: Driven, outcome: Outcome | null): Promise<Answer> {
  const order = await orderOf(call);
  const mine = order.operation?.id === driven.operationId;
  if (outcome === null) return orderAnswer(202, order);
  if (outcome.settled) {
    const waitsOn = order.waiting_for !== null && order.status !== 'CLOSED';
    return orderAnswer(driven.onChain && (call.wait === null || waitsOn) ? 202 : 200, order);
  }
  const { error } = outcome;
  // Sent twice because its first delivery was lost, the verb is refused the second time; the row shows that it was done.
  if (mine && error instanceof Refusal && error.reason === 'INVALID_STATE' && order.operation?.status !== 'FAILED')
    return orderAnswer(
      order.operation?.status === 'SUCCEEDED' && (!driven.onChain || call.wait !== null) ? 200 : 202,
      order,
    );
  if (error instanceof Refusal && error.reason === 'OPERATION_FAILED') {
    // Without the header nobody asked for the outcome: the body shows that it failed.
    if (call.wait === null && mine) return orderAnswer(202, order);
    throw new Refusal(error.reason, error.message, { operation: order.operation });
  }
  if (error instanceof Refusal && error.reason === 'INVALID_STATE') throw invalidState(order, error);
  if (error instanceof NotRunning) return fromRows(call, order, driven);
  if (error instanceof Unavailable && mine) return orderAnswer(202, order);
  throw error;
}

/** A closed order's workflow is gone: its row says what became of the verb. */
function fromRows(call: OrderCall, order: OrderResource, { operationId, verb, onChain }: Driven): Answer {
  if (order.operation?.id === operationId || call.idempotency?.accepted === true)
    return orderAnswer(onChain && call.wait === null ? 202 : 200, order);
  throw invalidState(order, new Refusal('INVALID_STATE', refusal(orderView(order), verb)));
}

/** The workflow's refusal as it was at that moment, with what of the state it does not say. */
const invalidState = (order: OrderResource, error: Refusal): Refusal =>
  new Refusal('INVALID_STATE', error.message, {
    current_status: order.status,
    allowed: order.allowed,
    operation: order.operation,
    ...error.details,
  });

const DeliverBody = z.strictObject({ reason: ReasonInput, evidence: EvidenceInput.nullish() });
const delivered = ({ reason, evidence }: z.output<typeof DeliverBody>) => ({
  reason: given(reason),
  evidence: (evidence ?? []).map((piece) => ({ ...piece, note: given(piece.note) })),
});
const MilestoneParams = z.object({ id: z.string(), ref: z.string() });
const ExtendBody = z.strictObject({ deadline: DeadlineName, due_at: TimeInput, reason: ReasonInput });

/** What all verbs have in common; `wait` only where the chain is touched. */
const verbRoute = (verb: Verb, summary: string) =>
  ({
    method: 'post',
    tag: 'orders',
    summary,
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    waits: !DATABASE_VERBS.has(verb),
    answers: { 200: OrderSchema, 202: OrderSchema },
    reasons: [
      'NOT_FOUND',
      'VALIDATION_ERROR',
      'INVALID_STATE',
      ...(verb === 'reserve' ? (['INSUFFICIENT_FUNDS', 'USER_SUSPENDED'] as const) : []),
      ...(PAYS_OUT.has(verb) ? (['MARKETPLACE_PAUSED'] as const) : []),
      ...(DATABASE_VERBS.has(verb) ? [] : (['OPERATION_FAILED'] as const)),
    ],
  }) as const;

const plain = (verb: 'reserve' | 'cancel' | 'escrow' | 'fund', path: string, summary: string) =>
  route({
    ...verbRoute(verb, summary),
    path,
    body: ReasonBody,
    handle: (call) => drive(call, (request) => ({ verb, request: { ...request, reason: given(call.body.reason) } })),
  });

const RefundBody = z.strictObject({ reason: text(500), milestone_refs: MilestoneRefs.nullish() });

export const ORDER_VERB_ROUTES = [
  plain('reserve', '/orders/:id/reserve', "Reserve the amount in the buyer's balance"),
  plain('cancel', '/orders/:id/cancel', 'Cancel before funding; a reservation is given back'),
  plain('escrow', '/orders/:id/escrow', 'Deploy the escrow contract'),
  plain('fund', '/orders/:id/escrow/fund', 'Fund the escrow with the reserved amount'),
  route({
    ...verbRoute('release', 'Release to the sellers what is neither settled nor in dispute'),
    ...DRY_RUN,
    path: '/orders/:id/resolution/release',
    body: ReasonBody,
    handle: (call) =>
      call.query.dry_run === true
        ? dryRun(call, 'release', null)
        : drive(call, (request) => ({ verb: 'release', request: { ...request, reason: given(call.body.reason) } })),
  }),
  route({
    ...verbRoute('refund', 'Refund to the buyer, less fees, what is neither settled nor in dispute'),
    ...DRY_RUN,
    path: '/orders/:id/resolution/refund',
    body: RefundBody,
    handle: async (call) => {
      const { reason, milestone_refs: named } = call.body;
      const refs = given(named);
      await demandMilestones(call, refs ?? []);
      if (call.query.dry_run === true) return dryRun(call, 'refund', refs);
      const about = refs === null ? {} : { milestone_refs: refs };
      return drive(call, (request) => ({ verb: 'refund', request: { ...request, ...about, reason } }));
    },
  }),
  route({
    ...verbRoute('deliver', 'Mark the work as delivered'),
    path: '/orders/:id/deliver',
    body: DeliverBody,
    handle: (call) => drive(call, (request) => ({ verb: 'deliver', request: { ...request, ...delivered(call.body) } })),
  }),
  route({
    ...verbRoute('complete_milestone', 'Mark a milestone as completed'),
    path: '/orders/:id/milestones/:ref/complete',
    params: MilestoneParams,
    body: DeliverBody,
    handle: async (call) => {
      const milestone_refs = [await milestoneOf(call)];
      return drive(call, (request) => ({
        verb: 'complete_milestone',
        request: { ...request, ...delivered(call.body), milestone_refs },
      }));
    },
  }),
  route({
    ...verbRoute('release_milestone', 'Release a milestone to its seller'),
    path: '/orders/:id/milestones/:ref/release',
    params: MilestoneParams,
    body: ReasonBody,
    handle: async (call) => {
      const milestone_refs = [await milestoneOf(call)];
      const reason = given(call.body.reason);
      return drive(call, (request) => ({ verb: 'release_milestone', request: { ...request, milestone_refs, reason } }));
    },
  }),
  route({
    ...verbRoute('extend', 'Move a deadline to a later time'),
    path: '/orders/:id/extend',
    body: ExtendBody,
    handle: (call) =>
      drive(call, (request) => ({
        verb: 'extend',
        request: {
          ...request,
          reason: given(call.body.reason),
          deadline: call.body.deadline,
          due_at: new Date(call.body.due_at).toISOString(),
        },
      })),
  }),
];
