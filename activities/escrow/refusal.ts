/**
 * A gateway refused to build. Its text may be wrong and its index may lag, so the chain is asked: a recipient that cannot
 * be paid is for an operator, a contract that is not there refuses the operation, and where the chain allows the call
 * the provider's index is behind: it is told about our last transaction, and asked again.
 */
import type { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import type { Distribution, EscrowCall } from '../../domain/chain.ts';
import { formatAmount } from '../../domain/money.ts';
import { distribute } from '../../domain/order/settlement.ts';
import type { UnpaidPayee } from '../../domain/repairs.ts';
import { ProviderError } from '../../providers/errors.ts';
import { ContractRefused } from '../../providers/escrow/contracts.ts';
import { partOf } from '../booking/order-settlement.ts';
import type { Target } from '../chain/target.ts';
import type { Deps } from '../context.ts';
import { refuse, waitFor } from '../failure.ts';
import { repairAt } from '../wallets/trustlines.ts';
import type { ResolvedCall } from './call.ts';
import { payeesOf, receiverOf, sharesOf } from './payees.ts';

/** An index lags by seconds, now and then by minutes; after this many looks the refusal is taken for one. */
const PATIENCE = 25;
const INDEX_WAIT_MS = 1_000;
/** About a ledger. */
const REPAIR_WAIT_MS = 4_000;

/** A contract that must not be called is no provider's trouble: parked with what was found, like any other difference. */
const notAccepted = (found: ContractRefused): ApplicationFailure =>
  refuse('ENVELOPE_REJECTED', found.message, { differences: [found.difference] });

/** @throws ApplicationFailure ENVELOPE_REJECTED for a contract that must not be called */
export async function orRefuse<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof ContractRefused ? notAccepted(error) : error;
  }
}

export async function explainRefusal(
  deps: Deps,
  target: Target,
  refusal: ProviderError,
  /** how often this was refused by now */
  refused: number,
): Promise<ApplicationFailure> {
  const resolved = target.call;
  if (resolved === null) return refuse('INVALID_STATE', refusal.message);
  // A factory that a stranger initialised refuses every deploy, whoever builds it.
  const unfit = resolved.call.fn === 'deploy' ? await unfitContract(deps, resolved.call) : null;
  if (unfit !== null) return notAccepted(unfit);
  const unusable = await unusableTrustline(deps, resolved.escrow.asset, holdersOf(deps, resolved));
  if (unusable !== null) {
    const { address, missing } = unusable;
    // A missing trustline of a wallet of ours is ours to give; a frozen one is its issuer's decision, a full one its owner's.
    const mended = missing && refused <= PATIENCE && (await repairAt(deps, pool(deps.orm), address));
    return mended
      ? waitFor('WALLET', `${address} gets its trustline back`, REPAIR_WAIT_MS)
      : refuse('TRUSTLINE_UNUSABLE', `${address} cannot take ${resolved.escrow.asset}`, {
          address,
          ...unpaidPayee(resolved, address),
        });
  }
  if (refused > PATIENCE) return refuse('INVALID_STATE', `${refusal.provider} keeps refusing: ${refusal.message}`);
  await nudge(deps, resolved.order.id);
  return waitFor('PROVIDER', `${refusal.provider} refused: ${refusal.message}`, INDEX_WAIT_MS);
}

/**
 * Who has to hold the asset for a call: whom it pays, or by whom it is paid; for a deploy everybody who ever will. With what
 * has to fit in, before fees; of the fees, and where nothing is paid yet, that there is a trustline is all that is looked at.
 */
function holdersOf({ network }: Deps, { call, order, escrow }: ResolvedCall): readonly Distribution[] {
  const { wallets } = escrow;
  const holding = (address: string): Distribution => ({ address, amount: 0n });
  const fees = [wallets.platform.address, network.feeWallet].map(holding);
  switch (call.fn) {
    case 'deploy':
      return [wallets.funder.address, ...order.parts.map((part) => receiverOf(wallets, part).address)]
        .map(holding)
        .concat(fees);
    case 'fund':
      return [holding(wallets.funder.address)];
    case 'release': {
      const { index, amount } = partOf(order, call.milestoneIndex);
      return [{ address: receiverOf(wallets, { index }).address, amount }, ...fees];
    }
    case 'resolve_dispute':
    case 'withdraw_remaining_funds':
      return [...call.distributions, ...fees];
    default:
      return [];
  }
}

/** Whose money it is that this address cannot take: with `payout_to` it goes to another one. */
function unpaidPayee({ call, intent, order }: ResolvedCall, address: string): { readonly payee?: UnpaidPayee } {
  if (call.fn !== 'release' && call.fn !== 'resolve_dispute') return {};
  const part = partOf(order, call.milestoneIndex);
  const { seller, buyer } = payeesOf(order, part);
  const shared =
    intent.kind === 'RESOLVE_DISPUTE'
      ? distribute(BigInt(intent.base ?? '0'), sharesOf(intent), { seller, buyer })
      : [{ ...seller, amount: part.amount }];
  const unpaid = shared.find((share) => share.address === address);
  if (unpaid === undefined) return {};
  const { id: order_id, asset } = order;
  const amount = formatAmount(unpaid.amount);
  return { payee: { order_id, milestone_index: part.index, party: unpaid.party, amount, asset } };
}

async function unfitContract(deps: Deps, call: EscrowCall): Promise<ContractRefused | null> {
  try {
    await deps.contracts(call);
    return null;
  } catch (error) {
    if (error instanceof ContractRefused) return error;
    throw error;
  }
}

async function unusableTrustline(
  deps: Deps,
  code: string,
  holders: readonly Distribution[],
): Promise<{ address: string; missing: boolean } | null> {
  const asset = deps.network.assets.find((candidate) => candidate.code === code);
  if (asset === undefined) return null;
  const lines = await Promise.all(
    holders.map(async (holder) => ({ ...holder, line: (await deps.rpc.trustline(holder.address, asset)).value })),
  );
  // One that is frozen or full first: while there is one, giving the others theirs does not help.
  const unusable =
    lines.find(({ line, amount }) => line !== null && (!line.authorized || line.limit - line.balance < amount)) ??
    lines.find(({ line }) => line === null);
  return unusable === undefined ? null : { address: unusable.address, missing: unusable.line === null };
}

/** Tells the gateway's index about the order's last landed transaction. */
export async function nudge(deps: Deps, orderId: string): Promise<void> {
  const { rows } = await sql<{ hash: string }>`
    select inner_hash as hash from chain_transactions where order_id = ${orderId} and status = 'CONFIRMED'
    order by ledger desc limit 1`.execute(pool(deps.orm));
  if (rows[0] === undefined) return;
  try {
    await deps.gateway.nudge(rows[0].hash);
  } catch (error) {
    // A nudge is a courtesy: what matters is the next look.
    if (!(error instanceof ProviderError)) throw error;
    deps.log.info({ order_id: orderId, reason: error.message }, 'gateway.nudge_failed');
  }
}
