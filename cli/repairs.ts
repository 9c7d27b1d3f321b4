/**
 * `orchestrator retry`, `adopt`, `give-up` and `payout-to`: repairs of parked steps, of one resource or of all that are parked
 * for a reason.
 */
import { sql } from 'kysely';
import { recordAudit } from '../db/audit.ts';
import { proposeOrApprove } from '../db/repair-approvals.ts';
import { type Sql, inTransaction, pool } from '../db/sql.ts';
import type { Asset } from '../domain/chain.ts';
import { newId } from '../domain/ids.ts';
import { type Repair, payeeOf } from '../domain/repairs.ts';
import { RESOURCE_TYPES } from '../domain/statuses.ts';
import { type ServiceOptions, type System, withSystem } from './services.ts';

export interface RepairOptions extends ServiceOptions {
  /** all that are parked for it */
  readonly reason?: string;
  /** why the operator does it, for the audit log */
  readonly note: string;
  /** of `adopt`: the transaction that has done it */
  readonly hash?: string;
  /** of `payout-to`: who is paid instead, and who says so; the same command of another person carries it out */
  readonly address?: string;
  readonly person?: string;
}

interface Parked {
  readonly id: string;
  readonly marketplaceId: string | null;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly workflowId: string;
  readonly reason: string;
  readonly detail: { readonly detail?: unknown };
}

const TIMEOUT_MS = 30_000;
const ACTOR = 'command';

/** Open items that allow the repair: of this attention item or resource, or with this reason. */
async function parkedFor(
  db: Sql,
  action: string,
  of: { readonly id: string | null; readonly reason: string | null },
): Promise<Parked[]> {
  const { rows } = await sql<Parked>`
    select id, marketplace_id as "marketplaceId", resource_type as "resourceType", resource_id as "resourceId",
      workflow_id as "workflowId", reason, detail
    from attention where cleared_at is null and ${action} = any(allowed_repairs)
      and (${of.id}::text is null or id = ${of.id} or resource_id = ${of.id})
      and (${of.reason}::text is null or reason = ${of.reason})
    order by since, id`.execute(db);
  return rows;
}

/** Carries the repair out on each; one JSON line each. Fails in the end when one of them failed. */
export async function runRepair(action: Repair, id: string | null, options: RepairOptions): Promise<void> {
  const { reason = null } = options;
  if ((id === null) === (reason === null)) throw new Error('name either an id or a --reason');
  await withSystem(options, async (system) => {
    const items = await parkedFor(pool(system.orm), action, { id, reason });
    if (items.length === 0) throw new Error(`nothing is parked there that ${action} helps with`);
    let failed = 0;
    for (const item of items) {
      const outcome = await repairOne(system, action, item, options).catch((error: unknown) => ({
        event: 'repair.failed',
        detail: error instanceof Error ? error.message : 'unknown',
      }));
      if (outcome.event === 'repair.failed') failed += 1;
      const { id: item_id, reason: parkedFor, resourceId } = item;
      process.stdout.write(
        `${JSON.stringify({ ...outcome, id: item_id, reason: parkedFor, resource_id: resourceId })}\n`,
      );
    }
    if (failed > 0) throw new Error(`${failed} of ${items.length} did not work`);
  });
}

async function repairOne(system: System, action: Repair, item: Parked, options: RepairOptions) {
  const { orm, workflows } = system;
  const { note, hash } = options;
  const approval = action === 'payout_to' ? await approvalOf(system, item, options) : null;
  const proposed = approval?.status === 'PROPOSED';
  await inTransaction(orm, (trx) => audit(trx, item, proposed ? 'payout_to.propose' : action, options));
  if (proposed) return { event: 'repair.proposed', detail: 'another person has to say the same' };
  const request = {
    request_id: null,
    actor: ACTOR,
    reason: note,
    ...(hash === undefined ? {} : { transaction_hash: hash }),
    ...(approval === null ? {} : { approval_id: approval.approval_id }),
  };
  await workflows.repair(item.workflowId, action, request, { updateId: newId('operation'), timeoutMs: TIMEOUT_MS });
  return { event: `repair.${action}` };
}

/** The first person proposes, the second approves. @throws Refusal DESTINATION_INVALID, UNAVAILABLE */
async function approvalOf({ config, orm }: System, item: Parked, { address = '', person = '', note }: RepairOptions) {
  const payee = payeeOf(item.detail.detail);
  if (payee === null) throw new Error('nobody is to be paid here');
  if (person.trim() === '') throw new Error('--person names who says so');
  const [{ createNetworkRpc }, { readDestination }, { UNWATCHED }, { demandPayoutAddress }] = await Promise.all([
    import('../providers/chain/network.ts'),
    import('../providers/chain/destination.ts'),
    import('../providers/limits/watch.ts'),
    import('../api/payout-address.ts'),
  ]);
  const { passphrase, rpcUrls, requestsPerMinute } = config.stellar;
  const limits = { perMinute: requestsPerMinute.rpc, watch: UNWATCHED };
  const rpc = createNetworkRpc({ urls: rpcUrls, networkPassphrase: passphrase, ...limits });
  const chainDestination = (account: string, asset: Asset) => readDestination(rpc, account, asset);
  await demandPayoutAddress({ orm, config, chainDestination }, payee, item.marketplaceId, address);
  const by = { key: ACTOR, person };
  const proposal = { attentionId: item.id, action: 'payout_to', address, reason: note, by } as const;
  const approval = await inTransaction(orm, (trx) => proposeOrApprove(trx, proposal));
  if (approval === null) throw new Error('it is settled already');
  return approval;
}

/** Before it is done: who asked is known also when the answer is lost. */
function audit(trx: Sql, item: Parked, action: string, { note, hash, address, person }: RepairOptions): Promise<void> {
  const type = RESOURCE_TYPES.find((known) => known === item.resourceType);
  if (type === undefined) throw new Error(`nothing to repair on a ${item.resourceType}`);
  return recordAudit(trx, {
    marketplaceId: item.marketplaceId,
    actor: ACTOR,
    requestId: null,
    action: `attention.${action}`,
    resource: { type, id: item.resourceId },
    before: { attention_id: item.id, reason: item.reason },
    after: { reason: note, transaction_hash: hash, address, person },
  });
}
