/** What operators have to look at, and the repairs they may ask for. */
import { z } from 'zod';
import { recordAudit } from '../../db/audit.ts';
import { type AttentionResource, findAttention, listAttention } from '../../db/resources/attention.ts';
import { isApprovalUsed, proposeOrApprove } from '../../db/repair-approvals.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { Refusal, Unavailable, refuseField } from '../../domain/refusal.ts';
import { REPAIRS, payeeOf } from '../../domain/repairs.ts';
import { AttentionSchema } from '../../domain/resources/attention.ts';
import { RESOURCE_TYPES } from '../../domain/statuses.ts';
import { surplusWorkflowId } from '../../domain/workflow-ids.ts';
import { NotRunning, type WorkflowClient } from '../../workflows/client.ts';
import { operationIdOf, updateIdOf } from '../idempotency.ts';
import { IdParams, ReasonInput, given, listAnswer, listOf, pageQuery } from '../inputs.ts';
import { demandPayoutAddress } from '../payout-address.ts';
import { type Answer, BASE_PATH, type Call, found, route } from '../route.ts';
import { waitFor } from '../waiting.ts';

const TIMEOUT_MS = 10_000;

const RepairBody = z.strictObject({
  action: z.enum(REPAIRS),
  transaction_hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'FORMAT: 64 hex digits')
    .transform((hash) => hash.toLowerCase())
    .nullish()
    .meta({ description: 'adopt: the transaction that has done it' }),
  address: z.string().min(1).max(100).nullish().meta({ description: 'payout_to: who is paid instead', example: 'G…' }),
  reason: ReasonInput,
});
type RepairCall = Call<{ id: string }, unknown, z.output<typeof RepairBody>>;

const ownMarketplace = (call: Call): string | null => call.auth?.marketplace?.id ?? null;

const look = async (call: Call<{ id: string }>) =>
  found(await findAttention(pool(call.deps.orm), ownMarketplace(call), call.params.id), 'attention item');

async function repair(call: RepairCall): Promise<Answer> {
  const { item, cleared } = await look(call);
  const { action } = call.body;
  demandFields(call.body);
  // Repeated after its answer: what was asked for has been done.
  if (cleared && call.idempotency?.repeated === true) return settledAnswer(call);
  const allowed = cleared ? [] : item.allowed_repairs;
  if (!allowed.includes(action))
    throw new Refusal('INVALID_STATE', cleared ? 'it is settled already' : `${action} does not help here`, {
      current_status: cleared ? 'CLEARED' : 'OPEN',
      allowed,
      operation: null,
    });
  const approval = action === 'payout_to' ? await approvalOf(call, item) : null;
  if (approval !== null && approval.status !== 'APPROVED') return itemAnswer(call, 202);
  if (approval === null) await inTransaction(call.deps.orm, (trx) => audit(trx, call, item, action));
  await send(call, item, approval?.approval_id ?? null);
  return settledAnswer(call);
}

/** @throws Refusal VALIDATION_ERROR */
function demandFields({ action, transaction_hash: hash, address }: RepairCall['body']): void {
  if (action === 'adopt' && hash == null)
    throw refuseField('/transaction_hash', 'REQUIRED', 'adopt names a transaction');
  if (action !== 'adopt' && hash != null)
    throw refuseField('/transaction_hash', 'CONFLICT', `${action} takes no transaction`);
  if (action === 'payout_to' && address == null)
    throw refuseField('/address', 'REQUIRED', 'payout_to names an address');
  if (action !== 'payout_to' && address != null)
    throw refuseField('/address', 'CONFLICT', `${action} takes no address`);
}

/** Before it is done: who asked is known also when the answer is lost. */
function audit(trx: Sql, call: RepairCall, item: AttentionResource, action: string): Promise<void> {
  const type = RESOURCE_TYPES.find((known) => known === item.resource.type);
  if (type === undefined) throw refuseField('/action', 'VALUE', `nothing to repair on a ${item.resource.type}`);
  const { reason, address, transaction_hash } = call.body;
  return recordAudit(trx, {
    marketplaceId: item.marketplace_id,
    actor: call.origin.actor,
    requestId: call.origin.request_id,
    action: `attention.${action}`,
    resource: { type, id: item.resource.id },
    before: { attention_id: item.id, reason: item.reason },
    after: {
      reason: given(reason),
      ...(address == null ? {} : { address }),
      ...(transaction_hash == null ? {} : { transaction_hash }),
    },
  });
}

/** The first person proposes, the second approves. @throws Refusal DESTINATION_INVALID, INVALID_STATE, UNAVAILABLE */
async function approvalOf(call: RepairCall, item: AttentionResource) {
  const { auth, body, deps } = call;
  const { address = null, reason } = body;
  const payee = payeeOf((item.detail as { readonly detail?: unknown } | null)?.detail);
  if (payee === null || address === null) throw new Refusal('INVALID_STATE', 'nobody is to be paid here');
  await demandPayoutAddress(deps, payee, item.marketplace_id, address);
  return inTransaction(deps.orm, async (trx) => {
    const by = { key: auth?.key.id ?? '', person: auth?.key.person ?? null };
    const repeated = call.idempotency?.repeated === true;
    const said = { address, reason: given(reason), by, repeated };
    const proposal = { attentionId: item.id, action: 'payout_to', ...said } as const;
    const approval = await proposeOrApprove(trx, proposal);
    if (approval === null) throw new Refusal('INVALID_STATE', 'it is settled already');
    if (approval.status !== 'SUPERSEDED')
      await audit(trx, call, item, approval.status === 'PROPOSED' ? 'payout_to.propose' : 'payout_to');
    return approval;
  });
}

/** 202; with `Prefer: wait` 200 when it is settled in time. */
async function settledAnswer(call: RepairCall): Promise<Answer> {
  const isCleared = async () => ((await look(call)).cleared ? true : null);
  if (call.wait !== null) await waitFor(isCleared, { ms: call.wait * 1_000, signal: call.deps.stopping });
  return itemAnswer(call, call.wait !== null && (await look(call)).cleared ? 200 : 202);
}

const itemAnswer = async (call: RepairCall, status: number): Promise<Answer> => ({
  status,
  body: (await look(call)).item,
  headers: {
    Location: `${BASE_PATH}/attention/${call.params.id}`,
    ...(call.wait === null ? {} : { 'Preference-Applied': `wait=${call.wait}` }),
  },
});

async function send(call: RepairCall, item: AttentionResource, approvalId: string | null): Promise<void> {
  const { idempotency, deps } = call;
  const { action, reason, transaction_hash: hash } = call.body;
  const operationId = idempotency === null ? newId('operation') : operationIdOf(idempotency);
  const updateId = idempotency === null ? operationId : updateIdOf(idempotency);
  const request = {
    ...call.origin,
    reason: given(reason),
    ...(hash == null ? {} : { transaction_hash: hash }),
    ...(approvalId === null ? {} : { approval_id: approvalId }),
  };
  const ask = () => deps.workflows.repair(item.workflow_id, action, request, { updateId, timeoutMs: TIMEOUT_MS });
  try {
    await ask();
  } catch (error) {
    if ((await look(call)).cleared && (await mayBeDone(call, approvalId, error))) return;
    if (!(error instanceof NotRunning)) throw error;
    if (!(await wake(deps.workflows, item))) throw new Unavailable('its workflow does not run', { cause: error });
    throw new Unavailable('its workflow was started anew; repeat the request', { cause: error });
  }
}

/** Its answer was lost; or it was refused because what it wants has been done already, by itself or by whom it agrees with. */
async function mayBeDone(
  { deps, idempotency }: RepairCall,
  approvalId: string | null,
  error: unknown,
): Promise<boolean> {
  if (!(error instanceof Refusal)) return true;
  return approvalId === null ? idempotency?.repeated === true : isApprovalUsed(pool(deps.orm), approvalId);
}

/** Starts the workflow from its row. @returns false where nobody knows how */
async function wake(workflows: WorkflowClient, { workflow_id, resource }: AttentionResource): Promise<boolean> {
  const { type, id } = resource;
  // It is about an order that is over.
  if (workflow_id.startsWith(surplusWorkflowId(''))) await workflows.wakeSurplus(workflow_id);
  else if (type === 'order') await workflows.resumeOrder(id);
  else if (type === 'dispute') await workflows.wakeDisputes([id]);
  else if (type === 'withdrawal' || type === 'adjustment') await workflows.wakePayment({ type, id });
  else return false;
  return true;
}

export const ATTENTION_ROUTES = [
  route({
    method: 'get',
    path: '/attention',
    tag: 'attention',
    summary: 'What somebody has to look at; a platform key sees every marketplace',
    access: { keys: 'any', scope: 'support' },
    query: z.strictObject({
      ...pageQuery,
      marketplace_id: z.string().optional(),
      reason: z.string().optional(),
    }),
    answers: { 200: listOf(AttentionSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => {
      const { marketplace_id: asked, reason } = call.query;
      const own = ownMarketplace(call);
      // Another marketplace's is nobody's: an empty list.
      const foreign = own !== null && asked !== undefined && asked !== own;
      const filter = { marketplaceId: foreign ? '' : (own ?? asked ?? null), reason };
      return listAnswer(await listAttention(pool(call.deps.orm), filter, call.query));
    },
  }),
  route({
    method: 'get',
    path: '/attention/:id',
    tag: 'attention',
    summary: 'Get an item, also when it is settled',
    access: { keys: 'any', scope: 'support' },
    params: IdParams,
    answers: { 200: AttentionSchema },
    reasons: ['NOT_FOUND'],
    handle: async (call) => ({ status: 200, body: (await look(call)).item }),
  }),
  route({
    method: 'post',
    path: '/attention/:id/repair',
    tag: 'attention',
    summary: 'Repair a parked step; what moves money waits for the same call by another person',
    access: { keys: 'any', scope: 'support' },
    params: IdParams,
    body: RepairBody,
    waits: true,
    answers: { 202: AttentionSchema, 200: AttentionSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'INVALID_STATE', 'DESTINATION_INVALID', 'MARKETPLACE_PAUSED'],
    handle: repair,
  }),
];
