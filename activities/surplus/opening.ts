/** Something is left in the contract of an order that is over, or came into it: from then on there is a row for it. */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';

/**
 * A recorded movement `m` of the contract of escrow `e`, in a transaction that is not ours, which the books of this
 * contract do not have. They are kept in the order's asset only. The transfer is looked for by the contract's account: one
 * transaction may pay into several.
 */
export const UNBOOKED = sql`
  m.owner_id = e.id and m.asset = e.asset
  and not exists (select from chain_transactions c where c.inner_hash = m.transaction_hash)
  and not exists (select from chain_envelopes v where v.outer_hash = m.transaction_hash)
  and not exists (select from ledger_accounts a
    join ledger_transfers t on t.debit_account = a.id or t.credit_account = a.id
    where a.owner_id = m.owner_id and a.kind = 'custody.contract' and t.transaction_hash = m.transaction_hash)`;

/** What may have to be paid out of the contract of escrow `e`: by the books, or not in them yet. */
const LEFT = sql`(exists (select from ledger_accounts a where a.owner_id = e.id and a.kind = 'custody.contract'
    and a.debits_posted > a.credits_posted)
  or exists (select from movements m where ${UNBOOKED}))`;

/**
 * Opens, or opens again, the row of an order that is over.
 * @param where `LEFT` only where there is something; `SEEN` the caller has just seen it
 * @returns the escrow's id, or null when there is nothing to open
 */
export async function openSurplus(db: Sql, orderId: string, where: 'LEFT' | 'SEEN'): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    insert into surpluses as s (id, order_id, marketplace_id, seen_at)
    select e.id, e.order_id, e.marketplace_id, clock_timestamp() from escrows e join orders o on o.id = e.order_id
    where e.order_id = ${orderId} and e.contract_id is not null and o.status = 'CLOSED'
      and ${where === 'LEFT' ? LEFT : sql`true`}
    on conflict (id) do update set seen_at = clock_timestamp(), settled_at = null
    returning s.id`.execute(db);
  return rows[0]?.id ?? null;
}
