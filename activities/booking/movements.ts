/**
 * One booker per movement: the wallet workflow records every movement of its wallet and posts only what nobody else
 * posts, in one transaction with its cursor (F27, F30, F68).
 */
import { sql } from 'kysely';
import { appendEvents } from '../../db/events.ts';
import { deposit, unexplained } from '../../db/ledger/balances.ts';
import { userResource } from '../../db/resources/user.ts';
import type { Sql } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import { newId } from '../../domain/ids.ts';
import { formatAmount } from '../../domain/money.ts';
import type { MovementKind, WalletKind } from '../../domain/statuses.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { raiseAttention } from '../attention.ts';
import type { NetworkSettings } from '../context.ts';
import { type OwnMovement, type Verdict, classify, ownMovements } from './classify.ts';
import { correlation } from './order-row.ts';

export interface FollowedWallet {
  readonly id: string;
  readonly marketplaceId: string | null;
  readonly userId: string | null;
  readonly kind: WalletKind;
  readonly custodial: boolean;
  readonly address: string;
}

/**
 * Records what is new among the movements of the wallet and books it. Runs inside the transaction that moves the cursor.
 * @returns how many deposits were booked now
 */
export async function bookMovements(
  trx: Sql,
  network: NetworkSettings,
  wallet: FollowedWallet,
  movements: readonly Movement[],
): Promise<number> {
  const own = ownMovements(wallet.address, movements);
  if (own.length === 0) return 0;
  const [ours, contracts] = [await ourTransactions(trx, own), await ourContracts(trx, own)];
  const judged = own.map((movement) => ({
    movement,
    verdict: classify(movement, { ours, contracts, assets: network.assets, wallet }),
  }));
  let deposits = 0;
  for (const { movement, verdict } of judged) {
    const id = await record(trx, network.name, wallet.id, movement, KINDS[verdict.kind], verdict.resource ?? null);
    if (id === null) continue;
    if (verdict.kind === 'DEPOSIT' && verdict.booked) {
      await bookDeposit(trx, wallet, movement, id);
      deposits += 1;
    }
    if (verdict.kind === 'UNEXPLAINED' && verdict.booked) await bookUnexplained(trx, wallet, movement, id);
  }
  return deposits;
}

const KINDS: Record<Verdict['kind'], MovementKind> = {
  OURS: 'ESCROW',
  CONTRACT: 'ESCROW',
  DEPOSIT: 'DEPOSIT',
  UNEXPLAINED: 'UNEXPLAINED',
};

/**
 * Inserts a movement of an owner (wallet or escrow).
 * @returns its id, or null when it is recorded already
 */
export async function record(
  trx: Sql,
  network: string,
  ownerId: string,
  { movement, direction, ordinal, counterparty }: OwnMovement,
  kind: MovementKind,
  resource: { readonly type: string; readonly id: string } | null,
): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    insert into movements (network, owner_id, operation_id, direction, ordinal, asset, id, amount, counterparty, kind,
      resource_type, resource_id, transaction_hash, ledger, created_at)
    values (${network}, ${ownerId}, ${movement.operationId}, ${direction}, ${ordinal}, ${movement.asset.code},
      ${newId('movement')}, ${movement.amount.toString()}, ${counterparty}, ${kind}, ${resource?.type ?? null},
      ${resource?.id ?? null}, ${movement.transactionHash}, ${movement.ledger}, ${movement.closedAt})
    on conflict do nothing returning id`.execute(trx);
  return rows[0]?.id ?? null;
}

/** Order by transaction hash, for hashes (inner or outer) that we sent; null where it belongs to no order. */
export async function ourTransactions(trx: Sql, own: readonly OwnMovement[]): Promise<Map<string, string | null>> {
  const hashes = [...new Set(own.map(({ movement }) => movement.transactionHash))];
  const { rows } = await sql<{ hash: string; order_id: string | null }>`
    select inner_hash as hash, order_id from chain_transactions where inner_hash = any(${hashes}::text[])
    union all
    select e.outer_hash, t.order_id from chain_envelopes e join chain_transactions t on t.id = e.transaction_id
    where e.outer_hash = any(${hashes}::text[])`.execute(trx);
  return new Map(rows.map((row) => [row.hash, row.order_id]));
}

/** Order by contract address, for counterparties that are contracts of ours. */
async function ourContracts(trx: Sql, own: readonly OwnMovement[]): Promise<Map<string, string>> {
  const addresses = own.flatMap(({ counterparty }) => (counterparty?.startsWith('C') === true ? [counterparty] : []));
  if (addresses.length === 0) return new Map();
  const { rows } = await sql<{ contract_id: string; order_id: string }>`
    select contract_id, order_id from escrows where contract_id = any(${addresses}::text[])`.execute(trx);
  return new Map(rows.map((row) => [row.contract_id, row.order_id]));
}

/** The step names the movement and no run: a reset, or a second stream over the same history, finds it booked (F66). */
const stepKey = (wallet: FollowedWallet, { movement, direction, ordinal }: OwnMovement) => ({
  workflowId: walletWorkflowId(wallet.id),
  step: `movement ${movement.operationId} ${direction} ${movement.asset.code} ${ordinal}`,
});

const chainOf = ({ movement }: OwnMovement) => ({
  transactionHash: movement.transactionHash,
  ledgerSeq: movement.ledger,
});

async function bookDeposit(trx: Sql, wallet: FollowedWallet, own: OwnMovement, movementId: string): Promise<void> {
  const { marketplaceId, userId } = wallet;
  if (marketplaceId === null) throw new Error(`wallet ${wallet.id} belongs to no marketplace`);
  const { amount, asset, ledger, transactionHash } = own.movement;
  const resource = { type: 'movement', id: movementId };
  await deposit(trx, stepKey(wallet, own), {
    marketplaceId,
    asset: asset.code,
    userId,
    walletId: wallet.id,
    amount,
    resource,
    ...chainOf(own),
  });
  if (userId === null) return;
  const money = { amount: formatAmount(amount), asset: asset.code, transaction_hash: transactionHash };
  const event = {
    marketplaceId,
    resource: { type: 'user' as const, id: userId },
    object: await userResource(trx, userId),
    actor: null,
    requestId: null,
    ...correlation(),
  };
  await appendEvents(trx, [
    { ...event, type: 'deposit.credited', change: { ...money, from: own.counterparty, ledger } },
    { ...event, type: 'balance.credited', change: { ...money, resource } },
  ]);
}

async function bookUnexplained(trx: Sql, wallet: FollowedWallet, own: OwnMovement, movementId: string): Promise<void> {
  const { marketplaceId } = wallet;
  if (marketplaceId === null) throw new Error(`wallet ${wallet.id} belongs to no marketplace`);
  const { movement, direction, counterparty } = own;
  const resource = { type: 'movement', id: movementId };
  await unexplained(trx, stepKey(wallet, own), {
    marketplaceId,
    asset: movement.asset.code,
    walletId: wallet.id,
    platform: wallet.kind === 'FEE',
    direction,
    amount: movement.amount,
    resource,
    ...chainOf(own),
  });
  await raiseAttention(trx, {
    marketplaceId,
    resource,
    workflowId: walletWorkflowId(wallet.id),
    reason: 'BOOKS_DIFFER',
    detail: {
      wallet_id: wallet.id,
      direction,
      amount: formatAmount(movement.amount),
      asset: movement.asset.code,
      counterparty,
      transaction_hash: movement.transactionHash,
      ledger: movement.ledger,
    },
  });
}
