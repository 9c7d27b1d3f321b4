/**
 * Who plays which role on an escrow, decided once, before the deploy, and stored with it:
 *
 * | role | wallet |
 * |---|---|
 * | deploy signer | the channel account with the fewest transactions waiting |
 * | approver | the buyer's wallet if custodial, else the operator's |
 * | service provider | the seller's wallet if custodial, and he is the only seller, else the operator's |
 * | receiver | the seller's wallet, per milestone |
 * | platform | the marketplace's fee wallet |
 * | release signer | an operator wallet of the marketplace's pool; wherever this says operator it means this one |
 * | dispute resolver | a wallet of the resolver pool, holding no other role (the contract forbids the resolver to open a dispute) |
 */
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { type Sql, inTransaction } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { EscrowWallets, WalletRef } from '../../domain/order/shapes.ts';
import type { WalletKind } from '../../domain/statuses.ts';
import type { OrderRow } from '../booking/order-row.ts';
import { channelLoad } from '../chain/sources.ts';
import type { Deps } from '../context.ts';

interface WalletCandidate {
  readonly id: string;
  readonly userId: string | null;
  readonly kind: WalletKind;
  readonly provider: string;
  readonly address: string;
}

/** Wallets that may take part, each kind with the best choice first. */
async function candidates(trx: Sql, order: OrderRow): Promise<WalletCandidate[]> {
  const { rows } = await sql<WalletCandidate>`
    select w.id, w.user_id as "userId", w.kind, w.provider, w.address from wallets w
    where w.status = 'READY' and w.closing_at is null and w.address is not null and (
      w.user_id = any(${[order.buyerId, ...sellersOf(order)]})
      or (w.marketplace_id = ${order.marketplaceId} and w.kind in ('FEE', 'OPERATOR', 'RESOLVER')))
    -- spread over the pools, the same for the same order
    order by md5(w.id || ${order.id})
    -- a wallet that is being closed is not chosen meanwhile, nor the other way round
    for share of w`.execute(trx);
  const { rows: channels } = await sql<WalletCandidate>`
    select w.id, w.user_id as "userId", w.kind, w.provider, w.address from wallets w
    where w.status = 'READY' and w.kind = 'CHANNEL' order by ${channelLoad()}, random() limit 1`.execute(trx);
  return [...rows, ...channels];
}

/** The wallets for an order's escrow, or null while one of them is not ready. */
async function assignRoles(trx: Sql, order: OrderRow): Promise<EscrowWallets | null> {
  const wallets = await candidates(trx, order);
  const ref = (found: WalletCandidate | undefined): WalletRef | null =>
    found === undefined ? null : { wallet_id: found.id, address: found.address };
  const ofKind = (kind: WalletKind) => ref(wallets.find((wallet) => wallet.kind === kind));
  const ofUser = (userId: string) => ref(wallets.find((wallet) => wallet.userId === userId));
  const isCustodial = (userId: string) =>
    wallets.some((wallet) => wallet.userId === userId && wallet.provider === 'crypto-native');

  const sellers = sellersOf(order);
  const [buyer, seller] = [ofUser(order.buyerId), ofUser(order.sellerId)];
  const receivers = order.parts.flatMap(({ sellerId }) => ofUser(sellerId) ?? []);
  const [fee, operator, resolver, channel] = [ofKind('FEE'), ofKind('OPERATOR'), ofKind('RESOLVER'), ofKind('CHANNEL')];
  if (!buyer || !seller || !fee || !operator || !resolver || !channel) return null;
  if (receivers.length < order.parts.length) return null;
  const onlySeller = sellers.length === 1;
  return {
    approver: isCustodial(order.buyerId) ? buyer : operator,
    service_provider: onlySeller && isCustodial(order.sellerId) ? seller : operator,
    receiver: seller,
    ...(order.hasMilestones ? { receivers } : {}),
    platform: fee,
    release_signer: operator,
    dispute_resolver: resolver,
    deploy_signer: channel,
    funder: buyer,
  };
}

/** Everybody who is paid for the work. */
const sellersOf = ({ sellerId, parts }: OrderRow): string[] => [
  ...new Set([sellerId, ...parts.map((part) => part.sellerId)]),
];

export async function walletsReady(trx: Sql, order: OrderRow): Promise<boolean> {
  return (await assignRoles(trx, order)) !== null;
}

/** Inserts the escrow row in CREATING, or finds it; its roles are filled in when every wallet is ready. */
export async function openEscrow(trx: Sql, { network, gateway }: Deps, order: OrderRow): Promise<void> {
  const type = order.hasMilestones ? 'MULTI_RELEASE' : 'SINGLE_RELEASE';
  const factory = network.factories[type];
  const wallets = await assignRoles(trx, order);
  await sql`
    insert into escrows (id, order_id, marketplace_id, type, status, gateway, amount, asset, platform_fee_bps, factory_id,
      wasm_hash, wallets, created_at, updated_at)
    values (${newId('escrow')}, ${order.id}, ${order.marketplaceId}, ${type}, 'CREATING', ${gateway.name},
      ${order.amount}, ${order.asset}, ${order.platformFeeBps}, ${factory.contractId}, ${factory.wasmHash},
      ${JSON.stringify(wallets)}, now(), now())
    on conflict (order_id) do update set wallets = coalesce(nullif(escrows.wallets, 'null'::jsonb), excluded.wallets)`.execute(
    trx,
  );
}

/**
 * Completes the roles of an escrow whose wallets were not ready when it was opened. What was decided first stays: two
 * attempts may choose differently.
 * @returns what is stored, or null: still not all ready
 */
export function completeRoles(orm: Orm, order: OrderRow): Promise<EscrowWallets | null> {
  return inTransaction(orm, async (trx) => {
    const wallets = await assignRoles(trx, order);
    if (wallets === null) return null;
    const { rows } = await sql<{ wallets: EscrowWallets }>`
      update escrows set wallets = coalesce(nullif(wallets, 'null'::jsonb), ${JSON.stringify(wallets)}::jsonb)
      where order_id = ${order.id} returning wallets`.execute(trx);
    return rows[0]?.wallets ?? null;
  });
}
