import { Migration } from '@mikro-orm/migrations';

/** Money that is left in the contract of an order that is over. */
export class Migration20261122000970_surplus extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "surpluses" ("id" text not null, "order_id" text not null, "marketplace_id" text not null, "amount" bigint null, "attention_id" text null, "approval_id" text null, "seen_at" timestamptz(6) not null, "looked_at" timestamptz(6) null, "settled_at" timestamptz(3) null, primary key ("id"))',
  // What reconcile and recovery look for.
  'create index surpluses_open on surpluses (seen_at) where settled_at is null',
  'grant select, insert, update on surpluses to orchestrator_app',
];
