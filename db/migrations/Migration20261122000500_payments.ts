import { Migration } from '@mikro-orm/migrations';

/** Withdrawals and adjustments. */
export class Migration20261122000500_payments extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "payments" ("id" text not null, "kind" text not null, "marketplace_id" text not null, "user_id" text null, "direction" text null, "amount" bigint not null, "asset" text not null, "payer" jsonb not null, "payee" jsonb not null, "destination" jsonb null, "client_ref" text null, "body_hash" text not null, "reason" text null, "reference" text null, "status" text not null, "operation" jsonb not null, "requested_by" text not null, "requested_person" text null, "approved_by" text null, "transaction_hash" text null, "ledger" int null, "metadata" jsonb not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, "completed_at" timestamptz(3) null, primary key ("id"))',
  'alter table "payments" add constraint "payments_marketplace_id_client_ref_unique" unique ("marketplace_id", "client_ref")',
  'create index "payments_marketplace_id_kind_created_at_index" on "payments" ("marketplace_id", "kind", "created_at")',
  'create index "payments_user_id_created_at_index" on "payments" ("user_id", "created_at")',
  // What reconcile and recovery look for.
  "create index payments_open on payments (updated_at) where status not in ('COMPLETED', 'FAILED', 'CANCELED')",
  'alter table "payments" add constraint "payments_kind_check" check ("kind" in (\'WITHDRAWAL\', \'ADJUSTMENT\'))',
  "alter table \"payments\" add constraint \"payments_status_check\" check (\"status\" in ('CREATED', 'APPROVAL_REQUIRED', 'APPROVED', 'SUBMITTED', 'COMPLETED', 'FAILED', 'CANCELED'))",
  'alter table "payments" add constraint "payments_direction_check" check ("direction" in (\'CREDIT\', \'DEBIT\'))',
  'alter table "payments" add constraint payments_amount_positive check (amount > 0)',
  'grant select, insert, update on payments to orchestrator_app',
];
