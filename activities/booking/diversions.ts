/**
 * Parts of an order of which two persons decided that somebody else than its party is paid. It stands until the part is paid,
 * whatever becomes of the operation; of one party the last decision counts.
 */
import { type RawBuilder, sql } from 'kysely';
import type { PartyName } from '../../domain/statuses.ts';

export interface Diversion {
  /** null: the order has no milestones */
  readonly index: number | null;
  readonly party: PartyName;
  readonly address: string;
}

/** Those of an order, as JSON. */
export const diversionsOf = (orderId: RawBuilder<unknown>) => sql`(
  select coalesce(json_agg(json_build_object('index', r.milestone_index, 'party', r.party, 'address', r.address)
    order by r.used_at), '[]')
  from repair_approvals r where r.order_id = ${orderId} and r.party is not null and r.used_at is not null)`;

interface Diverted {
  readonly diversions: readonly Diversion[];
}

/** The address that is paid instead of a party's own, if two persons decided so. */
export const diversionOf = ({ diversions }: Diverted, index: number | null, party: PartyName): string | null =>
  diversions.findLast((one) => one.index === index && one.party === party)?.address ?? null;

/** What a workflow has to know: a contract releases to its own receiver only. */
export const divertedTarget = (of: Diverted, index: number | null): { readonly diverted?: true } =>
  diversionOf(of, index, 'SELLER') === null ? {} : { diverted: true };
