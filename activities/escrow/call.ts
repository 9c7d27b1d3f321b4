/** From an intent to the exact call on the contract: every amount and address comes from our rows, at each preparation. */
import type { Sql } from '../../db/sql.ts';
import type { Distribution, EscrowCall } from '../../domain/chain.ts';
import type { EscrowIntent } from '../../domain/intents.ts';
import { DESCRIPTION_MAX, TITLE_MAX } from '../../domain/limits.ts';
import type { EscrowWallets, WalletRef } from '../../domain/order/shapes.ts';
import { distribute } from '../../domain/order/settlement.ts';
import { type EscrowRecord, type OrderRow, escrowOf, readOrder } from '../booking/order-row.ts';
import { partOf } from '../booking/order-settlement.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { agreedPayout } from '../surplus/payout.ts';
import { payeesOf, receiverOf, sharesOf } from './payees.ts';
import { completeRoles } from './roles.ts';

export interface ResolvedCall {
  readonly call: EscrowCall;
  readonly order: OrderRow;
  readonly escrow: EscrowRecord & { readonly wallets: EscrowWallets };
  /** the wallet that signs; its account is the transaction's source */
  readonly signer: WalletRef;
  /** with what this preparation found out: stored with the transaction, so that signing judges the same */
  readonly intent: EscrowIntent;
}

/** Null while a wallet that plays a role is not ready. */
export async function resolveCall(db: Sql, deps: Deps, asked: EscrowIntent): Promise<ResolvedCall | null> {
  const order = await readOrder(db, asked.orderId);
  const escrow = escrowOf(order);
  const wallets = escrow.wallets ?? (await completeRoles(deps.orm, order));
  if (wallets === null) return null;
  const complete = { ...order, escrow: { ...escrow, wallets } };
  const intent = await withBase(deps, complete, asked);
  const [signer, call] =
    intent.kind === 'WITHDRAW_SURPLUS'
      ? withdrawal(complete, wallets, await agreedPayout(db, intent))
      : callOf(deps, intent, complete, wallets);
  return { call, order: complete, escrow: complete.escrow, signer, intent };
}

/**
 * What a resolution shares out. Of an order without milestones the contract wants its whole balance shared, and anybody
 * may have paid into it (F30): read from the chain when it is prepared, kept from then on. Of a milestone it is its amount.
 */
async function withBase({ rpc, network }: Deps, order: OrderRow, intent: EscrowIntent): Promise<EscrowIntent> {
  if (intent.kind !== 'RESOLVE_DISPUTE' || intent.base !== undefined) return intent;
  const part = partOf(order, intent.milestoneIndex);
  const { contractId } = escrowOf(order);
  const asset = network.assets.find(({ code }) => code === order.asset);
  if (contractId === null || asset === undefined) throw refuse('BOOKS_DIFFER', `escrow of ${order.id} cannot be read`);
  const base = part.index === null ? (await rpc.assetBalance(contractId, asset)).value : part.amount;
  return { ...intent, base: base.toString() };
}

/** All or some of what is left, to one address. */
function withdrawal(order: OrderRow, wallets: EscrowWallets, payout: Distribution): [WalletRef, EscrowCall] {
  const signer = wallets.dispute_resolver;
  const { contractId } = escrowOf(order);
  if (contractId === null) throw refuse('INVALID_STATE', `order ${order.id} has no contract`);
  const type = order.hasMilestones ? 'MULTI_RELEASE' : 'SINGLE_RELEASE';
  const source = signer.address;
  return [signer, { fn: 'withdraw_remaining_funds', type, contractId, source, distributions: [payout] }];
}

function callOf(
  deps: Deps,
  intent: Exclude<EscrowIntent, { kind: 'WITHDRAW_SURPLUS' }>,
  order: OrderRow,
  wallets: EscrowWallets,
): [signer: WalletRef, call: EscrowCall] {
  const escrow = escrowOf(order);
  const type = order.hasMilestones ? 'MULTI_RELEASE' : 'SINGLE_RELEASE';
  if (intent.kind === 'DEPLOY_ESCROW') {
    const terms = termsOf(deps, order, escrow, wallets);
    return [wallets.deploy_signer, { fn: 'deploy', source: wallets.deploy_signer.address, terms }];
  }
  const { contractId } = escrow;
  if (contractId === null) throw refuse('INVALID_STATE', `escrow ${escrow.id} has no contract`);
  const by = (signer: WalletRef) => ({ type, contractId, source: signer.address }) as const;
  switch (intent.kind) {
    case 'FUND_ESCROW':
      return [wallets.funder, { fn: 'fund', ...by(wallets.funder), amount: escrow.amount }];
    case 'DELIVER': {
      const milestoneIndex = intent.milestoneIndex ?? 0;
      const change = { milestoneIndex, status: 'completed', evidence: evidenceText(order) };
      return [wallets.service_provider, { fn: 'change_milestone_status', ...by(wallets.service_provider), ...change }];
    }
    case 'APPROVE': {
      const milestoneIndex = intent.milestoneIndex ?? 0;
      return [wallets.approver, { fn: 'approve_milestone', ...by(wallets.approver), milestoneIndex }];
    }
    case 'RELEASE': {
      const { milestoneIndex } = intent;
      return [wallets.release_signer, { fn: 'release', ...by(wallets.release_signer), milestoneIndex }];
    }
    case 'OPEN_DISPUTE': {
      const { milestoneIndex } = intent;
      return [wallets.release_signer, { fn: 'dispute', ...by(wallets.release_signer), milestoneIndex }];
    }
    case 'RESOLVE_DISPUTE': {
      const { milestoneIndex } = intent;
      const payees = payeesOf(order, partOf(order, milestoneIndex));
      const distributions = distribute(BigInt(intent.base ?? '0'), sharesOf(intent), payees).map(
        ({ address, amount }) => ({ address, amount }),
      );
      const signer = wallets.dispute_resolver;
      return [signer, { fn: 'resolve_dispute', ...by(signer), milestoneIndex, distributions }];
    }
  }
}

/** The contract stores one string: what was handed over, one piece per line. */
const evidenceText = ({ task }: OrderRow): string =>
  (task?.evidence ?? [])
    .map((piece) => `${piece.type} ${piece.value}`)
    .join('\n')
    .slice(0, DESCRIPTION_MAX);

function termsOf(
  { network }: Deps,
  order: OrderRow,
  escrow: EscrowRecord,
  wallets: EscrowWallets,
): Extract<EscrowCall, { fn: 'deploy' }>['terms'] {
  const asset = network.assets.find((candidate) => candidate.code === escrow.asset);
  if (asset === undefined) throw refuse('BOOKS_DIFFER', `${escrow.asset} is not an asset of this network`);
  return {
    type: order.hasMilestones ? 'MULTI_RELEASE' : 'SINGLE_RELEASE',
    // The only business key by which an escrow can be found again.
    engagementId: escrow.id,
    title: order.title.slice(0, TITLE_MAX),
    description: (order.description ?? order.title).slice(0, DESCRIPTION_MAX),
    roles: {
      approver: wallets.approver.address,
      serviceProvider: wallets.service_provider.address,
      platform: wallets.platform.address,
      releaseSigner: wallets.release_signer.address,
      disputeResolver: wallets.dispute_resolver.address,
    },
    receiver: wallets.receiver.address,
    amount: escrow.amount,
    platformFeeBps: escrow.platformFeeBps,
    asset: { code: asset.code, issuer: asset.issuer },
    milestones: order.parts.map((part) => ({
      description: part.title,
      amount: part.amount,
      receiver: receiverOf(wallets, part).address,
    })),
  };
}
