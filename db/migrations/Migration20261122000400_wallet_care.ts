import { Migration } from '@mikro-orm/migrations';

/** Wallets that are being closed, when their trustlines were looked at, and what the sponsor has left. */
export class Migration20261122000400_wallet_care extends Migration {
  override async up(): Promise<void> {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

const STATEMENTS = [
  'alter table "wallets" add column "closing_at" timestamptz(3) null, add column "checked_at" timestamptz(3) null, add column "repairs" int not null default 0',
  // Only what reconcile asks next: the longest not looked at.
  `create index wallets_to_check on wallets (checked_at nulls first, id) where status = 'READY' and provider = 'crypto-native'`,
  // Deploys that have chosen their channel and may not stand in its queue yet.
  `create index orders_being_deployed on orders (id) where status = 'ESCROW_CREATING'`,
  'create table "sponsor_balances" ("network" text not null, "address" text not null, "available" bigint not null, "burn_per_day" bigint not null, "ledger" int not null, "at" timestamptz(3) not null, primary key ("network"))',
  // Rows are written in the order of their time: fees of the last days without an index that every insert pays for.
  'create index chain_transactions_created on chain_transactions using brin (created_at)',
  'grant select, insert, update, delete on sponsor_balances to orchestrator_app',
];
