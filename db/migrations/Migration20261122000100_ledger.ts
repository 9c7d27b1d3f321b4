/**
 * The ledger: accounts, immutable transfers, and `ledger_post`, the one function that writes them. The application's
 * role may read the tables and call the function, nothing else.
 */
import { Migration } from '@mikro-orm/migrations';

/** L3 for accounts with counters, one constraint per kind: its name tells which kind fell short. */
const FLOORS = ['custody.wallet', 'custody.contract', 'user.funds', 'order.escrow', 'platform.fees', 'platform.equity']
  .map((kind) => {
    const room = kind.startsWith('custody.')
      ? 'debits_posted - credits_posted - credits_pending'
      : 'credits_posted - debits_posted - debits_pending';
    return `constraint ledger_floor_${kind.replace('.', '_')} check (hot or kind <> '${kind}' or ${room} >= 0)`;
  })
  .join(',\n  ');

const TABLES = `
create table ledger_accounts (
  id bigint generated always as identity primary key,
  marketplace_id text not null,
  kind text not null check (kind in ('custody.wallet', 'custody.contract', 'user.funds', 'order.escrow',
    'platform.fees', 'platform.equity', 'external', 'suspense')),
  owner_id text not null,
  asset text not null,
  -- touched by every release: counters stay 0, the balance is checkpoint + transfers since (F38)
  hot boolean not null,
  debits_pending numeric(38) not null default 0 check (debits_pending >= 0),
  debits_posted numeric(38) not null default 0 check (debits_posted >= 0),
  credits_pending numeric(38) not null default 0 check (credits_pending >= 0),
  credits_posted numeric(38) not null default 0 check (credits_posted >= 0),
  created_at timestamptz not null default clock_timestamp(),
  unique (owner_id, kind, asset, marketplace_id),
  ${FLOORS}
) with (fillfactor = 60); -- counters are in no index: room on the page keeps updates in place

-- One row per booked step. The generation numbers its attempts; the digest tells the same batch from another.
create table ledger_generations (
  workflow_id text not null,
  step text not null,
  update_id text not null,
  generation integer not null,
  digest bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (workflow_id, step, update_id),
  unique (workflow_id, step, generation)
);

-- No foreign keys to the accounts: each check would lock the row of a hot account (F38). Only ledger_post inserts.
create table ledger_transfers (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  marketplace_id text not null,
  kind text not null check (kind in ('POSTED', 'PENDING', 'POST', 'VOID')),
  debit_account bigint not null,
  credit_account bigint not null,
  amount bigint not null check (amount > 0),
  pending_id uuid,
  code text not null,
  resource_type text not null,
  resource_id text not null,
  transaction_hash text,
  ledger_seq bigint,
  milestone_index integer,
  -- the writing transaction: what is below every snapshot's xmin can be folded into a checkpoint
  xid xid8 not null default pg_current_xact_id(),
  created_at timestamptz not null default clock_timestamp(),
  constraint ledger_transfer_to_itself check (debit_account <> credit_account), -- F36
  constraint ledger_transfer_settles check ((kind in ('POST', 'VOID')) = (pending_id is not null))
);
create unique index ledger_transfer_settled_once on ledger_transfers (pending_id) where pending_id is not null;
create index ledger_transfers_debit on ledger_transfers (debit_account, seq);
create index ledger_transfers_credit on ledger_transfers (credit_account, seq);
create index ledger_transfers_pending on ledger_transfers (resource_id, code) where kind = 'PENDING';

-- Counters of a hot account over all transfers of transactions below the horizon.
create table ledger_checkpoints (
  account_id bigint primary key,
  horizon xid8 not null,
  debits_pending numeric(38) not null,
  debits_posted numeric(38) not null,
  credits_pending numeric(38) not null,
  credits_posted numeric(38) not null,
  created_at timestamptz not null default clock_timestamp()
)`;

const IMMUTABLE = `
create function ledger_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of % is not allowed: the ledger is append-only', tg_op, tg_table_name using errcode = 'LD001';
end $$;
create trigger immutable before update or delete or truncate on ledger_transfers
  for each statement execute function ledger_refuse_change();
create trigger immutable before update or delete or truncate on ledger_generations
  for each statement execute function ledger_refuse_change();
create trigger immutable before delete or truncate on ledger_accounts
  for each statement execute function ledger_refuse_change()`;

const HELPERS = `
-- What a transfer of this kind adds to the pending, and to the posted, counters of its two accounts.
create function ledger_pending(kind text, amount bigint) returns bigint language sql immutable parallel safe
  return case kind when 'PENDING' then amount when 'POSTED' then 0 else -amount end;
create function ledger_posted(kind text, amount bigint) returns bigint language sql immutable parallel safe
  return case when kind in ('POSTED', 'POST') then amount else 0 end;

-- UUID version 8: 120 bits of SHA-256 over workflow, step, generation and position in the batch.
create function ledger_transfer_id(workflow_id text, step text, generation integer, index bigint) returns uuid
language sql stable parallel safe return overlay(overlay(
  left(encode(sha256(convert_to(jsonb_build_array(workflow_id, step, generation, index)::text, 'UTF8')), 'hex'), 32)
  placing '8' from 13) placing '8' from 17)::uuid;

-- Every account with its true counters: hot ones are checkpoint + transfers since.
create view ledger_balances as
select id, marketplace_id, kind, owner_id, asset, hot, debits_pending, debits_posted, credits_pending, credits_posted
from ledger_accounts where not hot
union all
select a.id, a.marketplace_id, a.kind, a.owner_id, a.asset, a.hot,
  coalesce(k.debits_pending, 0) + coalesce(d.pending, 0), coalesce(k.debits_posted, 0) + coalesce(d.posted, 0),
  coalesce(k.credits_pending, 0) + coalesce(c.pending, 0), coalesce(k.credits_posted, 0) + coalesce(c.posted, 0)
from ledger_accounts a
left join ledger_checkpoints k on k.account_id = a.id
cross join lateral (
  select sum(ledger_pending(t.kind, t.amount)) as pending, sum(ledger_posted(t.kind, t.amount)) as posted
  from ledger_transfers t where t.debit_account = a.id and (k.horizon is null or t.xid >= k.horizon)) d
cross join lateral (
  select sum(ledger_pending(t.kind, t.amount)) as pending, sum(ledger_posted(t.kind, t.amount)) as posted
  from ledger_transfers t where t.credit_account = a.id and (k.horizon is null or t.xid >= k.horizon)) c
where a.hot`;

/**
 * Folds hot accounts into checkpoints. A transaction still running may have lower numbers than committed ones: only
 * what is below the oldest running one is folded, or late commits would be missed.
 */
const FOLD = `
create function ledger_fold() returns bigint
language sql security definer set search_path = public, pg_temp as $$
  with rest as (
    select a.id, ledger_pending(t.kind, t.amount) as pending, ledger_posted(t.kind, t.amount) as posted,
      t.debit_account = a.id as is_debit
    from ledger_accounts a
    left join ledger_checkpoints k on k.account_id = a.id
    join ledger_transfers t on a.id in (t.debit_account, t.credit_account)
      and (k.horizon is null or t.xid >= k.horizon) and t.xid < pg_snapshot_xmin(pg_current_snapshot())
    where a.hot
  ), folded as (
    insert into ledger_checkpoints as k
      (account_id, horizon, debits_pending, debits_posted, credits_pending, credits_posted)
    select id, pg_snapshot_xmin(pg_current_snapshot()),
      coalesce(sum(pending) filter (where is_debit), 0), coalesce(sum(posted) filter (where is_debit), 0),
      coalesce(sum(pending) filter (where not is_debit), 0), coalesce(sum(posted) filter (where not is_debit), 0)
    from rest group by id
    on conflict (account_id) do update set horizon = excluded.horizon, created_at = excluded.created_at,
      debits_pending = k.debits_pending + excluded.debits_pending,
      debits_posted = k.debits_posted + excluded.debits_posted,
      credits_pending = k.credits_pending + excluded.credits_pending,
      credits_posted = k.credits_posted + excluded.credits_posted
    returning 1
  ) select count(*) from folded
$$`;

/**
 * Posts one batch. Each statement below sees what was committed when it began (read committed): what is checked after
 * the locks is current. SQLSTATEs: LD002 other content, LD003 nothing pending, LD004 settled, LD005 pending exists,
 * LD006 isolation; a floor is a check violation that names its constraint.
 */
const POST = `
create function ledger_post(p_workflow text, p_step text, p_update text, p_marketplace text, p_transfers jsonb)
returns table (generation integer, replayed boolean, transfer_ids uuid[])
language plpgsql security definer set search_path = public, pg_temp
-- A batch is a few rows, whatever the planner guesses: one plan, always by index, also before tables are analysed.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  v_digest constant bytea := sha256(convert_to(jsonb_build_array(p_marketplace, p_transfers)::text, 'UTF8'));
  v_generation integer;
  v_stored bytea;
  v_rows ledger_transfers[];
  v_hot ledger_accounts;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the ledger posts under read committed' using errcode = 'LD006';
  end if;

  -- 1. Claim the key. A concurrent claim of the same key waits here for the first one's outcome.
  loop
    insert into ledger_generations (workflow_id, step, update_id, generation, digest)
    select p_workflow, p_step, p_update, coalesce(max(generation), 0) + 1, v_digest
    from ledger_generations where workflow_id = p_workflow and step = p_step
    on conflict do nothing returning generation into v_generation;
    exit when found;
    select generation, digest into v_generation, v_stored from ledger_generations
    where workflow_id = p_workflow and step = p_step and update_id = p_update;
    exit when found; -- else another attempt took the number: try the next
  end loop;
  transfer_ids := array(select ledger_transfer_id(p_workflow, p_step, v_generation, n)
    from generate_series(1, jsonb_array_length(p_transfers)) n);
  if v_stored is not null then
    if v_stored <> v_digest then
      raise exception '% % was booked with other transfers', p_workflow, p_step using errcode = 'LD002';
    end if;
    return query select v_generation, true, transfer_ids;
    return;
  end if;

  -- 2. The transfers. POST and VOID take accounts and amount of the newest pending transfer they name.
  loop
    select array_agg(row(null, transfer_ids[n], p_marketplace, item->>'kind',
        coalesce(p.debit_account, (select a.id from ledger_accounts a where a.owner_id = item->'debit'->>'owner'
          and a.kind = item->'debit'->>'kind' and a.asset = item->'debit'->>'asset' and a.marketplace_id = p_marketplace)),
        coalesce(p.credit_account, (select a.id from ledger_accounts a where a.owner_id = item->'credit'->>'owner'
          and a.kind = item->'credit'->>'kind' and a.asset = item->'credit'->>'asset' and a.marketplace_id = p_marketplace)),
        coalesce(p.amount, (item->>'amount')::bigint), p.id, item->>'code', item->'resource'->>'type',
        item->'resource'->>'id', item->>'hash', (item->>'ledger')::bigint, (item->>'milestone')::integer,
        null, null)::ledger_transfers order by n)
    into v_rows
    from jsonb_array_elements(p_transfers) with ordinality e(item, n)
    left join lateral (
      select t.id, t.debit_account, t.credit_account, t.amount from ledger_transfers t
      where t.kind = 'PENDING' and t.resource_id = item->'resource'->>'id' and t.code = item->>'pending'
        and t.resource_type = item->'resource'->>'type' and t.marketplace_id = p_marketplace
      order by t.seq desc limit 1
    ) p on true;
    exit when not exists (select from unnest(v_rows) r
      where r.kind in ('POSTED', 'PENDING') and (r.debit_account is null or r.credit_account is null));

    -- 3. Open missing accounts, in one order, so that two batches opening the same ones cannot deadlock.
    insert into ledger_accounts (marketplace_id, kind, owner_id, asset, hot)
    select distinct p_marketplace, r.ref->>'kind', r.ref->>'owner', r.ref->>'asset', (r.ref->>'hot')::boolean
    from jsonb_array_elements(p_transfers) item
    cross join lateral (values (item->'debit'), (item->'credit')) r(ref)
    where r.ref is not null
    order by 2, 3, 4 on conflict do nothing;
  end loop;

  -- 4. Lock in id order.
  perform from ledger_accounts a
  where not a.hot and a.id in (select unnest(array[r.debit_account, r.credit_account]) from unnest(v_rows) r)
  order by a.id for no key update;

  -- 5. Two phases, once. Under the locks nobody else can settle or open the same pending transfer.
  if exists (select from unnest(v_rows) r where r.kind <> 'POSTED') then
    if exists (select from unnest(v_rows) r where r.kind = 'POST' and r.pending_id is null) then
      raise exception '% %: nothing is pending', p_workflow, p_step using errcode = 'LD003';
    end if;
    if exists (select from unnest(v_rows) r join ledger_transfers s on s.pending_id = r.pending_id
      where not (r.kind = 'VOID' and s.kind = 'VOID')) then
      raise exception '% %: the pending transfer is settled', p_workflow, p_step using errcode = 'LD004';
    end if;
    if exists (select from unnest(v_rows) r join ledger_transfers p on p.kind = 'PENDING'
        and p.resource_id = r.resource_id and p.code = r.code and p.resource_type = r.resource_type
        and p.marketplace_id = r.marketplace_id
      where r.kind = 'PENDING' and not exists (select from ledger_transfers s where s.pending_id = p.id)) then
      raise exception '% %: a pending transfer is open', p_workflow, p_step using errcode = 'LD005';
    end if;
    -- A VOID that finds nothing to undo writes nothing.
    v_rows := array(select r::ledger_transfers from unnest(v_rows) r where r.kind <> 'VOID' or (r.pending_id is not null
      and (select true from ledger_transfers s where s.pending_id = r.pending_id) is null));
  end if;

  -- 6. Transfers and counters.
  with inserted as (
    insert into ledger_transfers (id, marketplace_id, kind, debit_account, credit_account, amount, pending_id, code,
      resource_type, resource_id, transaction_hash, ledger_seq, milestone_index)
    select r.id, r.marketplace_id, r.kind, r.debit_account, r.credit_account, r.amount, r.pending_id, r.code,
      r.resource_type, r.resource_id, r.transaction_hash, r.ledger_seq, r.milestone_index
    from unnest(v_rows) with ordinality r order by r.ordinality
    returning kind, debit_account, credit_account, amount
  ), deltas as (
    select s.account,
      sum(ledger_pending(kind, amount)) filter (where s.is_debit) as debits_pending,
      sum(ledger_posted(kind, amount)) filter (where s.is_debit) as debits_posted,
      sum(ledger_pending(kind, amount)) filter (where not s.is_debit) as credits_pending,
      sum(ledger_posted(kind, amount)) filter (where not s.is_debit) as credits_posted
    from inserted cross join lateral (values (debit_account, true), (credit_account, false)) s(account, is_debit)
    group by s.account
  )
  update ledger_accounts a set
    debits_pending = a.debits_pending + coalesce(d.debits_pending, 0),
    debits_posted = a.debits_posted + coalesce(d.debits_posted, 0),
    credits_pending = a.credits_pending + coalesce(d.credits_pending, 0),
    credits_posted = a.credits_posted + coalesce(d.credits_posted, 0)
  from deltas d where a.id = d.account and not a.hot;

  -- 7. Money out of a hot account: rare, so they queue up here, and each sees the ones before it.
  for v_hot in
    select distinct a.* from unnest(v_rows) r join ledger_accounts a on a.hot
      and ((a.id = r.debit_account and a.kind like 'platform.%') or (a.id = r.credit_account and a.kind = 'custody.wallet'))
    where r.kind in ('POSTED', 'PENDING') order by a.id
  loop
    perform pg_advisory_xact_lock(hashtextextended('ledger_account/' || v_hot.id, 0));
    if exists (select from ledger_balances b where b.id = v_hot.id and case when b.kind = 'custody.wallet'
      then b.debits_posted - b.credits_posted - b.credits_pending
      else b.credits_posted - b.debits_posted - b.debits_pending end < 0) then
      raise exception 'below zero' using errcode = 'check_violation', table = 'ledger_accounts',
        constraint = 'ledger_floor_' || replace(v_hot.kind, '.', '_');
    end if;
  end loop;

  return query select v_generation, false, transfer_ids;
end $$`;

const GRANTS = `
revoke all on ledger_accounts, ledger_generations, ledger_transfers, ledger_checkpoints, ledger_balances
  from public, orchestrator_app;
grant select on ledger_accounts, ledger_generations, ledger_transfers, ledger_checkpoints, ledger_balances
  to orchestrator_app;
revoke execute on function ledger_post(text, text, text, text, jsonb), ledger_fold() from public;
grant execute on function ledger_post(text, text, text, text, jsonb), ledger_fold() to orchestrator_app`;

export class Migration20261122000100_ledger extends Migration {
  override up(): void {
    for (const statement of [TABLES, IMMUTABLE, HELPERS, FOLD, POST, GRANTS]) this.addSql(statement);
  }
}
