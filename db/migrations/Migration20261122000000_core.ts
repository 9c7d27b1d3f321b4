import { Migration } from '@mikro-orm/migrations';

/** Marketplaces, users, wallets, orders, chain transactions and events; and what the application's role may do. */
export class Migration20261122000000_core extends Migration {
  override async up(): Promise<void> {
    for (const statement of TABLES) this.addSql(statement);
    for (const statement of GRANTS) this.addSql(statement);
  }
}

const GRANTS = [
  // The group role exists once per cluster; the login role of the serving processes is a member of it.
  `do $$ begin
     if not exists (select from pg_roles where rolname = 'orchestrator_app') then create role orchestrator_app nologin; end if;
   end $$`,
  'grant usage on schema public to orchestrator_app',
  'grant select, insert, update, delete on all tables in schema public to orchestrator_app',
  // Append-only (F56).
  'revoke update, delete on audit_log from orchestrator_app',
  'revoke delete on events, chain_transactions, chain_envelopes, movements, observed_movements from orchestrator_app',
  // One holder per source account, whoever asks at the same time.
  'create unique index source_leases_holder on source_leases (source) where held_at is not null',
  // What the relay and reconcile look for.
  'create index events_unrelayed on events (occurred_at) where position is null',
  'create index chain_transactions_unbooked on chain_transactions (confirmed_at) where booked_at is null',
];

const TABLES = [
  'create table "api_keys" ("id" text not null, "marketplace_id" text null, "name" text not null, "person" text null, "prefix" text not null, "key_hash" text not null, "scopes" text[] not null, "ip_allow" text[] not null, "expires_at" timestamptz(3) null, "revoked_at" timestamptz(3) null, "last_used_at" timestamptz(3) null, "created_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "api_keys" add constraint "api_keys_key_hash_unique" unique ("key_hash")',
  'create index "api_keys_marketplace_id_index" on "api_keys" ("marketplace_id")',
  'create table "attention" ("id" text not null, "marketplace_id" text null, "resource_type" text not null, "resource_id" text not null, "workflow_id" text not null, "reason" text not null, "detail" jsonb not null, "allowed_repairs" text[] not null, "since" timestamptz(3) not null, "cleared_at" timestamptz(3) null, primary key ("id"))',
  'create index "attention_resource_id_cleared_at_index" on "attention" ("resource_id", "cleared_at")',
  'create table "audit_log" ("id" text not null, "at" timestamptz(3) not null, "marketplace_id" text null, "actor" text null, "action" text not null, "resource_type" text not null, "resource_id" text not null, "before" jsonb null, "after" jsonb null, "request_id" text null, primary key ("id"))',
  'create index "audit_log_marketplace_id_at_index" on "audit_log" ("marketplace_id", "at")',
  'create table "chain_envelopes" ("outer_hash" text not null, "transaction_id" text not null, "envelope" text not null, "created_at" timestamptz(3) not null, primary key ("outer_hash"))',
  'create index "chain_envelopes_transaction_id_index" on "chain_envelopes" ("transaction_id")',
  'create table "chain_transactions" ("id" text not null, "intent_key" text not null, "attempt" int not null, "intent" jsonb not null, "workflow_id" text not null, "marketplace_id" text null, "order_id" text null, "status" text not null, "source" text not null, "sequence" bigint not null, "max_time" bigint not null, "unsigned_envelope" text not null, "inner_hash" text not null, "contract_id" text null, "signed_ledger" int null, "ledger" int null, "fee_charged" bigint null, "result_xdr" text null, "created_at" timestamptz(3) not null, "signed_at" timestamptz(3) null, "confirmed_at" timestamptz(3) null, "booked_at" timestamptz(3) null, primary key ("id"))',
  'alter table "chain_transactions" add constraint "chain_transactions_inner_hash_unique" unique ("inner_hash")',
  'create index "chain_transactions_order_id_index" on "chain_transactions" ("order_id")',
  'create index "chain_transactions_status_index" on "chain_transactions" ("status")',
  'alter table "chain_transactions" add constraint "chain_transactions_intent_key_attempt_unique" unique ("intent_key", "attempt")',
  "alter table \"chain_transactions\" add constraint \"chain_transactions_status_check\" check (\"status\" in ('PREPARED', 'SIGNED', 'SUBMITTED', 'CONFIRMED', 'FAILED', 'DEAD'))",
  'create table "escrows" ("id" text not null, "order_id" text not null, "marketplace_id" text not null, "type" text not null, "status" text not null, "gateway" text not null, "contract_id" text null, "amount" bigint not null, "asset" text not null, "platform_fee_bps" int not null, "factory_id" text not null, "wasm_hash" text not null, "wallets" jsonb not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "escrows" add constraint "escrows_order_id_unique" unique ("order_id")',
  'alter table "escrows" add constraint "escrows_contract_id_unique" unique ("contract_id")',
  'alter table "escrows" add constraint "escrows_type_check" check ("type" in (\'SINGLE_RELEASE\', \'MULTI_RELEASE\'))',
  "alter table \"escrows\" add constraint \"escrows_status_check\" check (\"status\" in ('CREATING', 'CREATED', 'FUNDING', 'FUNDED', 'DISPUTED', 'RELEASED', 'REFUNDED', 'SPLIT'))",
  'create table "events" ("id" text not null, "position" bigint null, "marketplace_id" text not null, "type" text not null, "resource_type" text not null, "resource_id" text not null, "sequence" int not null, "data" jsonb not null, "actor" text null, "request_id" text null, "correlation" jsonb not null, "occurred_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "events" add constraint "events_position_unique" unique ("position")',
  'create index "events_marketplace_id_position_index" on "events" ("marketplace_id", "position")',
  'alter table "events" add constraint "events_resource_id_sequence_unique" unique ("resource_id", "sequence")',
  'create table "idempotency_keys" ("tenant" text not null, "key" text not null, "request_hash" text not null, "resource_id" text null, "id" text not null, "attempt" int not null, "response_status" int null, "response_body" jsonb null, "response_headers" jsonb null, "created_at" timestamptz(3) not null, "finished_at" timestamptz(3) null, primary key ("tenant", "key"))',
  'alter table "idempotency_keys" add constraint "idempotency_keys_id_unique" unique ("id")',
  'create table "marketplaces" ("id" text not null, "name" text not null, "status" text not null default \'ACTIVE\', "default_asset" text not null, "platform_fee_bps" int not null, "payment_provider" text not null, "deadlines" jsonb not null, "approval_threshold" bigint null, "created_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "marketplaces" add constraint "marketplaces_status_check" check ("status" in (\'ACTIVE\', \'PAUSED\'))',
  'alter table "marketplaces" add constraint "marketplaces_payment_provider_check" check ("payment_provider" in (\'crypto-native\', \'external-wallet\'))',
  'create table "milestones" ("order_id" text not null, "index" int not null, "milestone_ref" text not null, "title" text not null, "amount" bigint not null, "seller_id" text not null, "status" text not null, "dispute_id" text null, "completed_at" timestamptz(3) null, "settled_at" timestamptz(3) null, primary key ("order_id", "index"))',
  'alter table "milestones" add constraint "milestones_order_id_milestone_ref_unique" unique ("order_id", "milestone_ref")',
  "alter table \"milestones\" add constraint \"milestones_status_check\" check (\"status\" in ('OPEN', 'COMPLETED', 'DISPUTED', 'RELEASED', 'REFUNDED', 'SPLIT'))",
  'create table "network_cursors" ("network" text not null, "reader" text not null, "cursor" text not null, "ledger" int not null, "updated_at" timestamptz(3) not null, primary key ("network", "reader"))',
  'create table "observed_movements" ("network" text not null, "operation_id" bigint not null, "index" int not null, "kind" text not null, "from_address" text null, "to_address" text null, "asset_code" text not null, "asset_issuer" text null, "amount" bigint not null, "transaction_hash" text not null, "ledger" int not null, "closed_at" timestamptz(3) not null, primary key ("network", "operation_id", "index"))',
  'create index "observed_movements_to_address_operation_id_index" on "observed_movements" ("to_address", "operation_id")',
  'create index "observed_movements_from_address_operation_id_index" on "observed_movements" ("from_address", "operation_id")',
  'create table "orders" ("id" text not null, "marketplace_id" text not null, "client_order_ref" text null, "body_hash" text not null, "buyer_id" text not null, "seller_id" text not null, "amount" bigint not null, "asset" text not null, "title" text not null, "description" text null, "platform_fee_bps" int not null, "auto" boolean not null, "status" text not null, "final_status" text null, "reservation" text null, "waiting_for" text null, "operation" jsonb null, "deadlines" jsonb not null, "due_times" jsonb not null, "due_at" timestamptz(3) null, "due_action" text null, "metadata" jsonb not null, "approved_at" timestamptz(3) null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, "reserved_at" timestamptz(3) null, "funded_at" timestamptz(3) null, "delivered_at" timestamptz(3) null, "closed_at" timestamptz(3) null, primary key ("id"))',
  'create index "orders_marketplace_id_created_at_index" on "orders" ("marketplace_id", "created_at")',
  'create index "orders_buyer_id_index" on "orders" ("buyer_id")',
  'create index "orders_seller_id_index" on "orders" ("seller_id")',
  'alter table "orders" add constraint "orders_marketplace_id_client_order_ref_unique" unique ("marketplace_id", "client_order_ref")',
  "alter table \"orders\" add constraint \"orders_status_check\" check (\"status\" in ('ORDER_CREATED', 'FUNDS_RESERVED', 'ESCROW_CREATING', 'ESCROW_FUNDING', 'ESCROW_FUNDED', 'IN_PROGRESS', 'RELEASE_REQUESTED', 'RELEASED', 'REFUND_REQUESTED', 'REFUNDED', 'DISPUTED', 'CLOSED'))",
  "alter table \"orders\" add constraint \"orders_final_status_check\" check (\"final_status\" in ('RELEASED', 'REFUNDED', 'SPLIT', 'CANCELED', 'EXPIRED'))",
  'alter table "orders" add constraint "orders_reservation_check" check ("reservation" in (\'HELD\', \'UNGUARANTEED\'))',
  "alter table \"orders\" add constraint \"orders_waiting_for_check\" check (\"waiting_for\" in ('DEPOSIT', 'WALLET', 'SIGNATURE', 'PROVIDER', 'RESUME'))",
  "alter table \"orders\" add constraint \"orders_due_action_check\" check (\"due_action\" in ('EXPIRE', 'AUTO_REFUND', 'AUTO_RELEASE', 'DISPUTE_DEFAULT'))",
  'create table "movements" ("network" text not null, "owner_id" text not null, "operation_id" bigint not null, "direction" text not null, "ordinal" int not null, "id" text not null, "asset" text not null, "amount" bigint not null, "counterparty" text null, "kind" text not null, "resource_type" text null, "resource_id" text null, "transaction_hash" text not null, "ledger" int not null, "created_at" timestamptz(3) not null, primary key ("network", "owner_id", "operation_id", "direction", "ordinal", "asset"))',
  'alter table "movements" add constraint "movements_id_unique" unique ("id")',
  'create index "movements_owner_id_ledger_index" on "movements" ("owner_id", "ledger")',
  'create index "movements_transaction_hash_index" on "movements" ("transaction_hash")',
  'alter table "movements" add constraint "movements_direction_check" check ("direction" in (\'IN\', \'OUT\'))',
  "alter table \"movements\" add constraint \"movements_kind_check\" check (\"kind\" in ('DEPOSIT', 'ESCROW', 'WITHDRAWAL', 'ADJUSTMENT', 'UNEXPLAINED'))",
  'create table "resource_counters" ("resource_id" text not null, "version" int not null, "sequence" int not null, primary key ("resource_id"))',
  'create table "settlements" ("order_id" text not null, "transaction_hash" text not null, "ordinal" int not null, "user_id" text not null, "party" text not null, "milestone_ref" text null, "gross" bigint not null, "protocol_fee" bigint not null, "platform_fee" bigint not null, "net" bigint not null, "ledger" int not null, primary key ("order_id", "transaction_hash", "ordinal"))',
  'alter table "settlements" add constraint "settlements_party_check" check ("party" in (\'SELLER\', \'BUYER\'))',
  'create table "source_leases" ("source" text not null, "owner" text not null, "priority" int not null, "queued_at" timestamptz(6) not null, "polled_at" timestamptz(6) not null, "held_at" timestamptz(6) null, primary key ("source", "owner"))',
  'create table "users" ("id" text not null, "marketplace_id" text not null, "external_user_id" text not null, "email" text null, "status" text not null default \'ACTIVE\', "metadata" jsonb not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "users" add constraint "users_marketplace_id_external_user_id_unique" unique ("marketplace_id", "external_user_id")',
  'alter table "users" add constraint "users_status_check" check ("status" in (\'ACTIVE\', \'SUSPENDED\'))',
  'create table "wallets" ("id" text not null, "marketplace_id" text null, "user_id" text null, "kind" text not null, "provider" text not null, "status" text not null, "address" text null, "birth_cursor" text null, "stream_cursor" text null, "batch_id" text null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("id"))',
  'alter table "wallets" add constraint "wallets_address_unique" unique ("address")',
  'create index "wallets_marketplace_id_kind_index" on "wallets" ("marketplace_id", "kind")',
  'create index "wallets_user_id_index" on "wallets" ("user_id")',
  'create index "wallets_status_index" on "wallets" ("status")',
  "alter table \"wallets\" add constraint \"wallets_kind_check\" check (\"kind\" in ('USER', 'FEE', 'OPERATOR', 'RESOLVER', 'CHANNEL', 'SPONSOR'))",
  'alter table "wallets" add constraint "wallets_provider_check" check ("provider" in (\'crypto-native\', \'external-wallet\'))',
  'alter table "wallets" add constraint "wallets_status_check" check ("status" in (\'PROVISIONING\', \'READY\', \'CLOSED\'))',
  'create table "wallet_keys" ("wallet_id" text not null, "public_key" text not null, "ciphertext" text not null, "key_id" text not null, "created_at" timestamptz(3) not null, primary key ("wallet_id"))',
];
