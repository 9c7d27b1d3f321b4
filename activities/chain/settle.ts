/**
 * Submit, find out, book. The outcome of a saved envelope is a fact of the chain: an accepted submission has not landed,
 * a failed one may have (F14, F15). One look per attempt; between looks nothing is assumed.
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { LEDGERS_IN_QUEUE, raisedBid } from '../../domain/limits.ts';
import type { OrderState } from '../../domain/order/shapes.ts';
import { bidOf, maxLedgerOf } from '../../providers/chain/envelope.ts';
import type { SubmitOutcome } from '../../providers/chain/port.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { ChainOutcome, Underpriced } from '../../workflows/execute-on-chain.ts';
import { bookLanded } from '../booking/index.ts';
import { voidFundingOf } from '../booking/void-funding.ts';
import { lockOrder, stateOf } from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { refuse, waitFor, waitForProvider } from '../failure.ts';
import { type Landed, type Look, findOutAnywhere } from './look.ts';
import { unbookMisread } from './misread.ts';
import { type StoredTransaction, transactionById } from './store.ts';
import { showWait } from './waiting.ts';

/** The same bytes are sent again after this many looks without a trace: a node forgets a queued transaction. */
const RESUBMIT_EVERY = 8;
/** Soon at first, where ledgers are quick; eight looks within the five seconds that a ledger of the network takes. */
const FIRST_WAIT_MS = 120;
const WAIT_GROWTH = 1.35;
const LONGEST_WAIT_MS = 5_000;
/** So often another provider, or the same one later, may still know what this one forgot. */
const UNKNOWABLE_AFTER = 10;
/** Three ledgers: most transactions are booked by then. */
const SHOW_OUTAGE_AFTER = '15 seconds';

export function createSettleActivity(deps: Deps) {
  return {
    /**
     * Ends only when the transaction landed and is booked, is proved dead, or needs a higher bid to get in.
     * @throws ApplicationFailure BOOKS_DIFFER
     */
    async settleTransaction(input: { transaction_id: string }): Promise<ChainOutcome | Underpriced> {
      try {
        return await settle(deps, input.transaction_id);
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        await showOutage(deps, input.transaction_id);
        throw waitForProvider(error);
      }
    },
  };
}

/** A transaction that is long on its way, and nobody there to say where: the order waits for a provider. */
async function showOutage(deps: Deps, id: string): Promise<void> {
  const { rows } = await sql<{ order_id: string }>`
    select order_id from chain_transactions
    where id = ${id} and order_id is not null and booked_at is null
      and signed_at < now() - ${SHOW_OUTAGE_AFTER}::interval`.execute(pool(deps.orm));
  if (rows[0] !== undefined) await showWait(deps.orm, rows[0].order_id, 'PROVIDER');
}

async function settle(deps: Deps, id: string): Promise<ChainOutcome | Underpriced> {
  const stored = await transactionById(pool(deps.orm), id);
  if (stored.bookedAt !== null || stored.status === 'DEAD' || stored.status === 'FAILED') return known(deps, stored);
  const { attempt } = activityInfo();
  const sends = stored.status === 'SIGNED' || (stored.status === 'SUBMITTED' && attempt % RESUBMIT_EVERY === 0);
  // Handed out to be signed, and never signed through us: there is nothing to send.
  const answer = sends && stored.envelope !== null ? await submit(deps, stored) : null;
  const look = await findOutAnywhere(deps, soughtOf(deps, stored));
  if (look.status === 'LANDED')
    return close(deps, stored, look.landed.successful ? 'CONFIRMED' : 'FAILED', look.landed);
  // What was seen in a ledger is not dead because a provider does not know it.
  if (look.status === 'DEAD' && stored.status !== 'CONFIRMED') return close(deps, stored, 'DEAD', null);
  if (look.status === 'PENDING') {
    if (answer !== null && answer.status !== 'TRY_AGAIN_LATER') await markSubmitted(deps, stored, answer, look.ledger);
    if (isUnderpriced(deps, stored, answer, look)) return { status: 'UNDERPRICED', outer_hash: stored.outerHash ?? '' };
  }
  if (look.status === 'UNKNOWABLE' && attempt >= UNKNOWABLE_AFTER) throw await unknowable(deps, stored);
  throw waitFor(
    'PENDING',
    'not in a ledger yet',
    Math.min(LONGEST_WAIT_MS, Math.round(FIRST_WAIT_MS * WAIT_GROWTH ** attempt)),
  );
}

/** What is known of it, for finding out what became of it. */
export const soughtOf = (deps: Deps, stored: StoredTransaction) => ({
  innerHash: stored.innerHash,
  source: stored.source,
  sequence: stored.sequence,
  maxTime: stored.maxTime,
  maxLedger: maxLedgerOf(stored.unsignedEnvelope, deps.network.passphrase),
  signedLedger: stored.signedLedger ?? 0,
});

/** Sends the stored bytes. Whatever the node answers, only a look at the ledger tells the outcome. */
async function submit(deps: Deps, stored: StoredTransaction): Promise<SubmitOutcome> {
  if (stored.envelope === null) throw new Error(`transaction ${stored.id} has no envelope`);
  const answer = await deps.rpc.submit(stored.envelope);
  if (answer.status === 'ERROR')
    deps.log.warn({ transaction_id: stored.id, hash: stored.innerHash, code: answer.code }, 'chain.submission_refused');
  return answer;
}

/** What is marked is not sent again at the next look; a crash before it sends the same bytes once more, which is harmless. */
async function markSubmitted(deps: Deps, stored: StoredTransaction, answer: SubmitOutcome, ledger: number) {
  const taken = answer.status === 'ERROR' ? null : ledger;
  await sql`
    with marked as (
      update chain_transactions set status = 'SUBMITTED' where id = ${stored.id} and status = 'SIGNED'
    )
    update chain_envelopes set sent_ledger = coalesce(sent_ledger, ${taken}) where outer_hash = ${stored.outerHash}`.execute(
    pool(deps.orm),
  );
}

/** Refused for its fee, or in nobody's queue any more while ledgers closed without it; and the cap is not reached. */
function isUnderpriced(
  deps: Deps,
  { sentLedger, envelope }: StoredTransaction,
  answer: SubmitOutcome | null,
  { ledger }: Extract<Look, { status: 'PENDING' }>,
): boolean {
  const refused = answer?.status === 'ERROR' && answer.code === 'txInsufficientFee';
  const passedOver = sentLedger !== null && ledger - sentLedger >= LEDGERS_IN_QUEUE;
  return (refused || passedOver) && envelope !== null && raisedBid(bidOf(envelope, deps.network.passphrase)) !== null;
}

/** For an operator: it may have landed where nobody looks any more. It cannot land again, so others may use its account. */
async function unknowable(deps: Deps, { intentKey, innerHash, signedLedger }: StoredTransaction) {
  await sql`delete from source_leases where owner = ${intentKey}`.execute(pool(deps.orm));
  const detail = { transaction_hash: innerHash, signed_ledger: signedLedger };
  return refuse('BOOKS_DIFFER', 'whether the transaction landed cannot be known: its history is gone', detail);
}

type End = 'CONFIRMED' | 'FAILED' | 'DEAD';

/**
 * The end of a transaction. When the books cannot follow (the chain moved something else than was asked for), it has
 * landed all the same: that is stored, and its source account is free for others, whatever is to be found out here.
 */
async function close(deps: Deps, stored: StoredTransaction, status: End, landed: Landed | null): Promise<ChainOutcome> {
  try {
    return await book(deps, stored, status, landed);
  } catch (error) {
    if (status === 'CONFIRMED' && landed !== null) await markLanded(deps, stored, landed);
    throw error;
  }
}

async function markLanded(deps: Deps, { id }: StoredTransaction, landed: Landed): Promise<void> {
  await sql`
    with landed as (
      update chain_transactions set status = 'CONFIRMED', ledger = ${landed.ledger}, fee_charged = ${landed.feeCharged},
        result_xdr = ${landed.resultXdr}, confirmed_at = now()
      where id = ${id} and status in ('SIGNED', 'SUBMITTED') returning intent_key
    )
    delete from source_leases where owner in (select intent_key from landed)`.execute(pool(deps.orm));
}

/** One transaction: the outcome, the end of the lease, and everything that follows from it in the books. */
async function book(deps: Deps, stored: StoredTransaction, status: End, landed: Landed | null): Promise<ChainOutcome> {
  const booked = await inTransaction(deps.orm, async (trx): Promise<{ state: OrderState | null } | null> => {
    // Another attempt of this activity may have been faster, and the lease may be its successor's by now. The order whose
    // own transaction it is is locked with it: whoever books reads it after that (order-transactions.ts).
    const { rows } = await sql<{ intent_key: string }>`
      with closed as (
        update chain_transactions set status = ${status}, ledger = ${landed?.ledger ?? null},
          fee_charged = ${landed?.feeCharged ?? null}, result_xdr = ${landed?.resultXdr ?? null},
          confirmed_at = now(), booked_at = now()
        where id = ${stored.id} and booked_at is null and status not in ('DEAD', 'FAILED')
        returning intent_key, workflow_id, order_id
      ), freed as (
        delete from source_leases where owner in (select intent_key from closed)
      ), locked as (
        select from orders where id = (select order_id from closed where workflow_id = 'order/' || order_id) for update
      )
      select intent_key from closed left join locked on true`.execute(trx);
    if (rows[0] === undefined) return null;
    // What the envelope held is given back with the proof of its death, not some time after it.
    if (status !== 'CONFIRMED' && stored.intent.kind === 'FUND_ESCROW') await voidFundingOf(trx, stored.intent.orderId);
    // Everywhere it is shown by its inner hash: a raised fee bump would change the outer one.
    const hash = stored.innerHash;
    if (status !== 'CONFIRMED' || landed === null) return { state: await stateNow(trx, stored) };
    const state = await bookLanded(trx, deps, stored, { ...landed, hash });
    // What was known to have landed before it could be booked may stand in the books as somebody else's.
    if (stored.status === 'CONFIRMED') await unbookMisread(trx, stored, landed);
    return { state };
  });
  if (booked === null) return known(deps, await transactionById(pool(deps.orm), stored.id));
  tell(deps, stored, status, landed);
  return status === 'CONFIRMED'
    ? { status: 'LANDED', transaction_hash: stored.innerHash, state: booked.state }
    : deadOutcome(stored, status);
}

/** The one line of a transaction in the log, whatever became of it. */
function tell(
  { log }: Deps,
  { id, innerHash, orderId, intent }: StoredTransaction,
  status: End,
  landed: Landed | null,
) {
  const line = { transaction_id: id, hash: innerHash, kind: intent.kind, order_id: orderId, ledger: landed?.ledger };
  if (status === 'CONFIRMED') log.info(line, 'chain.confirmed');
  else log.warn(line, status === 'FAILED' ? 'chain.failed' : 'chain.dead');
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
