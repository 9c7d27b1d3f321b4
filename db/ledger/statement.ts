/** What a user sees of the ledger: balance and statement. Reads only; they take any connection. */
import { sql } from 'kysely';
import type { Orm } from '../orm.ts';
import { pool } from '../sql.ts';
import type { Resource, Sql, TransferCode } from './post.ts';

/** All amounts in stroops; `total = available + reserved`. */
export interface Balance {
  readonly available: bigint;
  readonly reserved: bigint;
  /** paid in as buyer, not settled yet */
  readonly inEscrow: bigint;
  readonly total: bigint;
}

interface StatementEntry {
  /** transfer id */
  readonly id: string;
  /** position in the ledger: the cursor of the next page */
  readonly seq: bigint;
  readonly type: TransferCode;
  /** HOLD and UNHOLD move money between available and reserved; a DEBIT of held money leaves available as it is */
  readonly direction: 'CREDIT' | 'DEBIT' | 'HOLD' | 'UNHOLD';
  /** stroops, > 0 */
  readonly amount: bigint;
  readonly asset: string;
  readonly availableAfter: bigint;
  readonly resource: Resource;
  readonly transactionHash: string | null;
  /** ISO 8601, UTC, milliseconds */
  readonly createdAt: string;
}

interface FundsRef {
  readonly marketplaceId: string;
  readonly userId: string;
  /** asset code */
  readonly asset: string;
}

/** A user's balance; zeros when nothing was ever booked. */
export async function balance(connection: Sql, { marketplaceId, userId, asset }: FundsRef): Promise<Balance> {
  const query = sql<{ available: string; reserved: string; in_escrow: string }>`
    select coalesce(f.credits_posted - f.debits_posted - f.debits_pending, 0)::text as available,
      coalesce(f.debits_pending, 0)::text as reserved,
      (select coalesce(sum(e.credits_posted - e.debits_posted), 0)::text
       from orders o join ledger_accounts e on e.owner_id = o.id and e.kind = 'order.escrow'
         and e.asset = ${asset} and e.marketplace_id = o.marketplace_id
       where o.buyer_id = ${userId} and o.marketplace_id = ${marketplaceId} and o.status <> 'CLOSED') as in_escrow
    from (select 1) one left join ledger_accounts f on f.owner_id = ${userId} and f.kind = 'user.funds'
      and f.asset = ${asset} and f.marketplace_id = ${marketplaceId}`;
  const row = (await query.execute(connection)).rows[0];
  const available = BigInt(row?.available ?? 0);
  const reserved = BigInt(row?.reserved ?? 0);
  return { available, reserved, inEscrow: BigInt(row?.in_escrow ?? 0), total: available + reserved };
}

/**
 * The balance as it was at a time, from the transfers until then; the signs are those of the statement.
 * @param at ISO 8601
 */
export async function balanceAt(
  connection: Sql,
  { marketplaceId, userId, asset, at }: FundsRef & { readonly at: string },
): Promise<Balance> {
  const query = sql<{ available: string; reserved: string; in_escrow: string }>`
    with funds as (
      select id from ledger_accounts
      where owner_id = ${userId} and kind = 'user.funds' and asset = ${asset} and marketplace_id = ${marketplaceId}
    ), escrows as (
      select e.id from orders o join ledger_accounts e on e.owner_id = o.id and e.kind = 'order.escrow'
        and e.asset = ${asset} and e.marketplace_id = o.marketplace_id
      where o.buyer_id = ${userId} and o.marketplace_id = ${marketplaceId}
        and (o.closed_at is null or o.closed_at > ${at}::timestamptz)
    ), effects as (
      select case t.kind when 'VOID' then t.amount when 'POST' then 0 else -t.amount end as available,
        case t.kind when 'PENDING' then t.amount when 'POSTED' then 0 else -t.amount end as reserved, 0 as in_escrow
      from funds join ledger_transfers t on t.debit_account = funds.id where t.created_at <= ${at}::timestamptz
      union all
      select t.amount, 0, 0 from funds join ledger_transfers t on t.credit_account = funds.id
      where t.created_at <= ${at}::timestamptz and t.kind in ('POSTED', 'POST')
      union all
      select 0, 0, case when t.credit_account = escrows.id then t.amount else -t.amount end
      from escrows join ledger_transfers t on escrows.id in (t.credit_account, t.debit_account)
      where t.created_at <= ${at}::timestamptz and t.kind in ('POSTED', 'POST')
    )
    select coalesce(sum(available), 0)::text as available, coalesce(sum(reserved), 0)::text as reserved,
      coalesce(sum(in_escrow), 0)::text as in_escrow from effects`;
  const row = (await query.execute(connection)).rows[0];
  const available = BigInt(row?.available ?? 0);
  const reserved = BigInt(row?.reserved ?? 0);
  return { available, reserved, inEscrow: BigInt(row?.in_escrow ?? 0), total: available + reserved };
}

/** What the books say, as providers of custodial wallets ask for it. */
export const readBooks =
  (orm: Orm) =>
  (wallet: { readonly marketplaceId: string; readonly userId: string }, asset: { readonly code: string }) =>
    balance(pool(orm), { marketplaceId: wallet.marketplaceId, userId: wallet.userId, asset: asset.code });

interface Line {
  id: string;
  seq: string;
  code: TransferCode;
  direction: StatementEntry['direction'];
  amount: string;
  available_after: string;
  resource_type: string;
  resource_id: string;
  transaction_hash: string | null;
  created_at: string;
}

/**
 * A user's transfers, newest first. `cursor` is the `seq` of the last entry of the page before; a pending transfer *to*
 * the user is not shown before it is posted. `limit` ≥ 1.
 */
export async function statement(
  connection: Sql,
  input: FundsRef & { cursor?: bigint; limit: number },
): Promise<{ entries: StatementEntry[]; hasMore: boolean }> {
  const { marketplaceId, userId, asset, limit } = input;
  const cursor = input.cursor === undefined ? null : input.cursor.toString();
  // What is available after an entry = what is available now minus the effect of everything newer, in one snapshot.
  const query = sql<Line>`
    with account as (
      select id, credits_posted - debits_posted - debits_pending as available from ledger_accounts
      where owner_id = ${userId} and kind = 'user.funds' and asset = ${asset} and marketplace_id = ${marketplaceId}
    ), lines as not materialized (
      select t.*, case t.kind when 'PENDING' then 'HOLD' when 'VOID' then 'UNHOLD' else 'DEBIT' end as direction,
        case t.kind when 'VOID' then t.amount when 'POST' then 0 else -t.amount end as effect
      from account join ledger_transfers t on t.debit_account = account.id
      union all
      select t.*, 'CREDIT', t.amount
      from account join ledger_transfers t on t.credit_account = account.id and t.kind in ('POSTED', 'POST')
    ), newer as (
      select coalesce(sum(effect), 0) as effect from lines where seq >= ${cursor}::bigint
    ), page as (
      select * from lines where ${cursor}::bigint is null or seq < ${cursor}::bigint order by seq desc limit ${limit + 1}
    )
    select page.id, page.seq::text, page.code, page.direction, page.amount::text,
      (account.available - newer.effect - coalesce(sum(page.effect) over (order by page.seq desc
        rows between unbounded preceding and 1 preceding), 0))::text as available_after,
      page.resource_type, page.resource_id, page.transaction_hash,
      to_char(page.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at
    from page, account, newer order by page.seq desc`;
  const { rows } = await query.execute(connection);
  const entries = rows.slice(0, limit).map((line) => entryOf(line, asset));
  return { entries, hasMore: rows.length > limit };
}

function entryOf(line: Line, asset: string): StatementEntry {
  return {
    id: line.id,
    seq: BigInt(line.seq),
    type: line.code,
    direction: line.direction,
    amount: BigInt(line.amount),
    asset,
    availableAfter: BigInt(line.available_after),
    resource: { type: line.resource_type, id: line.resource_id },
    transactionHash: line.transaction_hash,
    createdAt: line.created_at,
  };
}
