import { Migration } from '@mikro-orm/migrations';

/** Repairs that move money: proposed by one person, approved by another, used once. */
export class Migration20261122000950_repair_approvals extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "repair_approvals" ("id" text not null, "attention_id" text not null, "marketplace_id" text null, "order_id" text not null, "milestone_index" int null, "party" text null, "action" text not null, "address" text not null, "amount" bigint not null, "asset" text not null, "reason" text null, "proposed_by" text null, "proposed_person" text null, "proposed_at" timestamptz(3) not null, "approved_by" text null, "approved_person" text null, "approved_at" timestamptz(3) null, "used_at" timestamptz(3) null, primary key ("id"))',
  'create index "repair_approvals_attention_id_index" on "repair_approvals" ("attention_id")',
  'create index "repair_approvals_order_id_index" on "repair_approvals" ("order_id")',
  'alter table "repair_approvals" add constraint "repair_approvals_party_check" check ("party" in (\'BUYER\', \'SELLER\'))',
  'alter table "repair_approvals" add constraint "repair_approvals_action_check" check ("action" in (\'payout_to\'))',
  'create unique index repair_approvals_open on repair_approvals (attention_id) where used_at is null',
  // One that nobody has used is replaced by another proposal; one that was used stays.
  `create function repair_approvals_keep() returns trigger language plpgsql as $$
     begin
       if old.used_at is not null then raise exception 'a used approval does not change'; end if;
       return case tg_op when 'DELETE' then old else new end;
     end $$`,
  'create trigger repair_approvals_keep before update or delete on repair_approvals for each row execute function repair_approvals_keep()',
  'grant select, insert, update, delete on repair_approvals to orchestrator_app',
];
