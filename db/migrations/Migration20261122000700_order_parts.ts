import { Migration } from '@mikro-orm/migrations';

/** What an operation is about, what a milestone remembers, and clocks for trying out deadlines. */
export class Migration20261122000700_order_parts extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'alter table "orders" add column "operation_task" jsonb null',
  'alter table "milestones" add column "approved_at" timestamptz(3) null, add column "inspection_due_at" timestamptz(3) null',
  'create table "test_clocks" ("id" text not null, "marketplace_id" text not null, "offset_ms" bigint not null, "created_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "test_clocks" add constraint "test_clocks_marketplace_id_unique" unique ("marketplace_id")',
  'grant select, insert, update, delete on test_clocks to orchestrator_app',
  // Business time of a marketplace: ahead of the clock where somebody tries out deadlines. Never the chain's time.
  `create function marketplace_now(marketplace text) returns timestamptz language sql stable as $$
     select now() + coalesce((select offset_ms from test_clocks where marketplace_id = marketplace), 0) * interval '1 millisecond'
   $$`,
];
