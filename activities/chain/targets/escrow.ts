/** Calls on the escrow contract: the envelope comes from a gateway and is held against the call as we would make it. */
import type { Sql } from '../../../db/sql.ts';
import { TRANSACTION_FEE_CAP } from '../../../domain/limits.ts';
import type { EscrowIntent } from '../../../domain/intents.ts';
import type { VerifyContext } from '../../../providers/escrow/port.ts';
import { verifyEnvelope } from '../../../providers/escrow/verify.ts';
import type { Deps } from '../../context.ts';
import { resolveCall } from '../../escrow/call.ts';
import { orRefuse } from '../../escrow/refusal.ts';
import { refuse } from '../../failure.ts';
import { unlessPaused } from '../pause.ts';
import type { Target } from '../target.ts';

/** Null while a wallet that plays a role is not ready. */
export async function escrowTarget(db: Sql, deps: Deps, intent: EscrowIntent, key: string): Promise<Target | null> {
  const resolved = await resolveCall(db, deps, intent);
  if (resolved === null) return null;
  const { call, order, signer } = resolved;
  const target: Target = {
    source: signer.address,
    marketplaceId: order.marketplaceId,
    orderId: order.id,
    signatories: [{ walletId: signer.wallet_id, address: signer.address }],
    sponsorSigns: false,
    call: resolved,
    intent: resolved.intent,
    build: () => orRefuse(deps.gateway.build(call)),
    verify: async (envelope: string) => {
      const [facts, ledger, account, state] = await Promise.all([
        orRefuse(deps.contracts(call)),
        deps.rpc.latestLedger(),
        deps.rpc.account(signer.address),
        call.fn === 'fund' ? deps.rpc.escrowState(call.contractId) : null,
      ]);
      const { network } = deps;
      const asset = network.assets.find((candidate) => candidate.code === order.asset);
      if (asset === undefined) throw refuse('BOOKS_DIFFER', `${order.asset} is not an asset of this network`);
      const context: VerifyContext = {
        ...facts,
        networkPassphrase: network.passphrase,
        assetContract: asset.contract,
        sequence: account.value?.sequence ?? -1n,
        chainTime: ledger.closedAt,
        escrowState: state?.value ?? null,
        feeCap: TRANSACTION_FEE_CAP,
      };
      return { verdict: verifyEnvelope(envelope, call, context), ledger: ledger.sequence };
    },
  };
  // What an order or a dispute began goes to its end; what two persons agreed on may wait.
  return intent.kind === 'WITHDRAW_SURPLUS' ? unlessPaused(db, target, order.marketplaceId, key) : target;
}
