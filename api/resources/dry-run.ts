/** `?dry_run=true`: the settlements that a resolution would lead to, with the fees as the contract takes them. */
import { z } from 'zod';
import { orderView } from '../../db/resources/order.ts';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import { transitionOf, refusal } from '../../domain/order/machine.ts';
import { takes } from '../../domain/order/milestones.ts';
import { REFUND, RELEASE, type Shares, distribute, settle } from '../../domain/order/settlement.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type OrderResource, OrderSchema, Settlement } from '../../domain/resources/order.ts';
import { flagQuery } from '../inputs.ts';
import type { Answer, Call } from '../route.ts';
import { orderOf } from './orders.ts';

export const DRY_RUN_ANSWER = z
  .object({ settlements: z.array(Settlement.extend({ transaction_hash: z.null(), ledger: z.null() })) })
  .meta({ id: 'SettlementPreview', description: 'The settlements that would result; nothing was changed' });

/** What a route that takes it declares. */
export const DRY_RUN = {
  query: z.strictObject({ dry_run: flagQuery }),
  answers: { 200: z.union([OrderSchema, DRY_RUN_ANSWER]), 202: OrderSchema },
} as const;

/** One part of an order and how it would be shared out. */
export interface Shared {
  readonly milestoneRef: string | null;
  readonly sellerId: string;
  /** stroops */
  readonly base: bigint;
  readonly shares: Shares;
}

/** The settlements of these parts, as the API shows them. */
export function preview(order: OrderResource, parts: readonly Shared[]): Answer {
  const settlements = parts.flatMap(({ milestoneRef, sellerId, base, shares }) => {
    // Who they are is all that counts here: the addresses are those of their wallets.
    const seller = { party: 'SELLER' as const, userId: sellerId, address: sellerId };
    const buyer = { party: 'BUYER' as const, userId: order.buyer_id, address: order.buyer_id };
    return settle(distribute(base, shares, { seller, buyer }), order.platform_fee_bps).map((settled) => ({
      user_id: settled.userId,
      party: settled.party,
      milestone_ref: milestoneRef,
      gross: formatAmount(settled.gross),
      protocol_fee: formatAmount(settled.protocolFee),
      platform_fee: formatAmount(settled.platformFee),
      net: formatAmount(settled.net),
      transaction_hash: null,
      ledger: null,
    }));
  });
  return { status: 200, body: { settlements } };
}

/** What would be shared out of an order without milestones: its whole balance in the contract, whoever paid it in. */
export async function wholeBalance(call: Call, order: OrderResource): Promise<bigint> {
  const asset = call.deps.config.assets.find(({ code }) => code === order.asset);
  const contractId = order.escrow?.contract_id ?? null;
  return asset === undefined || contractId === null
    ? parseAmount(order.amount)
    : (await call.deps.chainBalance(contractId, asset)).value;
}

/** The milestones that the verb would be about. @throws Refusal INVALID_STATE as the verb itself would */
export function demandParts(
  order: OrderResource,
  verb: 'release' | 'refund' | 'dispute',
  refs: readonly string[] | null,
): OrderResource['milestones'] {
  const view = orderView(order);
  const targets = order.milestones.filter(
    ({ milestone_ref: ref, status }) => refs?.includes(ref) ?? takes(verb, status),
  );
  const blocked = targets.find(({ status }) => !takes(verb, status));
  if (transitionOf(view, verb) === null || blocked !== undefined) {
    const detail =
      blocked === undefined ? refusal(view, verb) : `${verb}: milestone ${blocked.milestone_ref} is ${blocked.status}`;
    const { status, allowed, operation } = order;
    throw new Refusal('INVALID_STATE', detail, { current_status: status, allowed, operation });
  }
  return targets;
}

/** @throws Refusal INVALID_STATE as the verb itself would */
export async function dryRun(
  call: Call<{ id: string }>,
  verb: 'release' | 'refund',
  refs: readonly string[] | null,
): Promise<Answer> {
  const order = await orderOf(call);
  const targets = demandParts(order, verb, refs);
  const shares = verb === 'release' ? RELEASE : REFUND;
  if (order.milestones.length > 0)
    return preview(
      order,
      targets.map(({ milestone_ref, seller_id, amount }) => ({
        milestoneRef: milestone_ref,
        sellerId: seller_id,
        base: parseAmount(amount),
        shares,
      })),
    );
  const base = verb === 'release' ? parseAmount(order.amount) : await wholeBalance(call, order);
  return preview(order, [{ milestoneRef: null, sellerId: order.seller_id, base, shares }]);
}
