/**
 * The second person: a repair that pays somebody is proposed by one and approved by another, for one matter. The API and the
 * command write it; the activity that carries it out looks here, whatever it was told.
 */
import { sql } from 'kysely';
import { newId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { isSecondPerson } from '../domain/payment/approval.ts';
import { type UnpaidPayee, payeeOf } from '../domain/repairs.ts';
import type { PartyName } from '../domain/statuses.ts';
import type { Sql } from './sql.ts';

interface Proposal {
  readonly attentionId: string;
  readonly action: 'payout_to';
  /** who is to be paid: G… */
  readonly address: string;
  readonly reason: string | null;
  /** `key`: id of the API key, or `command`; null: nobody, the system suggests it */
  readonly by: { readonly key: string; readonly person: string | null } | null;
  /** it was said before, and somebody may have answered it since: what was proposed instead stands */
  readonly repeated?: boolean;
}

interface Open {
  readonly id: string;
  readonly address: string;
  readonly proposedBy: string | null;
  readonly proposedPerson: string | null;
  readonly approved: boolean;
}

/**
 * Proposes, or approves what another person proposed. Another address replaces what was proposed, as long as nobody has used
 * it; the same call again changes nothing.
 * @returns null when the matter is settled, or pays nobody; SUPERSEDED with what stands instead of what was said before
 */
export async function proposeOrApprove(
  trx: Sql,
  proposal: Proposal,
): Promise<{ readonly status: 'PROPOSED' | 'APPROVED' | 'SUPERSEDED'; readonly approval_id: string } | null> {
  const { attentionId, action, address, by, repeated = false } = proposal;
  const { rows: matters } = await sql<{ marketplaceId: string | null; detail: { readonly detail?: unknown } }>`
    select marketplace_id as "marketplaceId", detail from attention
    where id = ${attentionId} and cleared_at is null and ${action} = any(allowed_repairs) for update`.execute(trx);
  const [matter] = matters;
  const payee = payeeOf(matter?.detail.detail ?? null);
  if (matter === undefined || payee === null) return null;
  const { rows } = await sql<Open>`
    select id, address, proposed_by as "proposedBy", proposed_person as "proposedPerson", approved_at is not null as approved
    from repair_approvals where attention_id = ${attentionId} and used_at is null`.execute(trx);
  const [open] = rows;
  // What somebody has asked for is not replaced by what the system suggests.
  const known =
    open !== undefined && (by === null || (open.address === address && open.proposedBy !== null)) ? open : null;
  if (known === null && repeated && open !== undefined && open.proposedBy !== null)
    return { status: 'SUPERSEDED', approval_id: open.id };
  if (known === null)
    return { status: 'PROPOSED', approval_id: await propose(trx, proposal, matter.marketplaceId, payee) };
  if (known.approved) return { status: 'APPROVED', approval_id: known.id };
  if (by === null || !isSecondPerson(by.person, known.proposedPerson))
    return { status: 'PROPOSED', approval_id: known.id };
  await sql`
    update repair_approvals set approved_by = ${by.key}, approved_person = ${by.person}, approved_at = clock_timestamp()
    where id = ${known.id}`.execute(trx);
  return { status: 'APPROVED', approval_id: known.id };
}

async function propose(
  trx: Sql,
  { attentionId, action, address, reason, by }: Proposal,
  marketplaceId: string | null,
  payee: UnpaidPayee,
): Promise<string> {
  await sql`delete from repair_approvals where attention_id = ${attentionId} and used_at is null`.execute(trx);
  const id = newId('repairApproval');
  await sql`
    insert into repair_approvals (id, attention_id, marketplace_id, order_id, milestone_index, party, action, address, amount,
      asset, reason, proposed_by, proposed_person, proposed_at)
    values (${id}, ${attentionId}, ${marketplaceId}, ${payee.order_id}, ${payee.milestone_index}, ${payee.party}, ${action},
      ${address}, ${parseAmount(payee.amount)}, ${payee.asset}, ${reason}, ${by?.key ?? null}, ${by?.person ?? null},
      clock_timestamp())`.execute(trx);
  return id;
}

/** Whether it was carried out. */
export async function isApprovalUsed(db: Sql, approvalId: string): Promise<boolean> {
  const { rows } = await sql`
    select from repair_approvals where id = ${approvalId} and used_at is not null`.execute(db);
  return rows.length > 0;
}

/**
 * Where the other party of a part is paid: its wallet, or where two persons decided. Null: there is none, or nothing is
 * left for it, because `payee` gets the whole part.
 */
export async function otherPayoutOf(db: Sql, payee: UnpaidPayee): Promise<string | null> {
  const { order_id: orderId, milestone_index: index, party, amount } = payee;
  if (party === null) return null;
  const other: PartyName = party === 'SELLER' ? 'BUYER' : 'SELLER';
  const { rows } = await sql<{ address: string | null }>`
    select coalesce(
      (select address from repair_approvals where order_id = ${orderId} and party = ${other} and used_at is not null
        and milestone_index is not distinct from ${index}::int order by used_at desc limit 1),
      (select case ${other} when 'BUYER' then wallets->'funder'->>'address'
          else coalesce(wallets->'receivers'->${index}::int->>'address', wallets->'receiver'->>'address') end
        from escrows where order_id = ${orderId})) as address
    where not exists (
      select from orders o left join milestones m on m.order_id = o.id and m.index = ${index}::int
      where o.id = ${orderId} and ${parseAmount(amount)} >= coalesce(m.amount, o.amount))`.execute(db);
  return rows[0]?.address ?? null;
}

export interface Approval {
  readonly id: string;
  readonly attentionId: string;
  readonly orderId: string;
  /** null: the order has no milestones */
  readonly milestoneIndex: number | null;
  readonly party: PartyName | null;
  readonly address: string;
  /** stroops, before fees */
  readonly amount: bigint;
  readonly asset: string;
}

/**
 * Uses an approval, once, for the open matter that it is about. Locks the matter, too.
 * @returns null when two persons have not approved exactly this, or it was used
 */
export async function useApproval(
  trx: Sql,
  approvalId: string,
  { attention_id: attentionId }: { readonly attention_id: string | null },
): Promise<Approval | null> {
  // As who proposes locks it: the matter first.
  await sql`select from attention where id = ${attentionId} for update`.execute(trx);
  const { rows } = await sql<
    Omit<Approval, 'amount'> & { amount: string; approver: string | null; proposer: string | null }
  >`
    select id, attention_id as "attentionId", order_id as "orderId", milestone_index as "milestoneIndex", party, address,
      amount::text, asset, approved_person as approver, proposed_person as proposer
    from repair_approvals
    where id = ${approvalId} and attention_id = ${attentionId} and approved_at is not null and used_at is null
    for update`.execute(trx);
  const [row] = rows;
  if (row === undefined || !isSecondPerson(row.approver, row.proposer)) return null;
  await sql`update repair_approvals set used_at = clock_timestamp() where id = ${approvalId}`.execute(trx);
  const { approver: _approver, proposer: _proposer, ...approval } = row;
  return { ...approval, amount: BigInt(approval.amount) };
}
