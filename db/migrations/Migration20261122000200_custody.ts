import { Migration } from '@mikro-orm/migrations';

/** Wallet keys by their key-encryption key: rotation walks along it in batches, the boot canary takes one of each. */
export class Migration20261122000200_custody extends Migration {
  override up(): void {
    this.addSql('create index "wallet_keys_key_id_wallet_id_index" on "wallet_keys" ("key_id", "wallet_id")');
  }
}
