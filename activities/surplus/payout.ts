/** Paying out what is left: on the word of two persons, and booked from what the chain moved. */
import { sql } from 'kysely';
import { contractOutflow } from '../../db/ledger/balances.ts';
import { InsufficientFunds } from '../../db/ledger/post.ts';
import { appendEvents } from '../../db/events.ts';
import { takeApproval } from '../approvals.ts';
import { userResource } from '../../db/resources/user.ts';
import { type Sql, inTransaction } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { type Reason, isReason } from '../../domain/reasons.ts';
import type { Intent } from '../../domain/intents.ts';
import { surplusWorkflowId } from '../../domain/workflow-ids.ts';
import { settlementMovements } from '../booking/order-settlement.ts';
import { correlation } from '../booking/order-row.ts';
import { type PaidOut, recipients } from '../booking/recipients.ts';
import { releaseLease } from '../chain/leases.ts';
import type { Landed } from '../chain/look.ts';
import { isPaidOut } from '../chain/misread.ts';
import type { StoredTransaction } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { refuse, waitFor } from '../failure.ts';
import { demandOpen } from '../withdrawals/row.ts';
import { type SurplusRow, clearMatters, lockSurplus, raiseMatter } from './row.ts';

type Withdrawal = Extract<Intent, { readonly kind: 'WITHDRAW_SURPLUS' }>;

/** The escrow whose surplus a transaction is about, or null. */
export const surplusOf = ({ intentKey }: Pick<StoredTransaction, 'intentKey'>): string | null =>
  /^surplus\/([^/]+)\//.exec(intentKey)?.[1] ?? null;

/**
 * To whom, and how much: what two persons agreed on, no stroop more, whatever came in since.
 * @throws ApplicationFailure INVALID_STATE when it is not, or no longer, what is being paid
 */
export async function agreedPayout(
  db: Sql,
  { orderId, approvalId }: Withdrawal,
): Promise<{ readonly address: string; readonly amount: bigint }> {
  const { rows } = await sql<{ address: string; amount: string }>`
    select a.address, s.amount::text as amount from surpluses s join repair_approvals a on a.id = s.approval_id
    where s.order_id = ${orderId} and s.approval_id = ${approvalId} and a.used_at is not null`.execute(db);
  const [agreed] = rows;
  if (agreed === undefined) throw refuse('INVALID_STATE', `${approvalId} is not what is being paid out`);
  return { address: agreed.address, amount: BigInt(agreed.amount) };
}

/** Books a landed transaction of a surplus; a dispute that it opened moves nothing. @throws ApplicationFailure BOOKS_DIFFER */
export async function bookSurplus(
  trx: Sql,
  deps: Deps,
  escrowId: string,
  stored: StoredTransaction,
  landed: Landed,
): Promise<void> {
  if (stored.intent.kind !== 'WITHDRAW_SURPLUS') return;
  const surplus = await lockSurplus(trx, escrowId);
  const { contractId, marketplaceId, amount } = surplus;
  const out = settlementMovements(deps, surplus, landed).filter(({ from }) => from === contractId);
  const total = out.reduce((sum, move) => sum + move.amount, 0n);
  if (surplus.approvalId !== stored.intent.approvalId || total !== amount)
    throw refuse('BOOKS_DIFFER', `the contract paid ${formatAmount(total)} that nobody agreed on`);
  const paid = await recipients(trx, marketplaceId, out);
  await post(trx, surplus, stored, landed, paid);
  await clearMatters(trx, surplusWorkflowId(escrowId), surplus);
  await sql`update surpluses set approval_id = null, attention_id = null, amount = null
    where id = ${escrowId}`.execute(trx);
  await tellPaid(trx, surplus, landed, paid);
}

async function post(
  trx: Sql,
  { marketplaceId, asset, escrowId, orderId }: SurplusRow,
  stored: StoredTransaction,
  landed: Landed,
  transfers: readonly PaidOut[],
): Promise<void> {
  // One that is adopted may have been booked before, as a transaction that was not ours.
  if (stored.status === 'CONFIRMED' && (await isPaidOut(trx, stored, landed))) return;
  const key = { workflowId: surplusWorkflowId(escrowId), step: 'payout', updateId: stored.id };
  const chain = { transactionHash: landed.hash, ledgerSeq: landed.ledger };
  try {
    await contractOutflow(trx, key, { marketplaceId, asset, escrowId, orderId, transfers, ...chain });
  } catch (error) {
    if (error instanceof InsufficientFunds) throw waitFor('PENDING', 'a payment into the contract is not booked yet');
    throw error;
  }
}

/** Users of ours hear that their balance grew. */
async function tellPaid(trx: Sql, surplus: SurplusRow, landed: Landed, paid: readonly PaidOut[]): Promise<void> {
  for (const { to, amount } of paid)
    if (to.kind === 'USER')
      await appendEvents(trx, [
        {
          type: 'balance.credited',
          marketplaceId: surplus.marketplaceId,
          resource: { type: 'user', id: to.userId },
          object: await userResource(trx, to.userId),
          change: {
            amount: formatAmount(amount),
            asset: surplus.asset,
            resource: { type: 'order', id: surplus.orderId },
            transaction_hash: landed.hash,
          },
          actor: null,
          requestId: null,
          ...correlation(),
        },
      ]);
}

/** Whether the payout may have landed, or may still land. */
async function mayLand(trx: Sql, key: string): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from chain_transactions where intent_key = ${key}
      and status in ('SIGNED', 'SUBMITTED', 'CONFIRMED')) as found`.execute(trx);
  return rows[0]?.found === true;
}

export function createSurplusPayout({ orm }: Pick<Deps, 'orm'>) {
  return {
    /**
     * Two persons agreed: from here on it is being paid out. Asked again, nothing changes.
     * @throws ApplicationFailure INVALID_STATE when they did not, something else is being paid, or nothing is left;
     *   MARKETPLACE_PAUSED
     */
    takeSurplusApproval: ({ escrow_id, approval_id }: { escrow_id: string; approval_id: string }): Promise<void> =>
      inTransaction(orm, async (trx) => {
        const { approvalId, attentionId, marketplaceId } = await lockSurplus(trx, escrow_id);
        if (approvalId === approval_id) return;
        if (approvalId !== null || attentionId === null)
          throw refuse('INVALID_STATE', approvalId === null ? 'nothing is left' : 'it is being paid out');
        await demandOpen(trx, marketplaceId, null);
        const approval = await takeApproval(trx, approval_id, { attention_id: attentionId });
        await sql`update surpluses set approval_id = ${approval_id}, amount = ${approval.amount}
          where id = ${escrow_id}`.execute(trx);
        // Nobody is asked while it is on its way.
        await sql`update attention set allowed_repairs = '{}' where id = ${attentionId}`.execute(trx);
      }),

    /** Compensation: nothing was paid. What two persons agreed on is void; they are asked anew. Not while it may land. */
    dropSurplusApproval: (input: { escrow_id: string; approval_id: string; step: string }): Promise<void> =>
      inTransaction(orm, async (trx) => {
        const surplus = await lockSurplus(trx, input.escrow_id);
        const workflowId = surplusWorkflowId(input.escrow_id);
        const key = `${workflowId}/${input.step}`;
        if (surplus.approvalId !== input.approval_id) return;
        // Whoever signs touches the lease: he has done so now, or cannot any more.
        await sql`select from source_leases where owner = ${key} for update`.execute(trx);
        if (await mayLand(trx, key)) return;
        await releaseLease(trx, key);
        await clearMatters(trx, workflowId, surplus);
        await sql`update surpluses set approval_id = null, attention_id = null, amount = null
          where id = ${input.escrow_id}`.execute(trx);
      }),

    /** Only an operator can help: a matter of its own beside the one that it is about. */
    parkSurplus: (input: {
      escrow_id: string;
      reason: string;
      message: string;
      detail: unknown;
      step: string;
      repairs: readonly string[];
    }): Promise<void> =>
      inTransaction(orm, async (trx) => {
        const surplus = await lockSurplus(trx, input.escrow_id);
        const workflowId = surplusWorkflowId(input.escrow_id);
        const { message, detail, step, repairs } = input;
        const reason: Reason = isReason(input.reason) ? input.reason : 'OPERATION_FAILED';
        await clearMatters(trx, workflowId, surplus, surplus.attentionId);
        await raiseMatter(trx, workflowId, surplus, { reason, detail: { message, detail, step }, repairs });
      }),

    unparkSurplus: ({ escrow_id }: { escrow_id: string }): Promise<void> =>
      inTransaction(orm, async (trx) => {
        const surplus = await lockSurplus(trx, escrow_id);
        await clearMatters(trx, surplusWorkflowId(escrow_id), surplus, surplus.attentionId);
      }),
  };
}
