/** What the verbs of a dispute have in common: updates of its workflow, and rows that the API appends itself. */
import { type DisputeResource, disputeResource, findDispute, isDisputeApplied } from '../db/resources/dispute.ts';
import { type EventInput, recordChange } from '../db/events.ts';
import { type Sql, pool } from '../db/sql.ts';
import { sql } from 'kysely';
import { disputeRefusal, isArguing } from '../domain/dispute/machine.ts';
import { newId } from '../domain/ids.ts';
import { Refusal, Unavailable } from '../domain/refusal.ts';
import type { DisputeStatus, DisputeVerb } from '../domain/statuses.ts';
import type { CallOptions } from '../workflows/client.ts';
import type { DisputeVerbRequest } from '../workflows/messages.ts';
import { operationIdOf, updateIdOf } from './idempotency.ts';
import { type Answer, BASE_PATH, type Call, found, marketplaceOf } from './route.ts';
import { waitFor } from './waiting.ts';

/** A database step behind a workflow: it is answered in milliseconds or not at all. */
const TIMEOUT_MS = 10_000;

type DisputeCall<B = unknown> = Call<{ id: string }, unknown, B>;

export const disputeAnswer = (status: number, dispute: DisputeResource): Answer => ({
  status,
  body: dispute,
  headers: {
    ETag: `"${dispute.version}"`,
    ...(status === 201 || status === 202 ? { Location: `${BASE_PATH}/disputes/${dispute.id}` } : {}),
  },
});

/** @throws Refusal NOT_FOUND */
export const disputeOf = async (call: Call<{ id: string }>): Promise<DisputeResource> =>
  found(await findDispute(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'dispute');

/**
 * Hands a verb to the dispute's workflow.
 * @returns the operation's id, when the row shows it. @throws Refusal
 */
export async function driveDispute(
  call: DisputeCall,
  verb: DisputeVerb,
  send: (request: DisputeVerbRequest, options: CallOptions) => Promise<unknown>,
): Promise<string> {
  const { id } = await disputeOf(call);
  const { idempotency } = call;
  const operation_id = idempotency === null ? newId('operation') : operationIdOf(idempotency);
  const updateId = idempotency === null ? operation_id : updateIdOf(idempotency);
  try {
    await send({ ...call.origin, dispute_id: id, operation_id }, { updateId, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    const now = await disputeOf(call);
    // Its answer was lost, or it was sent twice: the row shows that it was done.
    if (now.operation?.id === operation_id && (error instanceof Unavailable || error instanceof Refusal))
      return operation_id;
    if (!(error instanceof Refusal) || error.reason !== 'INVALID_STATE') throw error;
    throw invalidState(now, verb, now.operation?.status === 'RUNNING');
  }
  return operation_id;
}

/** Until the order has taken over what became of its dispute: who asks for the order then sees it. */
export async function untilApplied(call: DisputeCall, ms: number): Promise<void> {
  const { orm, stopping } = call.deps;
  const look = async () => ((await isDisputeApplied(pool(orm), call.params.id)) ? true : null);
  await waitFor(look, { ms, signal: stopping });
}

export const invalidState = (dispute: DisputeResource, verb: string, retryable = false): Refusal =>
  new Refusal('INVALID_STATE', disputeRefusal(dispute.status, verb), {
    current_status: dispute.status,
    allowed: dispute.allowed,
    operation: dispute.operation,
    ...(retryable ? { retryable } : {}),
  });

/** Appends to a dispute under its lock, with the event that tells of it. @throws Refusal INVALID_STATE */
export function append(
  call: DisputeCall,
  verb: 'evidence' | 'comments',
  work: (trx: Sql, dispute: DisputeResource) => Promise<Pick<EventInput, 'type' | 'change'>>,
): Promise<Answer> {
  return call.once(async (trx) => {
    const marketplaceId = marketplaceOf(call).id;
    const { id } = await disputeOf(call);
    const { rows } = await sql<{ status: DisputeStatus }>`
      select status from disputes where id = ${id} for update`.execute(trx);
    const before = await disputeResource(trx, id);
    if (verb === 'evidence' && rows[0] !== undefined && !isArguing(rows[0].status)) throw invalidState(before, verb);
    const event = await work(trx, before);
    await sql`update disputes set updated_at = clock_timestamp() where id = ${id}`.execute(trx);
    await recordChange(trx, {
      resourceId: id,
      events: [
        {
          ...event,
          marketplaceId,
          resource: { type: 'dispute', id },
          object: await disputeResource(trx, id),
          actor: call.origin.actor,
          requestId: call.origin.request_id,
          workflowId: null,
          runId: null,
        },
      ],
    });
    return disputeAnswer(200, await disputeResource(trx, id));
  });
}
