/**
 * Prepare: hold the source account, get an unsigned envelope for the intent, and hold it against the intent before it is
 * stored. What a provider returns is untrusted input (F18).
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { Intent } from '../../domain/intents.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { VerifiedEnvelope } from '../../providers/escrow/port.ts';
import type { Deps } from '../context.ts';
import { refuse, waitFor, waitForProvider } from '../failure.ts';
import { type Patience, createPatience } from '../escrow/patience.ts';
import { explainRefusal, nudge } from '../escrow/refusal.ts';
import { askForSignature, isLive } from '../signing/requests.ts';
import { acquireLease, releaseLease } from './leases.ts';
import { type StoredTransaction, latestAttempt } from './store.ts';
import { type Target, resolveTarget } from './target.ts';
import { type Accounts, accountsOf, judge, unaccountedNow } from './unaccounted.ts';
import { showWait } from './waiting.ts';

interface PrepareInput {
  readonly intent: Intent;
  readonly step: string;
  readonly operation_id: string | null;
  readonly priority: number;
}

type Prepared = { readonly transaction_id: string } | { readonly signing_request_id: string };

/** Somebody else's transaction from the same source account has to land first: about one ledger. */
const SOURCE_BUSY_MS = 250;
const SOURCE_BUSY_MAX_MS = 4_000;
const WALLET_WAIT_MS = 500;
/** From this attempt on a waiting provider is shown on the order. */
const SHOW_WAIT_AFTER = 3;

export function createPrepareActivity(deps: Deps) {
  const db = pool(deps.orm);
  const patience = createPatience();
  return {
    /**
     * @returns the transaction to sign; one that is signed already is handed back as it is, so that nothing is built
     *   twice for one intent (F1, F15); or the request for a signature that only the user can give
     * @throws ApplicationFailure ENVELOPE_REJECTED, TRUSTLINE_UNUSABLE, INVALID_STATE
     */
    async prepareTransaction(input: PrepareInput): Promise<Prepared> {
      const key = `${activityInfo().workflowExecution?.workflowId ?? ''}/${input.step}`;
      const existing = await latestAttempt(db, key);
      // What was handed out and has not come back is the signing request's.
      if (existing !== null && isLive(existing) && (existing.envelope !== null || existing.status === 'CONFIRMED'))
        return { transaction_id: existing.id };
      const target = await resolveTarget(deps, input.intent, key);
      if (target === null) {
        if ('orderId' in input.intent) await showWait(deps.orm, input.intent.orderId, 'WALLET');
        throw waitFor('WALLET', 'a wallet is not ready yet', WALLET_WAIT_MS);
      }
      const request = await askForSignature(deps, target.call, { key, operationId: input.operation_id });
      if (request !== null) return { signing_request_id: request };
      const ahead = await acquireLease(db, target.source, key, input.priority);
      // Whoever is far back in the queue asks less often: thirty that ask all the time would slow the one that works.
      if (ahead > 0)
        throw waitFor(
          'SOURCE_BUSY',
          `${target.source} is in use`,
          Math.min(ahead * SOURCE_BUSY_MS, SOURCE_BUSY_MAX_MS),
        );
      try {
        // Right after the deploy the gateway's index does not know the contract yet: one nudge saves a refused build.
        if (input.intent.kind === 'FUND_ESCROW' && activityInfo().attempt === 1)
          await nudge(deps, input.intent.orderId);
        const envelope = await target.build();
        const { verdict, ledger } = await target.verify(envelope);
        if (verdict.verdict === 'STALE') throw waitFor('STALE', verdict.reason, SOURCE_BUSY_MS);
        if (verdict.verdict === 'DIFFERENT')
          throw refuse('ENVELOPE_REJECTED', 'the envelope is not what was asked for', {
            differences: verdict.differences,
          });
        const transactionId = await save(deps, { input, key, target, envelope, verified: verdict, ledger, existing });
        patience.over(key);
        return { transaction_id: transactionId };
      } catch (error) {
        throw await translate(deps, patience, { input, target, key }, error);
      }
    },
  };
}

/** A provider's trouble is waited out; its refusal is judged by the chain, never by its words (F21). */
async function translate(
  deps: Deps,
  patience: Patience,
  { input, target, key }: { input: PrepareInput; target: Target; key: string },
  error: unknown,
) {
  const db = pool(deps.orm);
  let failure = error;
  if (error instanceof ProviderError) {
    const { kind, provider, status, message } = error;
    const level = kind === 'THROTTLED' ? 'debug' : 'warn';
    deps.log[level]({ intent_key: key, provider, kind, status, reason: message }, 'provider.refused_to_build');
    if (activityInfo().attempt >= SHOW_WAIT_AFTER && 'orderId' in input.intent)
      await showWait(deps.orm, input.intent.orderId, 'PROVIDER');
    // Whoever waits for the gateway's turn does not keep others from the account meanwhile.
    if (kind === 'THROTTLED') await releaseLease(db, key);
    // What is refused may have been done by transactions that restored rows do not know.
    failure =
      error.kind === 'REFUSED'
        ? ((await unaccountedNow(deps, db, target)) ??
          (await explainRefusal(deps, target, error, patience.refused(key))))
        : waitForProvider(error);
  }
  // Parked or refused without a live envelope: others may use the account.
  if (failure instanceof Error && 'nonRetryable' in failure && failure.nonRetryable === true) {
    patience.over(key);
    await releaseLease(db, key);
  }
  return failure;
}

interface Verified {
  readonly input: PrepareInput;
  readonly key: string;
  readonly target: Target;
  readonly envelope: string;
  readonly verified: VerifiedEnvelope;
  readonly ledger: number;
  readonly existing: StoredTransaction | null;
}

/**
 * One row per attempt: an unsigned one is overwritten, a dead or failed one is followed by the next. Nothing is stored
 * while the chain knows more of the envelope's accounts than the rows do.
 * @throws ApplicationFailure BOOKS_DIFFER
 */
async function save(
  deps: Deps,
  { input, key, target, envelope, verified, ledger, existing }: Verified,
): Promise<string> {
  const again = existing?.status === 'PREPARED' ? existing : null;
  const id = again?.id ?? newId('chainTransaction');
  const contractId = target.call === null ? null : verified.contractId;
  // The contract's id is known before anything is signed: a deploy whose answer is lost is found again (F1). An attempt
  // that comes late, when another envelope is signed, changes neither.
  const { rows } = await sql<Accounts>`
    with accounts as (${accountsOf(target, verified.sequence)}), prepared as (
      insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, marketplace_id, order_id, status,
        source, sequence, max_time, unsigned_envelope, inner_hash, contract_id, signed_ledger, created_at)
      select ${id}, ${key}, ${again?.attempt ?? (existing?.attempt ?? 0) + 1}::int,
        ${JSON.stringify(target.intent ?? input.intent)}::jsonb,
        ${activityInfo().workflowExecution?.workflowId ?? ''}, ${target.marketplaceId}, ${target.orderId}, 'PREPARED',
        ${target.source}, ${verified.sequence}::bigint, ${verified.maxTime}::bigint, ${envelope}, ${verified.hash},
        ${contractId}, ${ledger}::int, now()
      from accounts where not ahead and cardinality(open) = 0
      on conflict (id) do update set intent = excluded.intent, source = excluded.source, sequence = excluded.sequence, max_time = excluded.max_time,
        unsigned_envelope = excluded.unsigned_envelope, inner_hash = excluded.inner_hash,
        contract_id = excluded.contract_id, signed_ledger = excluded.signed_ledger
      where chain_transactions.status = 'PREPARED'
      returning id
    ), named as (
      update escrows set contract_id = ${contractId}
      where order_id = ${target.orderId} and ${input.intent.kind === 'DEPLOY_ESCROW'}
        and exists (select from prepared)
    )
    select * from accounts`.execute(pool(deps.orm));
  const unaccounted = rows[0] === undefined ? null : judge(target, verified.sequence, rows[0]);
  if (unaccounted !== null) throw unaccounted;
  return id;
}
