/** A marketplace with users, wallets and orders in the database, and the model's commands carried out by the service. */
import { sql } from 'kysely';
import { Escrow, Order } from '../../db/entities/orders.ts';
import { Wallet } from '../../db/entities/wallets.ts';
import * as balances from '../../db/ledger/balances.ts';
import { LedgerError, type Sql, type StepKey } from '../../db/ledger/post.ts';
import type { Orm } from '../../db/orm.ts';
import { DEFAULT_DEADLINES } from '../../domain/order/deadlines.ts';
import {
  type Command,
  EXTERNAL_ORDER,
  ORDERS,
  SELLER,
  type Share,
  USERS,
  buyerOf,
  orderAmount,
} from './ledger-model.ts';

export const ASSET = 'USDC';

export interface World {
  readonly marketplaceId: string;
  readonly user: (index: number) => string;
  readonly wallet: (index: number) => string;
  readonly platformWallet: string;
  readonly order: (index: number) => string;
  readonly escrow: (index: number) => string;
}

let worlds = 0;

/** Each world has its own ids: many share a database. */
export async function createWorld(orm: Orm): Promise<World> {
  worlds += 1;
  const name = `w${worlds}`;
  const world: World = {
    marketplaceId: `mkt_${name}`,
    user: (index) => `usr_${name}_${index}`,
    wallet: (index) => `wal_${name}_${index}`,
    platformWallet: `wal_${name}_fee`,
    order: (index) => `ord_${name}_${index}`,
    escrow: (index) => `esc_${name}_${index}`,
  };
  const now = new Date(0);
  const common = { marketplaceId: world.marketplaceId, createdAt: now, updatedAt: now };
  const wallet = { ...common, provider: 'crypto-native', status: 'READY' } as const;
  const em = orm.em.fork();
  await em.insertMany(Wallet, [
    ...Array.from({ length: USERS }, (_, index) => ({
      ...wallet,
      id: world.wallet(index),
      userId: world.user(index),
      kind: 'USER' as const,
      address: `G-${world.wallet(index)}`,
    })),
    { ...wallet, id: world.platformWallet, userId: null, kind: 'FEE' as const, address: `G-${world.platformWallet}` },
  ]);
  await em.insertMany(
    Order,
    Array.from({ length: ORDERS }, (_, index) => ({ ...common, ...orderRow(world, index) })),
  );
  await em.insertMany(
    Escrow,
    Array.from({ length: ORDERS }, (_, index) => ({ ...common, ...escrowRow(world, index) })),
  );
  return world;
}

const orderRow = (world: World, index: number) => ({
  id: world.order(index),
  bodyHash: '',
  buyerId: world.user(buyerOf(index)),
  sellerId: world.user(SELLER),
  amount: orderAmount(index),
  asset: ASSET,
  title: 'an order',
  platformFeeBps: 0,
  auto: false,
  status: 'FUNDS_RESERVED' as const,
  deadlines: DEFAULT_DEADLINES,
  dueTimes: {},
  metadata: {},
});

const nobody = { wallet_id: '', address: '' };
const escrowRow = (world: World, index: number) => ({
  id: world.escrow(index),
  orderId: world.order(index),
  type: 'SINGLE_RELEASE' as const,
  status: 'CREATED' as const,
  gateway: 'trustless-work',
  contractId: `C-${world.escrow(index)}`,
  amount: orderAmount(index),
  asset: ASSET,
  platformFeeBps: 0,
  factoryId: '',
  wasmHash: '',
  wallets: {
    approver: nobody,
    service_provider: nobody,
    receiver: nobody,
    platform: nobody,
    release_signer: nobody,
    dispute_resolver: nobody,
    deploy_signer: nobody,
    funder: nobody,
  },
});

export type Result = { outcome: string; replayed: boolean };

/** Runs one database transaction as an activity does; a refusal of the ledger becomes its reason. */
export async function transact(
  orm: Orm,
  work: (trx: Sql) => Promise<{ replayed: boolean } | undefined>,
): Promise<Result> {
  try {
    const posted = await orm.em.fork().transactional((em) => work(em.getKysely()));
    return { outcome: 'OK', replayed: posted?.replayed ?? false };
  } catch (error) {
    if (error instanceof LedgerError) return { outcome: error.reason, replayed: false };
    throw error;
  }
}

/** Carries a command out through the balance service. */
export function execute(
  orm: Orm,
  world: World,
  step: string,
  command: Exclude<Command, { type: 'replay' }>,
): Promise<Result> {
  const key: StepKey = { workflowId: `test/${world.marketplaceId}`, step };
  return transact(orm, (trx) => {
    if (command.type === 'fold') return sql`select ledger_fold()`.execute(trx).then(() => undefined);
    return 'order' in command ? onOrder(trx, world, key, command) : onWallet(trx, world, key, command);
  });
}

const chain = { transactionHash: 'ab'.repeat(32), ledgerSeq: 7 };

function onWallet(trx: Sql, world: World, key: StepKey, command: Extract<Command, { user: number | null }>) {
  const { user, amount } = command;
  const common = { marketplaceId: world.marketplaceId, asset: ASSET, ...chain, amount };
  const resource = { type: 'movement', id: key.step };
  const walletId = user === null ? world.platformWallet : world.wallet(user);
  return command.type === 'deposit'
    ? balances.deposit(trx, key, { ...common, resource, walletId, userId: user === null ? null : world.user(user) })
    : balances.unexplained(trx, key, {
        ...common,
        resource,
        walletId,
        platform: user === null,
        direction: command.direction,
      });
}

function onOrder(trx: Sql, world: World, key: StepKey, command: Extract<Command, { order: number }>) {
  const { order } = command;
  const common = { marketplaceId: world.marketplaceId, asset: ASSET };
  const ids = { orderId: world.order(order), escrowId: world.escrow(order) };
  const funder = order === EXTERNAL_ORDER ? ('EXTERNAL' as const) : { walletId: world.wallet(buyerOf(order)) };
  const amount = orderAmount(order);
  switch (command.type) {
    case 'reserve':
      return balances.reserve(trx, key, { ...common, ...ids, buyerId: world.user(buyerOf(order)), amount });
    case 'cancel':
      return balances.cancelReservation(trx, key, { ...common, ...ids });
    case 'fundSaved':
      return balances.fundSaved(trx, key, { ...common, ...ids, funder, amount });
    case 'fundConfirmed':
      return balances.fundConfirmed(trx, key, { ...common, ...ids, ...chain, funder, amount });
    case 'fundDead':
      return balances.fundDead(trx, key, { ...common, ...ids });
    case 'inflow':
      return balances.contractInflow(trx, key, { ...common, ...ids, ...chain, amount: command.amount });
    case 'payout':
      return balances.contractOutflow(trx, key, {
        ...common,
        ...ids,
        ...chain,
        transfers: command.shares.map((share) => ({ to: recipient(world, order, share), amount: share.amount })),
      });
  }
}

function recipient(world: World, order: number, { to }: Share): balances.Recipient {
  if (to === 'EXTERNAL') return { kind: 'EXTERNAL' };
  if (to === 'PLATFORM') return { kind: 'PLATFORM', walletId: world.platformWallet };
  const user = to === 'BUYER' ? buyerOf(order) : SELLER;
  return { kind: 'USER', userId: world.user(user), walletId: world.wallet(user) };
}
