/**
 * Submit, find out, book. The outcome of a saved envelope is a fact of the chain: an accepted submission has not landed,
 * a failed one may have (F14, F15). One look per attempt; between looks nothing is assumed.
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { isDead } from '../../domain/proof-of-death.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import type { TransactionOutcome } from '../../providers/chain/port.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { ChainOutcome } from '../../workflows/execute-on-chain.ts';
import { bookLanded } from '../booking/index.ts';
import { voidFundingOf } from '../booking/void-funding.ts';
import { lockOrder, stateOf } from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { waitFor } from '../failure.ts';
import { type StoredTransaction, transactionById } from './store.ts';

export type Landed = Extract<TransactionOutcome, { status: 'LANDED' }>;

/** The same bytes are sent again after this many looks without a trace: a node forgets a queued transaction. */
const RESUBMIT_EVERY = 8;
const FIRST_WAITS_MS = 400;
const LONGEST_WAIT_MS = 5_000;

export function createSettleActivity(deps: Deps) {
  return {
    /** Ends only when the transaction landed and is booked, or is proved dead. @throws ApplicationFailure BOOKS_DIFFER */
    async settleTransaction(input: { transaction_id: string }): Promise<ChainOutcome> {
      try {
        return await settle(deps, input.transaction_id);
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        throw waitFor('PROVIDER', `${error.provider}: ${error.message}`, error.retryAfterMs ?? undefined);
      }
    },
  };
}

async function settle(deps: Deps, id: string): Promise<ChainOutcome> {
  const stored = await transactionById(pool(deps.orm), id);
  if (stored.bookedAt !== null || stored.status === 'DEAD' || stored.status === 'FAILED') return known(deps, stored);
  const { attempt } = activityInfo();
  const queued = (stored.status === 'SIGNED' || attempt % RESUBMIT_EVERY === 0) && (await submit(deps, stored));
  const outcome = await look(deps, stored);
  if (queued && outcome === null) await markSubmitted(deps, stored.id);
  if (outcome === null)
    throw waitFor('PENDING', 'not in a ledger yet', Math.min(LONGEST_WAIT_MS, FIRST_WAITS_MS + attempt * 60));
  if (outcome === 'DEAD') return close(deps, stored, 'DEAD', null);
  return close(deps, stored, outcome.successful ? 'CONFIRMED' : 'FAILED', outcome);
}

/** Sends the stored bytes. Whatever the node answers, only a look at the ledger tells the outcome. @returns whether it took them */
async function submit(deps: Deps, stored: StoredTransaction): Promise<boolean> {
  if (stored.envelope === null) throw new Error(`transaction ${stored.id} has no envelope`);
  const answer = await deps.rpc.submit(stored.envelope);
  if (answer.status === 'ERROR')
    deps.log.warn({ transaction_id: stored.id, hash: stored.innerHash, code: answer.code }, 'chain.submission_refused');
  return answer.status !== 'TRY_AGAIN_LATER';
}

/** What is marked is not sent again at the next look; a crash before it sends the same bytes once more, which is harmless. */
async function markSubmitted(deps: Deps, id: string): Promise<void> {
  await sql`update chain_transactions set status = 'SUBMITTED' where id = ${id} and status = 'SIGNED'`.execute(
    pool(deps.orm),
  );
}

/** Null: neither landed nor proved dead. */
async function look(deps: Deps, stored: StoredTransaction): Promise<Landed | 'DEAD' | null> {
  const first = await deps.rpc.transaction(stored.innerHash);
  if (first.status === 'LANDED') return first;
  const account = await deps.rpc.account(stored.source);
  // A sequence number that is used proves nothing but at a ledger in which ours is known to be absent: one more look.
  const used = account.value !== null && account.value.sequence >= stored.sequence;
  const outcome = used ? await deps.rpc.transaction(stored.innerHash) : first;
  if (outcome.status === 'LANDED') return outcome;
  const dead = isDead({
    absentAt: { ledger: outcome.latestLedger, closedAt: outcome.latestClosedAt, oldestLedger: outcome.oldestLedger },
    signedLedger: stored.signedLedger ?? Number.POSITIVE_INFINITY,
    maxTime: stored.maxTime,
    sequence: stored.sequence,
    source: { ledger: account.ledger, sequence: account.value?.sequence ?? null },
  });
  return dead ? 'DEAD' : null;
}

/** One transaction: the outcome, the end of the lease, and everything that follows from it in the books. */
async function close(
  deps: Deps,
  stored: StoredTransaction,
  status: 'CONFIRMED' | 'FAILED' | 'DEAD',
  landed: Landed | null,
): Promise<ChainOutcome> {
  const state = await inTransaction(deps.orm, async (trx): Promise<OrderState | null> => {
    // Another attempt of this activity may have been faster, and the lease may be its successor's by now.
    const { rows } = await sql<{ intent_key: string }>`
      with closed as (
        update chain_transactions set status = ${status}, ledger = ${landed?.ledger ?? null},
          fee_charged = ${landed?.feeCharged ?? null}, result_xdr = ${landed?.resultXdr ?? null},
          confirmed_at = now(), booked_at = now()
        where id = ${stored.id} and booked_at is null and status not in ('DEAD', 'FAILED') returning intent_key
      ), freed as (
        delete from source_leases where owner in (select intent_key from closed)
      )
      select intent_key from closed`.execute(trx);
    if (rows[0] === undefined) return stateNow(trx, stored);
    // What the envelope held is given back with the proof of its death, not some time after it.
    if (status !== 'CONFIRMED' && stored.intent.kind === 'FUND_ESCROW') await voidFundingOf(trx, stored.intent.orderId);
    // Everywhere it is shown by its inner hash: a raised fee bump would change the outer one.
    return status === 'CONFIRMED' && landed !== null
      ? bookLanded(trx, deps, stored, { ...landed, hash: stored.innerHash })
      : stateNow(trx, stored);
  });
  return status === 'CONFIRMED'
    ? { status: 'LANDED', transaction_hash: stored.innerHash, state }
    : deadOutcome(stored, status);
}

async function known(deps: Deps, stored: StoredTransaction): Promise<ChainOutcome> {
  if (stored.status === 'DEAD' || stored.status === 'FAILED') return deadOutcome(stored, stored.status);
  const state = await inTransaction(deps.orm, (trx) => stateNow(trx, stored));
  return { status: 'LANDED', transaction_hash: stored.innerHash, state };
}

const deadOutcome = (stored: StoredTransaction, status: 'DEAD' | 'FAILED'): ChainOutcome => ({
  status: 'DEAD',
  transaction_hash: stored.innerHash,
  reason: status === 'DEAD' ? 'ENVELOPE_EXPIRED' : 'TRANSACTION_FAILED',
  detail:
    status === 'DEAD'
      ? 'the transaction was not taken in time and can no longer land'
      : 'the transaction is in a ledger with a failed result: it had no effect',
});

async function stateNow(trx: Sql, stored: StoredTransaction): Promise<OrderState | null> {
  return stored.orderId === null ? null : stateOf(await lockOrder(trx, stored.orderId));
}
