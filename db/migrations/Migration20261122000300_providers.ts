import { Migration } from '@mikro-orm/migrations';

/** One queue in front of a provider that counts requests, shared by all workers; one attention item per outage. */
export class Migration20261122000300_providers extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

/**
 * Decided by one statement under the provider's row lock, so that any number of workers keep one limit. A turn that was
 * granted counts for the window; whoever waits is passed over when he stopped asking. A turn is granted when one would be
 * left after all that go before: the most urgent first, then who came first.
 */
const TAKE_TURN = `
create function take_provider_turn(p_provider text, p_owner text, p_priority int, p_limit int, p_queue boolean)
returns int language plpgsql as $$
declare
  v_window constant interval := '61 seconds'; -- a minute, and what the clocks of two hosts may differ on the way
  v_patience constant interval := '45 seconds';
  v_at timestamptz;
  v_held timestamptz;
  v_queued timestamptz;
  v_used int;
  v_ahead int;
  v_free_at timestamptz;
begin
  insert into provider_limits (provider) values (p_provider) on conflict do nothing;
  select held_until into v_held from provider_limits where provider = p_provider for update;
  v_at := clock_timestamp();
  delete from provider_turns where provider = p_provider
    and (granted_at <= v_at - v_window or (granted_at is null and polled_at <= v_at - v_patience));
  select queued_at into v_queued from provider_turns
    where provider = p_provider and owner = p_owner and granted_at is null;
  select count(*) filter (where granted_at is not null),
      count(*) filter (where granted_at is null and owner <> p_owner
        and (priority, queued_at, owner) < (p_priority, coalesce(v_queued, v_at), p_owner))
    into v_used, v_ahead
    from provider_turns where provider = p_provider;
  if v_used + v_ahead < p_limit and coalesce(v_held, v_at) <= v_at then
    delete from provider_turns where provider = p_provider and owner = p_owner and granted_at is null;
    insert into provider_turns (id, provider, owner, priority, queued_at, polled_at, granted_at)
      values (gen_random_uuid(), p_provider, p_owner, p_priority, v_at, v_at, v_at);
    return 0;
  end if;
  if p_queue then
    insert into provider_turns (id, provider, owner, priority, queued_at, polled_at)
      values (gen_random_uuid(), p_provider, p_owner, p_priority, v_at, v_at)
      on conflict (provider, owner) where granted_at is null
      do update set polled_at = excluded.polled_at, priority = excluded.priority;
  end if;
  if v_used + v_ahead >= p_limit then
    -- When as many turns have run out as those that go before need, and one more.
    select granted_at + v_window into v_free_at from provider_turns
      where provider = p_provider and granted_at is not null
      order by granted_at offset greatest(0, least(v_used + v_ahead - p_limit, v_used - 1)) limit 1;
  end if;
  return greatest(250, least(15000, extract(epoch from
    greatest(coalesce(v_held, v_at), coalesce(v_free_at, v_at)) - v_at) * 1000))::int;
end $$`;

const STATEMENTS = [
  'create table "provider_limits" ("provider" text not null, "held_until" timestamptz(6) null, primary key ("provider"))',
  'create table "provider_turns" ("id" uuid not null, "provider" text not null, "owner" text not null, "priority" int not null, "queued_at" timestamptz(6) not null, "polled_at" timestamptz(6) not null, "granted_at" timestamptz(6) null, primary key ("id"))',
  'create unique index provider_turns_waiting on provider_turns (provider, owner) where granted_at is null',
  'create index provider_turns_granted on provider_turns (provider, granted_at)',
  TAKE_TURN,
  'grant select, insert, update, delete on provider_limits, provider_turns to orchestrator_app',
  // One item per outage, whichever worker sees it first.
  `create unique index attention_outage on attention (resource_id) where resource_type = 'provider' and cleared_at is null`,
];
