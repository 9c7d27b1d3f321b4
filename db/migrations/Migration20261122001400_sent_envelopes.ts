import { Migration } from '@mikro-orm/migrations';

/** When a node took an envelope: the clock by which one that does not land gets a higher bid. */
export class Migration20261122001400_sent_envelopes extends Migration {
  override up(): void {
    this.addSql('alter table "chain_envelopes" add column "sent_ledger" int null');
  }
}
