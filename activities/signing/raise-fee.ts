/**
 * A higher bid for a transaction that the network passes over: the same signed transaction under a new fee bump. Only one
 * of the two can land, and it is found by the hash of what is inside.
 */
import { sign as ed25519 } from 'node:crypto';
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import { raisedBid } from '../../domain/limits.ts';
import { bidOf, raisedFeeBump } from '../../providers/chain/envelope.ts';
import { transactionById } from '../chain/store.ts';
import type { Deps } from '../context.ts';

export function createRaiseFeeActivity(deps: Deps) {
  return {
    /**
     * Does nothing when the newest envelope is not the one that was found too cheap (a repeat), when it bids as much as
     * it may, or when the transaction is over.
     * @param input.outer_hash the envelope that was not taken
     */
    async raiseFee(input: { transaction_id: string; outer_hash: string }): Promise<void> {
      const { sponsor } = deps;
      if (sponsor === null) throw new Error('this worker has no sponsor key');
      const db = pool(deps.orm);
      const { passphrase } = deps.network;
      const { id, innerHash, envelope, outerHash } = await transactionById(db, input.transaction_id);
      if (envelope === null || outerHash !== input.outer_hash) return;
      const bid = raisedBid(bidOf(envelope, passphrase));
      if (bid === null) return;
      const { publicKey, key } = sponsor;
      const payer = { publicKey, sign: (hash: Uint8Array) => ed25519(null, hash, key) };
      const raised = raisedFeeBump(envelope, passphrase, payer, bid);
      // SIGNED again: nobody is known to have taken the new envelope.
      await sql`
        with open as (
          update chain_transactions set status = 'SIGNED' where id = ${id} and status in ('SIGNED', 'SUBMITTED')
          returning id
        )
        insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at)
        select ${raised.hash}, id, ${raised.envelope}, clock_timestamp() from open
        on conflict do nothing`.execute(db);
      deps.log.warn({ transaction_id: id, hash: innerHash, bid_stroops: bid.toString() }, 'chain.fee_raised');
    },
  };
}
