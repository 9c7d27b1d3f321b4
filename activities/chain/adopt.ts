/**
 * Adopting: a transaction that is in a ledger, and that the rows do not know because they were restored to a time before
 * it, is taken over for the step that would have sent it. Nobody's word is believed: it is read from the chain and held
 * against the intent like an envelope before its signature. Stored as landed, it is booked the usual way.
 */
import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { fundSaved } from '../../db/ledger/balances.ts';
import { mirror } from '../../db/ledger/mirror.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { Intent } from '../../domain/intents.ts';
import { type Unsigned, unsigned } from '../../providers/chain/envelope.ts';
import { ProviderError } from '../../providers/errors.ts';
import { funderOf } from '../booking/funder.ts';
import { correlation, escrowOf, lockOrder } from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { refuse, waitForProvider } from '../failure.ts';
import { isLive } from '../signing/requests.ts';
import { paymentSigned } from '../withdrawals/operation.ts';
import { type Landed, findLanded } from './look.ts';
import { type Match, matchLanded } from './match.ts';
import { movedBy, movedInTheNameOf } from './misread.ts';
import { type StoredTransaction, latestAttempt, transactionById } from './store.ts';
import { settleKnown } from './unaccounted.ts';

interface AdoptInput {
  /** the parked operation's transactions in their order: the first that is not booked is meant */
  readonly parts: readonly { readonly step: string; readonly intent: Intent }[];
  /** hex, inner or outer */
  readonly transaction_hash: string;
  /** why the operator does it */
  readonly reason: string | null;
}

/** Whoever asked waits for it, and so does every other repair: what fails for longer is tried again with the next request. */
const ATTEMPTS = 4;

export function createAdoptActivity(deps: Deps) {
  return {
    /**
     * Afterwards the step finds its transaction landed. A repeat changes nothing.
     * @throws ApplicationFailure VALIDATION_ERROR when the transaction is nowhere, failed, or does something else;
     *   INVALID_STATE when it is another step's, or another one of this step may still land; UNAVAILABLE; INTERNAL_ERROR
     */
    async adoptTransaction(input: AdoptInput): Promise<void> {
      try {
        await adopt(deps, { ...input, transaction_hash: input.transaction_hash.toLowerCase() });
      } catch (error) {
        if (error instanceof ApplicationFailure && error.nonRetryable === true) throw error;
        if (activityInfo().attempt >= ATTEMPTS) throw givenUp(deps, error);
        throw error instanceof ProviderError ? waitForProvider(error) : error;
      }
    },
  };
}

function givenUp({ log }: Pick<Deps, 'log'>, error: unknown): ApplicationFailure {
  if (error instanceof ProviderError) return refuse('UNAVAILABLE', `${error.provider} does not answer now`);
  if (error instanceof ApplicationFailure) return refuse('UNAVAILABLE', error.message);
  log.error({ workflow_id: correlation().workflowId, reason: String(error) }, 'chain.not_adopted');
  return refuse('INTERNAL_ERROR', 'it cannot be taken over now');
}

async function adopt(deps: Deps, input: AdoptInput): Promise<void> {
  const db = pool(deps.orm);
  const { workflowId } = correlation();
  const part = await firstUnbooked(db, workflowId, input.parts);
  if (part === null) throw refuse('INVALID_STATE', 'every transaction of this operation is booked');
  const key = `${workflowId}/${part.step}`;
  const known = await knownAs(db, [input.transaction_hash]);
  // Ours as far as the rows go back: settling finds out what became of it.
  if (known !== null && known.intentKey === key && isLive(known)) return;
  demandUnknown(known, key);
  const landed = await findLanded(deps, input.transaction_hash);
  if (landed === null) throw wrong('no provider knows the transaction');
  if (!landed.successful) throw wrong('the transaction failed: it had no effect');
  const inner = unsigned(landed.envelope, deps.network.passphrase);
  if (inner.hash !== input.transaction_hash && inner.outerHash !== input.transaction_hash)
    throw new ProviderError('MALFORMED', 'horizon', `${inner.hash} instead of ${input.transaction_hash}`);
  const match = await matchLanded(deps, part.intent, inner);
  await takeOver(deps, { input, key, landed, inner, match });
  deps.log.warn({ workflow_id: workflowId, step: part.step, hash: inner.hash }, 'chain.adopted');
}

const wrong = (detail: string, more: Record<string, unknown> = {}) =>
  refuse('VALIDATION_ERROR', detail, { errors: [{ pointer: '/transaction_hash', code: 'VALUE', detail }], ...more });

async function firstUnbooked(db: Sql, workflowId: string, parts: AdoptInput['parts']) {
  for (const part of parts) {
    const latest = await latestAttempt(db, `${workflowId}/${part.step}`);
    if (latest?.status !== 'CONFIRMED' || latest.bookedAt === null) return part;
  }
  return null;
}

type Known = Pick<StoredTransaction, 'id' | 'intentKey' | 'status'>;

async function knownAs(db: Sql, hashes: readonly string[]): Promise<Known | null> {
  const { rows } = await sql<Known>`
    select id, intent_key as "intentKey", status from chain_transactions
    where inner_hash = any(${[...hashes]}::text[])
      or id in (select transaction_id from chain_envelopes where outer_hash = any(${[...hashes]}::text[]))
    limit 1`.execute(db);
  return rows[0] ?? null;
}

/** A row of its own that was never signed, as far as it knows, may be one that was restored. */
function demandUnknown(known: Known | null, key: string): void {
  if (known === null || (known.intentKey === key && known.status === 'PREPARED')) return;
  throw refuse('INVALID_STATE', `the transaction is known: ${known.intentKey}, ${known.status}`, {
    step: known.intentKey,
    transaction_status: known.status,
  });
}

interface Taken {
  readonly input: AdoptInput;
  readonly key: string;
  readonly landed: Landed;
  readonly inner: Unsigned;
  readonly match: Match;
}

/** One transaction: the row, and what signing would have written; the unknown transaction is accounted for. */
async function takeOver(deps: Deps, taken: Taken): Promise<void> {
  const { input, key, landed, inner, match } = taken;
  await inTransaction(deps.orm, async (trx) => {
    const { intent, orderId } = match;
    const order = orderId === null ? null : await lockOrder(trx, orderId);
    const latest = await latestAttempt(trx, key);
    if (latest?.innerHash === inner.hash && isLive(latest)) return;
    if (isLive(latest))
      throw refuse('INVALID_STATE', 'another transaction of this step may land', {
        transaction_hash: latest?.innerHash,
        retryable: true,
      });
    demandUnknown(await knownAs(trx, [inner.hash]), key);
    const id = await save(trx, taken, latest);
    const hashes = inner.outerHash === null ? [inner.hash] : [inner.hash, inner.outerHash];
    const moved = await movedBy(trx, { transactionId: id, hashes, landed });
    // What left our wallet was a loss as long as nobody knew why.
    await mirror(trx, { ...moved, codes: ['UNEXPLAINED'] });
    await movedInTheNameOf(trx, hashes, intent);
    if (intent.kind === 'DEPLOY_ESCROW')
      await sql`update escrows set contract_id = ${match.contractId} where order_id = ${orderId}`.execute(trx);
    if (intent.kind === 'PAY') await paymentSigned(trx, intent.payment.id, await transactionById(trx, id));
    if (intent.kind === 'FUND_ESCROW' && order !== null) {
      const { id: escrowId, asset, amount } = escrowOf(order);
      await fundSaved(
        trx,
        { workflowId: correlation().workflowId, step: 'fund-saved', updateId: id },
        { marketplaceId: order.marketplaceId, asset, escrowId, funder: await funderOf(trx, deps, order), amount },
      );
    }
    await settleKnown(trx, inner.hash, input.reason ?? `adopted by ${key}`);
  });
}

/** In place of what was only prepared, else as the next attempt. @throws when another attempt was faster: repeated */
async function save(trx: Sql, { key, landed, inner, match }: Taken, latest: StoredTransaction | null) {
  const again = latest?.status === 'PREPARED' ? latest : null;
  const id = again?.id ?? newId('chainTransaction');
  const { rows } = await sql<{ id: string }>`
    insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, marketplace_id, order_id, status, source,
      sequence, max_time, unsigned_envelope, inner_hash, contract_id, signed_ledger, ledger, fee_charged, result_xdr,
      created_at, signed_at, confirmed_at)
    values (${id}, ${key}, ${again?.attempt ?? (latest?.attempt ?? 0) + 1}, ${JSON.stringify(match.intent)},
      ${correlation().workflowId}, ${match.marketplaceId}, ${match.orderId}, 'CONFIRMED', ${inner.source},
      ${inner.sequence}, ${inner.maxTime}, ${inner.envelope}, ${inner.hash}, ${match.contractId}, ${landed.ledger},
      ${landed.ledger}, ${landed.feeCharged}, ${landed.resultXdr}, now(), now(), now())
    on conflict (id) do update set intent = excluded.intent, status = excluded.status, source = excluded.source,
      sequence = excluded.sequence, max_time = excluded.max_time, unsigned_envelope = excluded.unsigned_envelope,
      inner_hash = excluded.inner_hash, contract_id = excluded.contract_id, signed_ledger = excluded.signed_ledger,
      ledger = excluded.ledger, fee_charged = excluded.fee_charged, result_xdr = excluded.result_xdr,
      signed_at = excluded.signed_at, confirmed_at = excluded.confirmed_at
    where chain_transactions.status = 'PREPARED'
    returning id`.execute(trx);
  if (rows[0] === undefined) throw refuse('INVALID_STATE', 'the step is being signed', { retryable: true });
  // By the outer hash streams know it.
  if (inner.outerHash !== null)
    await sql`
      insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at, sent_ledger)
      values (${inner.outerHash}, ${id}, ${landed.envelope}, now(), ${landed.ledger})`.execute(trx);
  return id;
}
