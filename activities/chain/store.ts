/** `chain_transactions` as the three activities of the chain step read and write it. */
import { sql } from 'kysely';
import type { Sql } from '../../db/sql.ts';
import type { Intent } from '../../domain/intents.ts';
import type { ChainTransactionStatus } from '../../domain/statuses.ts';
import { refuse } from '../failure.ts';

export interface StoredTransaction {
  readonly id: string;
  readonly intentKey: string;
  readonly attempt: number;
  readonly intent: Intent;
  readonly status: ChainTransactionStatus;
  readonly source: string;
  readonly sequence: bigint;
  /** unix seconds on chain time */
  readonly maxTime: bigint;
  readonly unsignedEnvelope: string;
  readonly innerHash: string;
  readonly contractId: string | null;
  readonly orderId: string | null;
  readonly signedLedger: number | null;
  readonly ledger: number | null;
  readonly resultXdr: string | null;
  readonly bookedAt: Date | null;
  /** whether its intent may use the source now: what is not signed yet may have lost it to somebody else */
  readonly holdsSource: boolean;
  /** the newest outer envelope, base64; null before signing */
  readonly envelope: string | null;
  readonly outerHash: string | null;
  /** latest ledger when a node was first known to have taken that envelope */
  readonly sentLedger: number | null;
}

const SELECT = sql`
  select t.id, t.intent_key as "intentKey", t.attempt, t.intent, t.status, t.source, t.sequence, t.max_time as "maxTime",
    t.unsigned_envelope as "unsignedEnvelope", t.inner_hash as "innerHash", t.contract_id as "contractId",
    t.order_id as "orderId", t.signed_ledger as "signedLedger", t.ledger, t.result_xdr as "resultXdr",
    t.booked_at as "bookedAt", exists (select from source_leases l where l.source = t.source and l.owner = t.intent_key
      and l.held_at is not null) as "holdsSource", e.envelope, e.outer_hash as "outerHash", e.sent_ledger as "sentLedger"
  from chain_transactions t left join lateral (
    select * from chain_envelopes where transaction_id = t.id order by created_at desc limit 1) e on true`;

type Raw = Omit<StoredTransaction, 'sequence' | 'maxTime'> & { sequence: string; maxTime: string };

const typed = (row: Raw): StoredTransaction => ({
  ...row,
  sequence: BigInt(row.sequence),
  maxTime: BigInt(row.maxTime),
});

/** The newest attempt at an intent, or null. */
export async function latestAttempt(db: Sql, intentKey: string): Promise<StoredTransaction | null> {
  const { rows } = await sql<Raw>`${SELECT} where t.intent_key = ${intentKey} order by t.attempt desc limit 1`.execute(
    db,
  );
  return rows[0] === undefined ? null : typed(rows[0]);
}

/** @throws ApplicationFailure BOOKS_DIFFER when there is none: the rows were restored to a time before it */
export async function transactionById(db: Sql, id: string): Promise<StoredTransaction> {
  const { rows } = await sql<Raw>`${SELECT} where t.id = ${id}`.execute(db);
  if (rows[0] === undefined) throw refuse('BOOKS_DIFFER', `the rows do not know transaction ${id}`);
  return typed(rows[0]);
}
