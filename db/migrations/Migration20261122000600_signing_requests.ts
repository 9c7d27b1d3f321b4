import { Migration } from '@mikro-orm/migrations';

/** Users with their own wallet: what they are asked to sign, and addresses that are not ours. */
export class Migration20261122000600_signing_requests extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'create table "signing_requests" ("id" text not null, "marketplace_id" text not null, "user_id" text not null, "order_id" text not null, "operation_id" text null, "intent_key" text not null, "intent" jsonb not null, "verb" text not null, "summary" text not null, "status" text not null, "transaction_id" text null, "expires_at" timestamptz(3) not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("id"))',
  'create index "signing_requests_marketplace_id_created_at_index" on "signing_requests" ("marketplace_id", "created_at")',
  'create index "signing_requests_user_id_index" on "signing_requests" ("user_id")',
  "alter table \"signing_requests\" add constraint \"signing_requests_verb_check\" check (\"verb\" in ('reserve', 'cancel', 'escrow', 'fund', 'deliver', 'complete_milestone', 'release_milestone', 'release', 'refund', 'dispute', 'extend'))",
  'alter table "signing_requests" add constraint "signing_requests_status_check" check ("status" in (\'PENDING\', \'COMPLETED\', \'EXPIRED\'))',
  "create unique index signing_requests_pending on signing_requests (intent_key) where status = 'PENDING'",
  'grant select, insert, update on signing_requests to orchestrator_app',
  // An address whose key the user holds may serve him in more than one marketplace; ours belong to one wallet.
  'alter table "wallets" drop constraint "wallets_address_unique"',
  "create unique index wallets_custodial_address on wallets (address) where provider = 'crypto-native'",
  "create unique index wallets_own_address on wallets (marketplace_id, address) where provider <> 'crypto-native'",
  'create index "wallets_address_index" on "wallets" ("address")',
];
