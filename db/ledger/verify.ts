/**
 * The nine invariants of the books, each one set-based statement that returns what breaks it: the same check serves
 * tests, the demo and `orchestrator ledger verify`.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Sql } from './post.ts';

type Invariant = 'L1' | 'L2' | 'L3' | 'L4' | 'L5' | 'L6' | 'L7' | 'L8' | 'L9';

interface Violation {
  readonly invariant: Invariant;
  /** the row that breaks it, amounts in stroops as decimal text */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Verification {
  /** no violation and nothing unsettled */
  readonly coherent: boolean;
  readonly violations: readonly Violation[];
  /** L6 differences that money on its way explains: ask again when it has arrived */
  readonly unsettled: readonly Violation[];
  readonly checked: {
    readonly accounts: number;
    readonly transfers: number;
    /** address and asset pairs compared with the chain */
    readonly chain: number;
  };
}

/** Balance of an address in stroops, and the number of the ledger at which it was read. */
export interface ChainBalances {
  balanceAt(address: string, assetCode: string): Promise<{ readonly ledger: number; readonly value: bigint }>;
}

interface Found {
  detail: Record<string, unknown>;
}

/** At most this many rows per invariant: a broken ledger must not fill the memory of who looks. */
const VIOLATIONS_MAX = 100;
/** Addresses read from the chain at a time: stays below every provider's limit. */
const CHAIN_READS_AT_ONCE = 16;

const L1 = sql<Found>`
  select jsonb_build_object('marketplace_id', marketplace_id, 'asset', asset,
    'debits_pending', sum(debits_pending)::text, 'credits_pending', sum(credits_pending)::text,
    'debits_posted', sum(debits_posted)::text, 'credits_posted', sum(credits_posted)::text) as detail
  from ledger_balances group by marketplace_id, asset
  having sum(debits_pending) <> sum(credits_pending) or sum(debits_posted) <> sum(credits_posted)`;

const L2 = sql<Found>`
  with sums as (
    select s.account,
      sum(ledger_pending(t.kind, t.amount)) filter (where s.is_debit) as debits_pending,
      sum(ledger_posted(t.kind, t.amount)) filter (where s.is_debit) as debits_posted,
      sum(ledger_pending(t.kind, t.amount)) filter (where not s.is_debit) as credits_pending,
      sum(ledger_posted(t.kind, t.amount)) filter (where not s.is_debit) as credits_posted
    from ledger_transfers t
    cross join lateral (values (t.debit_account, true), (t.credit_account, false)) s(account, is_debit)
    group by s.account
  )
  select jsonb_build_object('account', coalesce(b.id, s.account), 'kind', b.kind, 'owner_id', b.owner_id,
    'counters', concat_ws(' ', b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted),
    'transfers', concat_ws(' ', s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted)) as detail
  from ledger_balances b full join sums s on s.account = b.id
  where b.id is null
    or b.debits_pending <> coalesce(s.debits_pending, 0) or b.debits_posted <> coalesce(s.debits_posted, 0)
    or b.credits_pending <> coalesce(s.credits_pending, 0) or b.credits_posted <> coalesce(s.credits_posted, 0)`;

const L3 = sql<Found>`
  select jsonb_build_object('kind', kind, 'owner_id', owner_id, 'asset', asset, 'left', room::text) as detail
  from (
    select *, case when kind like 'custody.%' then debits_posted - credits_posted - credits_pending
      else credits_posted - debits_posted - debits_pending end as room
    from ledger_balances where kind not in ('external', 'suspense')
  ) b where room < 0`;

const L4 = sql<Found>`
  select jsonb_build_object('marketplace_id', marketplace_id, 'asset', asset, 'custody', custody::text,
    'liabilities', liabilities::text, 'external', outside::text) as detail
  from (
    select marketplace_id, asset,
      coalesce(sum(debits_posted - credits_posted) filter (where kind like 'custody.%'), 0) as custody,
      coalesce(sum(case kind when 'suspense' then greatest(credits_posted - debits_posted, 0)
        else credits_posted - debits_posted end) filter (where kind not like 'custody.%' and kind <> 'external'), 0)
        as liabilities,
      coalesce(sum(credits_posted - debits_posted) filter (where kind = 'external'), 0) as outside
    from ledger_balances group by marketplace_id, asset
  ) b where custody <> liabilities or outside <> 0`;

/** Whose money is on a wallet: its user's, the platform's (fee wallet), else nobody's but suspense. */
const L5 = sql<Found>`
  with sides as (
    select case w.kind when 'USER' then 'user/' || w.user_id when 'FEE' then 'platform/' || b.marketplace_id
        else 'wallet/' || b.owner_id end as party,
      b.marketplace_id, b.asset,
      case b.kind when 'suspense' then 0 else b.debits_posted - b.credits_posted end as custody,
      case b.kind when 'suspense' then b.credits_posted - b.debits_posted else 0 end as claims
    from ledger_balances b left join wallets w on w.id = b.owner_id
    where b.kind = 'custody.wallet' or (b.kind = 'suspense' and w.id is not null)
    union all
    select case kind when 'user.funds' then 'user/' || owner_id else 'platform/' || marketplace_id end,
      marketplace_id, asset, 0, credits_posted - debits_posted
    from ledger_balances where kind in ('user.funds', 'platform.fees', 'platform.equity')
  )
  select jsonb_build_object('party', party, 'marketplace_id', marketplace_id, 'asset', asset,
    'custody', sum(custody)::text, 'claims', sum(claims)::text) as detail
  from sides group by party, marketplace_id, asset having sum(custody) <> sum(claims)`;

const openPayment = sql`exists (select from payments p where p.id = t.resource_id
        and p.status in ('CREATED', 'APPROVAL_REQUIRED', 'APPROVED', 'SUBMITTED'))`;

const L7 = sql<Found>`
  select jsonb_build_object('transfer', t.id, 'code', t.code, 'resource', t.resource_type || '/' || t.resource_id,
    'amount', t.amount::text) as detail
  from ledger_transfers t
  where t.kind = 'PENDING' and not exists (select from ledger_transfers s where s.pending_id = t.id)
    and not case t.code
      when 'RESERVATION' then exists (select from orders o where o.id = t.resource_id
        and o.status in ('FUNDS_RESERVED', 'ESCROW_CREATING', 'ESCROW_FUNDING'))
      when 'FUNDING' then exists (
        select from escrows e join chain_transactions c on c.order_id = e.order_id and c.intent->>'kind' = 'FUND_ESCROW'
        where e.id = t.resource_id
          and (c.status in ('SIGNED', 'SUBMITTED') or (c.status = 'CONFIRMED' and c.booked_at is null)))
        -- proved dead a moment ago: the operation, still running, voids it next
        or exists (select from escrows e join orders o on o.id = e.order_id where e.id = t.resource_id
          and o.operation->>'status' in ('RUNNING', 'PARKED'))
      when 'WITHDRAWAL' then ${openPayment}
      when 'ADJUSTMENT' then ${openPayment}
      when 'PAYMENT' then ${openPayment}
      else false end`;

const L8 = sql<Found>`
  select jsonb_build_object('transfer', t.id, 'kind', t.kind, 'code', t.code, 'amount', t.amount::text) as detail
  from ledger_transfers t
  left join ledger_accounts d on d.id = t.debit_account
  left join ledger_accounts c on c.id = t.credit_account
  left join ledger_transfers p on p.id = t.pending_id
  where t.debit_account = t.credit_account or t.amount <= 0
    or d.asset is distinct from c.asset or d.marketplace_id is distinct from t.marketplace_id
    or c.marketplace_id is distinct from t.marketplace_id
    or (t.kind in ('POST', 'VOID') and (p.kind is distinct from 'PENDING' or p.amount <> t.amount
      or p.debit_account <> t.debit_account or p.credit_account <> t.credit_account))`;

/** A closed order may keep what a stranger sent to its contract, and no more, until that is paid out. */
const L9 = sql<Found>`
  with per_order as (
    select coalesce(e.order_id, b.owner_id) as order_id, b.asset,
      coalesce(sum(b.credits_posted - b.debits_posted) filter (where b.kind = 'order.escrow'), 0) as owed,
      coalesce(sum(b.debits_posted - b.credits_posted) filter (where b.kind = 'custody.contract'), 0) as held
    from ledger_balances b left join escrows e on b.kind = 'custody.contract' and e.id = b.owner_id
    where b.kind in ('order.escrow', 'custody.contract') group by 1, 2
  )
  select jsonb_build_object('order_id', x.order_id, 'asset', x.asset, 'status', o.status, 'owed', x.owed::text,
    'held', x.held::text) as detail
  from per_order x left join orders o on o.id = x.order_id
  where x.owed <> x.held or (o.status = 'CLOSED' and x.owed > coalesce((select sum(t.amount)
    from ledger_accounts a join ledger_transfers t on t.credit_account = a.id and t.code = 'TOP_UP'
    where a.owner_id = x.order_id and a.kind = 'order.escrow' and a.asset = x.asset), 0))`;

const ON_THE_BOOKS: readonly (readonly [Invariant, RawBuilder<Found>])[] = [
  ['L1', L1],
  ['L2', L2],
  ['L3', L3],
  ['L4', L4],
  ['L5', L5],
  ['L7', L7],
  ['L8', L8],
  ['L9', L9],
];

/**
 * Checks L1–L9; L6 only when `chain` is given. Each invariant is judged on one snapshot, so it can run while money
 * moves. Read-only.
 */
export async function verifyLedger(input: { trx: Sql; chain?: ChainBalances }): Promise<Verification> {
  const { trx, chain } = input;
  const violations: Violation[] = [];
  for (const [invariant, query] of ON_THE_BOOKS) {
    const { rows } = await sql<Found>`${query} limit ${VIOLATIONS_MAX}`.execute(trx);
    violations.push(...rows.map(({ detail }) => ({ invariant, detail })));
  }
  const reserves = chain === undefined ? { compared: 0, differing: [] } : await compareWithChain(trx, chain);
  const onChain = reserves.differing.map(({ detail, excused }) => ({
    excused,
    violation: { invariant: 'L6' as const, detail },
  }));
  violations.push(...onChain.filter(({ excused }) => !excused).map(({ violation }) => violation));
  const unsettled = onChain.filter(({ excused }) => excused).map(({ violation }) => violation);
  const counted = await sql<{ accounts: number; transfers: number }>`
    select (select count(*) from ledger_accounts)::int as accounts,
      (select count(*) from ledger_transfers)::int as transfers`.execute(trx);
  return {
    coherent: violations.length === 0 && unsettled.length === 0,
    violations,
    unsettled,
    checked: {
      accounts: counted.rows[0]?.accounts ?? 0,
      transfers: counted.rows[0]?.transfers ?? 0,
      chain: reserves.compared,
    },
  };
}

interface Address {
  owner: string;
  address: string;
  kind: string;
  marketplace: string;
  asset: string;
}

/** Every custodial address with every asset of its marketplace: also where our books know nothing yet. */
const ADDRESSES = sql<Address>`
  with assets as (
    select id as marketplace_id, default_asset as asset from marketplaces
    union select marketplace_id, asset from ledger_accounts
  ), places as (
    select w.id, w.address, w.marketplace_id, 'custody.wallet' as kind from wallets w
    where w.address is not null and w.provider = 'crypto-native'
      and (w.status = 'READY' or exists (select from ledger_accounts a where a.owner_id = w.id))
    union all
    select e.id, e.contract_id, e.marketplace_id, 'custody.contract' from escrows e
    where e.contract_id is not null and e.status <> 'CREATING'
  )
  select p.id as owner, p.address, p.kind, p.marketplace_id as marketplace, a.asset
  from places p join assets a using (marketplace_id)`;

/**
 * L6. A difference is excused while the readers have not passed the ledger of the reading, a movement they saw is not
 * recorded yet, a transaction of ours in the marketplace may have landed without being booked, or a stranger's was
 * recorded and waits for the order to book it.
 */
async function compareWithChain(
  trx: Sql,
  chain: ChainBalances,
): Promise<{ compared: number; differing: (Found & { excused: boolean })[] }> {
  const addresses = (await ADDRESSES.execute(trx)).rows;
  const readings: unknown[] = [];
  for (let at = 0; at < addresses.length; at += CHAIN_READS_AT_ONCE) {
    const some = addresses.slice(at, at + CHAIN_READS_AT_ONCE).map(async (place) => {
      const { ledger, value } = await chain.balanceAt(place.address, place.asset);
      return { ...place, ledger, value: value.toString() };
    });
    readings.push(...(await Promise.all(some)));
  }
  const { rows } = await sql<Found & { excused: boolean }>`
    with readings as (
      select * from jsonb_to_recordset(${JSON.stringify(readings)}::jsonb)
        as r(owner text, address text, kind text, marketplace text, asset text, ledger bigint, value numeric)
    ), compared as (
      select r.*, coalesce((
        select sum(case when t.debit_account = a.id then t.amount else -t.amount end)
        from ledger_accounts a join ledger_transfers t on a.id in (t.debit_account, t.credit_account)
        where a.owner_id = r.owner and a.kind = r.kind and a.asset = r.asset and a.marketplace_id = r.marketplace
          and t.kind in ('POSTED', 'POST') and (t.ledger_seq is null or t.ledger_seq <= r.ledger)), 0) as books
      from readings r
    )
    select jsonb_build_object('owner_id', c.owner, 'address', c.address, 'asset', c.asset, 'ledger', c.ledger,
        'chain', c.value::text, 'books', c.books::text) as detail,
      c.ledger > coalesce((select min(n.ledger) from network_cursors n), 0)
      or exists (select from observed_movements o where c.address in (o.from_address, o.to_address)
        and o.asset_code = c.asset and o.ledger <= c.ledger and not exists (select from movements m
          where m.owner_id = c.owner and m.operation_id = o.operation_id and m.network = o.network))
      or exists (select from chain_transactions x where x.marketplace_id = c.marketplace
        and (x.status in ('SIGNED', 'SUBMITTED') or (x.status = 'CONFIRMED' and x.booked_at is null)))
      or exists (select from movements m where m.owner_id = c.owner and m.asset = c.asset and m.ledger <= c.ledger
        and not exists (select from chain_transactions x where x.inner_hash = m.transaction_hash)
        and not exists (select from chain_envelopes v where v.outer_hash = m.transaction_hash)
        and not exists (select from ledger_transfers t where t.transaction_hash = m.transaction_hash)) as excused
    from compared c where c.value <> c.books limit ${VIOLATIONS_MAX}`.execute(trx);
  return { compared: readings.length, differing: rows };
}
