/** Wallets and their movements as the API shows them. */
import { type RawBuilder, sql } from 'kysely';
import type { WalletResource, WalletTransaction } from '../../domain/resources/user.ts';
import type { WalletKind } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import { type Page, type PageRequest, allOf, amountText, beyond, iso, newestFirst, pageOf } from './select.ts';
import { shownAddress } from './user.ts';

export type { WalletResource };

/** What our books say the wallet holds: posted custody, which is what the chain shows once nothing is on its way. */
const BALANCES = sql`(select coalesce(json_agg(json_build_object('asset', a.asset,
    'amount', (a.debits_posted - a.credits_posted)::text) order by a.asset), '[]')
  from ledger_accounts a where a.owner_id = w.id and a.kind = 'custody.wallet' and not a.hot)`;

/** The upper half of a position in Horizon form is the ledger number. */
const CURSOR_LEDGER = sql.raw(
  `case when w.stream_cursor ~ '^[0-9]{1,19}$' then (w.stream_cursor::bigint >> 32)::int end`,
);

const select = (where: RawBuilder<unknown>) => sql<WalletResource>`
  select w.id, w.user_id, w.provider, w.status, ${shownAddress} as address, ${BALANCES} as balances,
    ${CURSOR_LEDGER} as cursor_ledger, ${iso('w.created_at')} as created_at
  from wallets w where ${where}`;

const toResource = (row: WalletResource): WalletResource => ({
  ...row,
  balances: row.balances.map(({ asset, amount }) => ({ asset, amount: amountText(amount) })),
});

/** The wallets with these ids, by id, as GET shows them now in this transaction; for writers of events. */
export async function walletResources(trx: Sql, ids: readonly string[]): Promise<Map<string, WalletResource>> {
  const { rows } = await select(sql`w.id = any(${[...ids]}::text[])`).execute(trx);
  return new Map(rows.map((row) => [row.id, toResource(row)]));
}

/** @throws Error when there is no such wallet */
export async function walletResource(trx: Sql, walletId: string): Promise<WalletResource> {
  const wallet = (await walletResources(trx, [walletId])).get(walletId);
  if (wallet === undefined) throw new Error(`no wallet ${walletId}`);
  return wallet;
}

/** The wallet of a user of this marketplace, or null. */
export async function findUserWallet(db: Sql, marketplaceId: string, userId: string): Promise<WalletResource | null> {
  const where = sql`w.user_id = ${userId} and w.marketplace_id = ${marketplaceId} and w.kind = 'USER'`;
  const row = (await select(where).execute(db)).rows[0];
  return row === undefined ? null : toResource(row);
}

/** The wallet at this address whose key we hold, or null. */
export async function custodialWalletAt(db: Sql, address: string) {
  const { rows } = await sql<{ id: string; kind: WalletKind; marketplaceId: string | null; userId: string | null }>`
    select id, kind, marketplace_id as "marketplaceId", user_id as "userId" from wallets
    where address = ${address} and provider = 'crypto-native'`.execute(db);
  return rows[0] ?? null;
}

interface Movement extends Omit<WalletTransaction, 'resource'> {
  resource_type: string | null;
  resource_id: string | null;
}

/** What moved on a wallet, newest first. */
export async function listMovements(db: Sql, walletId: string, page: PageRequest): Promise<Page<WalletTransaction>> {
  const where = allOf([sql`m.owner_id = ${walletId}`, ...beyond('m', page.cursor)]);
  const { rows } = await sql<Movement>`
    select m.id, m.direction, m.amount::text as amount, m.asset, m.counterparty, m.kind, m.resource_type, m.resource_id,
      m.transaction_hash, m.ledger, ${iso('m.created_at')} as created_at
    from movements m where ${where} ${newestFirst('m', page.limit)}`.execute(db);
  const items = rows.map(({ resource_type, resource_id, ...row }) => ({
    ...row,
    amount: amountText(row.amount),
    resource: resource_type === null || resource_id === null ? null : { type: resource_type, id: resource_id },
  }));
  return pageOf(items, page.limit);
}

/** A custodial wallet in our books and what is on its way: for the comparison with the chain. Stroops. */
interface WalletBooks {
  readonly books: bigint;
  readonly inFlight: bigint;
}

export async function walletBooks(db: Sql, walletId: string, asset: string): Promise<WalletBooks> {
  const { rows } = await sql<{ books: string; in_flight: string }>`
    select (debits_posted - credits_posted)::text as books, (debits_pending + credits_pending)::text as in_flight
    from ledger_accounts where owner_id = ${walletId} and kind = 'custody.wallet' and asset = ${asset}`.execute(db);
  return { books: BigInt(rows[0]?.books ?? 0), inFlight: BigInt(rows[0]?.in_flight ?? 0) };
}
