import { Migration } from '@mikro-orm/migrations';

/** Disputes with what was said in them. */
export class Migration20261122000800_disputes extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "disputes" ("id" text not null, "order_id" text not null, "marketplace_id" text not null, "amount" bigint not null, "asset" text not null, "opened_by" text not null, "reason" text not null, "description" text null, "status" text not null, "parts" jsonb not null, "assigned_to" text null, "decision" text null, "note" text null, "resolved_by" text null, "operation" jsonb null, "due_at" timestamptz(3) null, "applied_at" timestamptz(3) null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, "resolved_at" timestamptz(3) null, primary key ("id"))',
  'create index "disputes_order_id_index" on "disputes" ("order_id")',
  'create index "disputes_marketplace_id_created_at_index" on "disputes" ("marketplace_id", "created_at")',
  // What the order takes over, and what reconcile and recovery look for.
  'create index disputes_unapplied on disputes (order_id) where applied_at is null',
  'alter table "disputes" add constraint "disputes_opened_by_check" check ("opened_by" in (\'BUYER\', \'SELLER\'))',
  'alter table "disputes" add constraint "disputes_reason_check" check ("reason" in (\'NOT_DELIVERED\', \'QUALITY_ISSUE\', \'OTHER\'))',
  "alter table \"disputes\" add constraint \"disputes_status_check\" check (\"status\" in ('OPEN', 'UNDER_REVIEW', 'RESOLVING', 'RESOLVED', 'WITHDRAWN'))",
  'alter table "disputes" add constraint "disputes_decision_check" check ("decision" in (\'FULL_RELEASE\', \'FULL_REFUND\', \'SPLIT\'))',
  'create table "dispute_evidence" ("dispute_id" text not null, "ordinal" int not null, "type" text not null, "value" text not null, "note" text null, "by" text not null, "created_at" timestamptz(3) not null, primary key ("dispute_id", "ordinal"))',
  'alter table "dispute_evidence" add constraint "dispute_evidence_type_check" check ("type" in (\'TEXT\', \'URL\', \'SHA256\'))',
  'create table "dispute_comments" ("dispute_id" text not null, "ordinal" int not null, "by" text not null, "text" text not null, "created_at" timestamptz(3) not null, primary key ("dispute_id", "ordinal"))',
  'grant select, insert, update on disputes to orchestrator_app',
  'grant select, insert on dispute_evidence, dispute_comments to orchestrator_app',
];
