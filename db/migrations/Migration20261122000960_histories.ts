import { Migration } from '@mikro-orm/migrations';

/** What workflows did, kept beyond the time for which Temporal knows. */
export class Migration20261122000960_histories extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "workflow_histories" ("workflow_id" text not null, "run_id" text not null, "reason" text not null, "attention_id" text null, "events" int not null, "history" bytea not null, "stored_at" timestamptz(3) not null, primary key ("workflow_id", "run_id", "reason"))',
  'alter table "workflow_histories" add constraint "workflow_histories_reason_check" check ("reason" in (\'PARKED\', \'CLOSED\'))',
  'grant select, insert, update on workflow_histories to orchestrator_app',
];
