/** One look at what is left: book what came in, see what there is, and say so to whoever has to decide. */
import { sql } from 'kysely';
import { proposeOrApprove } from '../../db/repair-approvals.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import type { UnpaidPayee } from '../../domain/repairs.ts';
import { type PaidIn, SURPLUS_REPAIRS, type SurplusState, defaultPayee } from '../../domain/surplus.ts';
import { surplusWorkflowId } from '../../domain/workflow-ids.ts';
import { ProviderError } from '../../providers/errors.ts';
import { openParts } from '../../providers/escrow/stored.ts';
import { bookForeign, unbookedOn } from '../booking/foreign.ts';
import type { Deps } from '../context.ts';
import { preparedOn } from '../escrow/gateway.ts';
import { waitFor, waitForProvider } from '../failure.ts';
import { type SurplusRow, clearMatters, heldBy, lockSurplus, raiseMatter, readSurplus } from './row.ts';

/** Payments that a matter names. */
const NAMED_MAX = 10;

export function createSurplusLook(deps: Deps) {
  const { orm, rpc } = deps;
  return {
    /** @throws ApplicationFailure NOT_FOUND when nothing was ever left there */
    async lookAtSurplus({ escrow_id }: { escrow_id: string }): Promise<SurplusState> {
      const { orderId, contractId, type, seenAt } = await readSurplus(pool(orm), escrow_id);
      for (const hash of await unbookedOn(pool(orm), escrow_id)) await bookForeign(deps, orderId, hash);
      const state = await inTransaction(orm, (trx) => see(trx, escrow_id, seenAt));
      if (state.status !== 'PAYING') return state;
      try {
        const stored = (await rpc.escrowState(contractId)).value;
        const open = stored === null ? [] : openParts(stored, type);
        const open_parts = [...new Set([...open, ...(await partsOnTheirWay(pool(orm), escrow_id))])];
        return { ...state, open_parts, ...preparedOn(deps) };
      } catch (error) {
        if (error instanceof ProviderError) throw waitForProvider(error);
        throw error;
      }
    },
  };
}

/** Parts whose dispute was signed and is not booked: a run that is lost left them, whatever the contract says by now. */
async function partsOnTheirWay(db: Sql, escrowId: string): Promise<(number | null)[]> {
  const { rows } = await sql<{ index: number | null }>`
    select (intent->>'milestoneIndex')::int as index from chain_transactions
    where workflow_id = ${surplusWorkflowId(escrowId)} and intent->>'kind' = 'OPEN_DISPUTE' and booked_at is null
      and status in ('SIGNED', 'SUBMITTED', 'CONFIRMED') order by index`.execute(db);
  return rows.map(({ index }) => index);
}

/** @param since when something had come in last, before what came in was booked */
async function see(trx: Sql, escrowId: string, since: string): Promise<SurplusState> {
  const surplus = await lockSurplus(trx, escrowId);
  // With the lock: what was seen before is seen by this look, what comes later is seen by the next one.
  if (surplus.seenAt !== since) throw waitFor('PENDING', 'something came in during this look');
  await sql`update surpluses set looked_at = clock_timestamp() where id = ${escrowId}`.execute(trx);
  if (surplus.approvalId !== null) return stateOf(surplus, 'PAYING', surplus.amount ?? 0n);
  const held = await heldBy(trx, surplus);
  if (held > 0n) await ask(trx, surplus, held);
  else await settle(trx, surplus);
  return stateOf(surplus, held > 0n ? 'WAITING' : 'SETTLED', held);
}

const stateOf = (surplus: SurplusRow, status: SurplusState['status'], amount: bigint): SurplusState => ({
  order_id: surplus.orderId,
  marketplace_id: surplus.marketplaceId,
  contract_id: surplus.contractId,
  status,
  amount: formatAmount(amount),
  asset: surplus.asset,
  approval_id: surplus.approvalId,
  open_parts: [],
});

async function settle(trx: Sql, surplus: SurplusRow): Promise<void> {
  await clearMatters(trx, surplusWorkflowId(surplus.escrowId), surplus);
  await sql`update surpluses set settled_at = clock_timestamp(), attention_id = null, amount = null
    where id = ${surplus.escrowId}`.execute(trx);
}

/**
 * The matter says how much there is. From the first person's proposal on that does not change any more: what comes in
 * later is another matter, when this one is settled.
 */
async function ask(trx: Sql, surplus: SurplusRow, held: bigint): Promise<void> {
  const { escrowId, attentionId, amount } = surplus;
  if (attentionId !== null && (amount === held || (await isProposed(trx, attentionId)))) return;
  const { address, detail } = await whatIsLeft(trx, surplus, held);
  const id = attentionId === null ? await raise(trx, surplus, detail) : await amend(trx, attentionId, detail);
  await proposeOrApprove(trx, { attentionId: id, action: 'payout_to', address, reason: null, by: null });
  await sql`update surpluses set amount = ${held}, attention_id = ${id} where id = ${escrowId}`.execute(trx);
}

const raise = (trx: Sql, surplus: SurplusRow, detail: Record<string, unknown>): Promise<string> =>
  raiseMatter(trx, surplusWorkflowId(surplus.escrowId), surplus, {
    reason: 'SURPLUS',
    detail,
    repairs: SURPLUS_REPAIRS,
  });

async function amend(trx: Sql, attentionId: string, detail: Record<string, unknown>): Promise<string> {
  await sql`update attention set detail = ${JSON.stringify(detail)}::jsonb where id = ${attentionId}`.execute(trx);
  await sql`delete from repair_approvals where attention_id = ${attentionId}`.execute(trx);
  return attentionId;
}

/** Whether a person has asked for it; who does now waits. */
async function isProposed(trx: Sql, attentionId: string): Promise<boolean> {
  await sql`select from attention where id = ${attentionId} for update`.execute(trx);
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from repair_approvals where attention_id = ${attentionId} and proposed_by is not null)
      as found`.execute(trx);
  return rows[0]?.found === true;
}

/** Who paid it in, and where it should go unless somebody knows better. */
async function whatIsLeft(trx: Sql, surplus: SurplusRow, held: bigint) {
  const { escrowId, orderId, contractId, asset, wallets } = surplus;
  const amount = formatAmount(held);
  const { rows } = await sql<{ from: string; amount: string; transaction_hash: string }>`
    select counterparty as "from", amount::text as amount, transaction_hash from movements m
    where owner_id = ${escrowId} and direction = 'IN' and asset = ${asset}
      and not exists (select from chain_transactions t where t.inner_hash = m.transaction_hash)
      and not exists (select from chain_envelopes v where v.outer_hash = m.transaction_hash)
    order by ledger desc, operation_id desc`.execute(trx);
  const paidIn: PaidIn[] = rows.map((row) => ({ from: row.from, amount: BigInt(row.amount) }));
  const payee: UnpaidPayee = { order_id: orderId, milestone_index: null, party: null, amount, asset };
  const paid_in = rows.slice(0, NAMED_MAX).map((row) => ({ ...row, amount: formatAmount(BigInt(row.amount)) }));
  return {
    address: defaultPayee(held, paidIn, wallets.funder.address),
    detail: {
      message: `${amount} ${asset} are left in the contract of an order that is over`,
      detail: { payee, escrow_id: escrowId, contract_id: contractId, paid_in },
    },
  };
}
