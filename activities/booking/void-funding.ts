/** The custody leg of a funding that is proved dead: voided, while the reservation stands. */
import { sql } from 'kysely';
import { fundDead } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/sql.ts';
import { correlation, lockOrder } from './order-row.ts';

/** Idempotent by the transaction; never touches the leg of one that may still land, whoever calls and how late. */
export async function voidFundingOf(trx: Sql, orderId: string): Promise<void> {
  const order = await lockOrder(trx, orderId);
  const { rows } = await sql<{ escrowId: string; transactionId: string; status: string }>`
    select e.id as "escrowId", t.id as "transactionId", t.status from escrows e
    join chain_transactions t on t.order_id = e.order_id and t.intent->>'kind' = 'FUND_ESCROW'
    where e.order_id = ${order.id} order by t.attempt desc limit 1`.execute(trx);
  const last = rows[0];
  if (last === undefined || (last.status !== 'DEAD' && last.status !== 'FAILED')) return;
  const key = { workflowId: correlation().workflowId, step: 'void-funding', updateId: last.transactionId };
  await fundDead(trx, key, { marketplaceId: order.marketplaceId, escrowId: last.escrowId });
}
