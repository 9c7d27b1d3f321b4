import { Migration } from '@mikro-orm/migrations';

/** Which Temporal cluster owns the rows, and transactions of our accounts that our rows do not know. */
export class Migration20261122000210_recovery extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "temporal_clusters" ("epoch" int not null, "namespace_id" text not null, "since" timestamptz(3) not null, primary key ("epoch"))',
  'create table "unaccounted_transactions" ("hash" text not null, "source" text not null, "sequence" bigint not null, "ledger" int not null, "successful" boolean not null, "closed_at" timestamptz(3) not null, "involved" text[] not null, "found_at" timestamptz(3) not null, "settled_at" timestamptz(3) null, "note" text null, primary key ("hash"))',
  'create index "unaccounted_transactions_source_sequence_index" on "unaccounted_transactions" ("source", "sequence")',
  // Nearly always there is none: what every preparation asks costs nothing.
  'create index unaccounted_transactions_open on unaccounted_transactions using gin (involved) where settled_at is null',
  'create index "chain_transactions_source_sequence_index" on "chain_transactions" ("source", "sequence")',
  'grant select, insert on temporal_clusters to orchestrator_app',
  'grant select, insert, update on unaccounted_transactions to orchestrator_app',
];
