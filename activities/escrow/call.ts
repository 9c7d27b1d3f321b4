/** From an intent to the exact call on the contract: every amount and address comes from our rows, at each preparation. */
import type { Sql } from '../../db/sql.ts';
import type { EscrowCall } from '../../domain/chain.ts';
import type { EscrowIntent } from '../../domain/intents.ts';
import { DESCRIPTION_MAX, TITLE_MAX } from '../../domain/limits.ts';
import type { EscrowWallets } from '../../domain/order/shapes.ts';
import { type EscrowRecord, type OrderRow, escrowOf, readOrder } from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { completeRoles } from './roles.ts';

export interface ResolvedCall {
  readonly call: EscrowCall;
  readonly order: OrderRow;
  readonly escrow: EscrowRecord & { readonly wallets: EscrowWallets };
  /** the wallet that signs; its account is the transaction's source */
  readonly signer: EscrowWallets[keyof EscrowWallets];
}

/** Null while a wallet that plays a role is not ready. */
export async function resolveCall(db: Sql, deps: Deps, intent: EscrowIntent): Promise<ResolvedCall | null> {
  const order = await readOrder(db, intent.orderId);
  const escrow = escrowOf(order);
  const wallets = escrow.wallets ?? (await completeRoles(db, order));
  if (wallets === null) return null;
  const [signer, call] = callOf(deps, intent, order, escrow, wallets);
  return { call, order, escrow: { ...escrow, wallets }, signer };
}

function callOf(
  deps: Deps,
  intent: EscrowIntent,
  order: OrderRow,
  escrow: EscrowRecord,
  wallets: EscrowWallets,
): [EscrowWallets[keyof EscrowWallets], EscrowCall] {
  const type = 'SINGLE_RELEASE';
  if (intent.kind === 'DEPLOY_ESCROW') {
    const terms = termsOf(deps, order, escrow, wallets);
    return [wallets.deploy_signer, { fn: 'deploy', source: wallets.deploy_signer.address, terms }];
  }
  const contractId = escrow.contractId;
  if (contractId === null) throw refuse('INVALID_STATE', `escrow ${escrow.id} has no contract`);
  switch (intent.kind) {
    case 'FUND_ESCROW':
      return [wallets.funder, { fn: 'fund', type, source: wallets.funder.address, contractId, amount: escrow.amount }];
    case 'DELIVER': {
      const source = wallets.service_provider.address;
      // The contract stores one string: what was handed over, one piece per line.
      const evidence = intent.evidence
        .map((piece) => `${piece.type} ${piece.value}`)
        .join('\n')
        .slice(0, DESCRIPTION_MAX);
      return [
        wallets.service_provider,
        { fn: 'change_milestone_status', type, source, contractId, milestoneIndex: 0, status: 'completed', evidence },
      ];
    }
    case 'APPROVE': {
      const source = wallets.approver.address;
      return [
        wallets.approver,
        { fn: 'approve_milestone', type, source, contractId, milestoneIndex: intent.milestoneIndex },
      ];
    }
    case 'RELEASE': {
      const source = wallets.release_signer.address;
      return [
        wallets.release_signer,
        { fn: 'release', type, source, contractId, milestoneIndex: intent.milestoneIndex },
      ];
    }
  }
}

function termsOf(
  { network }: Deps,
  order: OrderRow,
  escrow: EscrowRecord,
  wallets: EscrowWallets,
): Extract<EscrowCall, { fn: 'deploy' }>['terms'] {
  const asset = network.assets.find((candidate) => candidate.code === escrow.asset);
  if (asset === undefined) throw refuse('BOOKS_DIFFER', `${escrow.asset} is not an asset of this network`);
  return {
    type: 'SINGLE_RELEASE',
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
    milestones: [{ description: order.title, amount: escrow.amount, receiver: wallets.receiver.address }],
  };
}
