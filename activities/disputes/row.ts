/** The dispute's row as activities write it: locked, compared, changed, with its events in the same transaction. */
import { type RawBuilder, sql } from 'kysely';
import { type EventInput, recordChange } from '../../db/events.ts';
import { disputeResource } from '../../db/resources/dispute.ts';
import { iso } from '../../db/resources/select.ts';
import type { Sql } from '../../db/sql.ts';
import { allowedDisputeVerbs, disputeRefusal } from '../../domain/dispute/machine.ts';
import type { DisputeOperation, DisputeState, DisputedPart } from '../../domain/dispute/shapes.ts';
import type { Repair } from '../../domain/repairs.ts';
import type { DisputeDecision, DisputeStatus, DisputeVerb, PartyName } from '../../domain/statuses.ts';
import { type Diversion, diversionsOf, divertedTarget } from '../booking/diversions.ts';
import { correlation } from '../booking/order-row.ts';
import { refuse } from '../failure.ts';

export interface DisputeRow {
  readonly id: string;
  readonly orderId: string;
  readonly marketplaceId: string;
  readonly openedBy: PartyName;
  readonly status: DisputeStatus;
  readonly parts: readonly DisputedPart[];
  readonly assignedTo: string | null;
  readonly decision: DisputeDecision | null;
  readonly operation: DisputeOperation | null;
  /** who is paid instead of a party, of the order */
  readonly diversions: readonly Diversion[];
  /** the matter that parking the operation raised, while it is open */
  readonly parking: { readonly id: string; readonly repairs: readonly Repair[] } | null;
  /** ISO */
  readonly dueAt: string | null;
  readonly defaultDecision: Exclude<DisputeDecision, 'SPLIT'>;
  readonly clockOffsetMs: number;
  readonly paused: boolean;
}

/** Where a marketplace states none, the money goes back. */
const SELECT = sql`
  select d.id, d.order_id as "orderId", d.marketplace_id as "marketplaceId", d.opened_by as "openedBy", d.status, d.parts,
    d.assigned_to as "assignedTo", d.decision, d.operation, ${iso('d.due_at')} as "dueAt",
    coalesce(o.deadlines ->> 'dispute_default', 'FULL_REFUND') as "defaultDecision",
    coalesce((select t.offset_ms from test_clocks t where t.marketplace_id = d.marketplace_id), 0)::float8
      as "clockOffsetMs",
    (select p.status = 'PAUSED' from marketplaces p where p.id = d.marketplace_id) as paused,
    ${diversionsOf(sql`d.order_id`)} as diversions,
    (select json_build_object('id', a.id, 'repairs', a.allowed_repairs) from attention a where a.resource_id = d.id
      and a.cleared_at is null and a.detail->>'operation_id' = d.operation->>'id' limit 1) as parking
  from disputes d join orders o on o.id = d.order_id`;

async function select(db: Sql, id: string, lock: RawBuilder<unknown>): Promise<DisputeRow> {
  const { rows } = await sql<DisputeRow>`${SELECT} where d.id = ${id} ${lock}`.execute(db);
  if (rows[0] === undefined) throw refuse('NOT_FOUND', `dispute ${id} does not exist`);
  return rows[0];
}

/** Whoever locks it writes it. @throws ApplicationFailure NOT_FOUND */
export const lockDispute = (trx: Sql, id: string): Promise<DisputeRow> => select(trx, id, sql`for update of d`);

/** For looking only. @throws ApplicationFailure NOT_FOUND */
export const readDispute = (db: Sql, id: string): Promise<DisputeRow> => select(db, id, sql``);

export const stateOf = (dispute: DisputeRow): DisputeState => {
  const { operation, status } = dispute;
  const arguing = status === 'OPEN' || status === 'UNDER_REVIEW';
  return {
    order_id: dispute.orderId,
    status,
    decision: dispute.decision,
    parts: dispute.parts.map((part) => ({ ...part, ...divertedTarget(dispute, part.index) })),
    operation: operation && {
      id: operation.id,
      verb: operation.verb,
      status: operation.status,
      ...(operation.status === 'PARKED' ? { repairs: dispute.parking?.repairs ?? ['retry'] } : {}),
    },
    due_at: arguing ? dispute.dueAt : null,
    clock_offset_ms: dispute.clockOffsetMs,
  };
};

/** Business time of the dispute: that of its marketplace. */
export const disputeTime = ({ clockOffsetMs }: Pick<DisputeRow, 'clockOffsetMs'>): Date =>
  new Date(Date.now() + clockOffsetMs);

/** @throws ApplicationFailure INVALID_STATE when the row does not allow the verb now */
export function demand({ status, operation }: DisputeRow, verb: DisputeVerb): void {
  const allowed = allowedDisputeVerbs(status);
  if (!allowed.includes(verb))
    throw refuse('INVALID_STATE', disputeRefusal(status, verb), {
      current_status: status,
      allowed,
      retryable: operation?.status === 'RUNNING',
    });
}

interface DisputePatch {
  readonly status?: DisputeStatus;
  readonly parts?: readonly DisputedPart[];
  readonly assignedTo?: string;
  readonly decision?: DisputeDecision | null;
  readonly note?: string | null;
  readonly resolvedBy?: string | null;
  readonly operation?: DisputeOperation;
  readonly resolvedAt?: Date;
}

/** What happened, as the part of the event's type behind the dot. */
export interface Happened {
  readonly what: 'opened' | 'assigned' | 'withdrawn' | 'resolved';
  readonly change: unknown;
}

interface Origin {
  readonly request_id: string | null;
  readonly actor: string | null;
}

/** Events of users that belong to the change: who was paid. */
type Others = readonly Pick<EventInput, 'type' | 'resource' | 'object' | 'change'>[];

/** Writes the patch with its events. @returns the dispute as it is then */
export async function changeDispute(
  trx: Sql,
  dispute: DisputeRow,
  patch: DisputePatch,
  origin: Origin,
  events: { readonly own?: readonly Happened[]; readonly others?: Others } = {},
): Promise<DisputeRow> {
  const columns = {
    status: patch.status,
    parts: patch.parts === undefined ? undefined : JSON.stringify(patch.parts),
    assigned_to: patch.assignedTo,
    decision: patch.decision,
    note: patch.note,
    resolved_by: patch.resolvedBy,
    operation: patch.operation === undefined ? undefined : JSON.stringify(patch.operation),
    resolved_at: patch.resolvedAt,
  };
  const sets = Object.entries(columns).flatMap(([name, value]) =>
    value === undefined ? [] : [sql`${sql.ref(name)} = ${value}`],
  );
  await sql`update disputes set ${sql.join([...sets, sql`updated_at = clock_timestamp()`])}
    where id = ${dispute.id}`.execute(trx);
  await recordEvents(trx, dispute, origin, events);
  const { status = dispute.status, parts = dispute.parts, operation = dispute.operation } = patch;
  const { assignedTo = dispute.assignedTo, decision = dispute.decision } = patch;
  return { ...dispute, status, parts, operation, assignedTo, decision };
}

/** Counts the change and writes its events; also of a row that was inserted just now. */
export async function recordEvents(
  trx: Sql,
  dispute: Pick<DisputeRow, 'id' | 'marketplaceId'>,
  origin: Origin,
  { own = [], others = [] }: { readonly own?: readonly Happened[]; readonly others?: Others },
): Promise<void> {
  const common = {
    marketplaceId: dispute.marketplaceId,
    actor: origin.actor,
    requestId: origin.request_id,
    ...correlation(),
  };
  const object = own.length === 0 ? null : await disputeResource(trx, dispute.id);
  const events = own.map(({ what, change }) => ({
    type: `dispute.${what}` as const,
    resource: { type: 'dispute' as const, id: dispute.id },
    object,
    change,
    ...common,
  }));
  const following = others.map((other) => ({ ...other, ...common }));
  await recordChange(trx, { resourceId: dispute.id, events: [...events, ...following] });
}
