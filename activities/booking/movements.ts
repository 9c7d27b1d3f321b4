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
import { type MovementOwner, type OwnMovement, type Verdict, classify, ownMovements } from './classify.ts';
import { correlation } from './order-row.ts';

interface FollowedWallet {
  readonly id: string;
  readonly marketplaceId: string | null;
  readonly userId: string | null;
  readonly kind: WalletKind;
  readonly custodial: boolean;
  readonly address: string;
}

/**
 * Records what is new among the movements of the wallet and books it. Runs inside the transaction that moves the cursor.
 * @returns whether there are deposits among them, how many of those were booked now, and for whose orders money left
 *   the wallet in a transaction of ours
 */
export async function bookMovements(
  trx: Sql,
  network: NetworkSettings,
  wallet: FollowedWallet,
  movements: readonly Movement[],
): Promise<{ deposits: number; booked: number; paidFor: readonly string[] }> {
  const own = ownMovements(wallet.address, movements);
  const known = { ...(await whatIsOurs(trx, own)), assets: network.assets, wallet };
  const judged = own.map((movement) => ({ movement, verdict: classify(movement, known) }));
  const ids = await record(
    trx,
    network.name,
    judged.map(({ movement, verdict }) => ({
      ownerId: wallet.id,
      movement,
      kind: kindOf(verdict),
      resource: verdict.resource ?? null,
    })),
  );
  let booked = 0;
  for (const [index, { movement, verdict }] of judged.entries()) {
    const id = ids[index];
    if (id == null || !verdict.booked) continue;
    if (verdict.kind === 'DEPOSIT') {
      await bookDeposit(trx, wallet, movement, id);
      booked += 1;
    } else await bookUnexplained(trx, wallet, movement, id);
  }
  const paidFor = judged.flatMap(({ movement: { direction }, verdict: { kind, resource } }) =>
    kind === 'OURS' && direction === 'OUT' && resource?.type === 'order' ? [resource.id] : [],
  );
  return { deposits: judged.filter(({ verdict }) => verdict.kind === 'DEPOSIT').length, booked, paidFor };
}

function kindOf({ kind, resource }: Verdict): MovementKind {
  if (kind === 'DEPOSIT' || kind === 'UNEXPLAINED') return kind;
  if (resource?.type === 'withdrawal') return 'WITHDRAWAL';
  return resource?.type === 'adjustment' ? 'ADJUSTMENT' : 'ESCROW';
}

export interface Recording {
  /** wallet or escrow id */
  readonly ownerId: string;
  readonly movement: OwnMovement;
  readonly kind: MovementKind;
  readonly resource: { readonly type: string; readonly id: string } | null;
}

/**
 * Inserts movements of wallets or escrows, all in one statement.
 * @returns per movement its new id, or null when it is recorded already
 */
export async function record(trx: Sql, network: string, recordings: readonly Recording[]): Promise<(string | null)[]> {
  if (recordings.length === 0) return [];
  const rows = recordings.map(
    ({ ownerId, movement: { movement, direction, ordinal, counterparty }, kind, resource }) => ({
      id: newId('movement'),
      owner_id: ownerId,
      operation_id: movement.operationId,
      direction,
      ordinal,
      asset: movement.asset.code,
      amount: movement.amount.toString(),
      counterparty,
      kind,
      resource_type: resource?.type ?? null,
      resource_id: resource?.id ?? null,
      transaction_hash: movement.transactionHash,
      ledger: movement.ledger,
      created_at: movement.closedAt,
    }),
  );
  const { rows: inserted } = await sql<{ id: string }>`
    insert into movements (network, owner_id, operation_id, direction, ordinal, asset, id, amount, counterparty, kind,
      resource_type, resource_id, transaction_hash, ledger, created_at)
    select ${network}, t.owner_id, t.operation_id, t.direction, t.ordinal, t.asset, t.id, t.amount, t.counterparty, t.kind,
      t.resource_type, t.resource_id, t.transaction_hash, t.ledger, t.created_at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as t(owner_id text, operation_id bigint, direction text,
      ordinal int, asset text, id text, amount bigint, counterparty text, kind text, resource_type text, resource_id text,
      transaction_hash text, ledger int, created_at timestamptz)
    on conflict do nothing returning id`.execute(trx);
  const fresh = new Set(inserted.map(({ id }) => id));
  return rows.map(({ id }) => (fresh.has(id) ? id : null));
}

/** Which of these transactions we sent (inner or outer hash), and which counterparties are contracts of ours. */
async function whatIsOurs(
  trx: Sql,
  own: readonly OwnMovement[],
): Promise<{ ours: Map<string, MovementOwner | null>; contracts: Map<string, string> }> {
  if (own.length === 0) return { ours: new Map(), contracts: new Map() };
  const hashes = [...new Set(own.map(({ movement }) => movement.transactionHash))];
  const addresses = own.flatMap(({ counterparty }) => (counterparty?.startsWith('C') === true ? [counterparty] : []));
  const owner = sql`case when t.order_id is null then t.intent->'payment'
    else jsonb_build_object('type', 'order', 'id', t.order_id) end as owner`;
  const { rows } = await sql<{ kind: 'hash' | 'contract'; name: string; owner: MovementOwner | null }>`
    select 'hash' as kind, t.inner_hash as name, ${owner} from chain_transactions t
    where t.inner_hash = any(${hashes}::text[])
    union all
    select 'hash', e.outer_hash, ${owner} from chain_envelopes e join chain_transactions t on t.id = e.transaction_id
    where e.outer_hash = any(${hashes}::text[])
    union all
    select 'contract', contract_id, jsonb_build_object('id', order_id) from escrows
    where contract_id = any(${addresses}::text[])`.execute(trx);
  const ofKind = (kind: string) => rows.filter((row) => row.kind === kind);
  return {
    ours: new Map(ofKind('hash').map((row) => [row.name, row.owner])),
    contracts: new Map(ofKind('contract').flatMap((row) => (row.owner === null ? [] : [[row.name, row.owner.id]]))),
  };
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
  const seen = { ...money, from: own.counterparty, ledger };
  const event = {
    marketplaceId,
    resource: { type: 'user' as const, id: userId },
    object: await userResource(trx, userId),
    actor: null,
    requestId: null,
    ...correlation(),
  };
  await appendEvents(trx, [
    { ...event, type: 'deposit.detected', change: seen },
    { ...event, type: 'deposit.credited', change: seen },
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
