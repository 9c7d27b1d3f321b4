/**
 * Handing out: the envelope is built and held against the intent when the signer opens his request, and stored with its
 * hash and bounds, the money on its way in the books, before he gets it. And taking back: his signature, under our fee.
 */
import { activityInfo } from '@temporalio/activity';
import { sql } from 'kysely';
import { fundSaved } from '../../db/ledger/balances.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { INCLUSION_FEE_BID } from '../../domain/limits.ts';
import { feeBump } from '../../providers/chain/envelope.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { VerifiedEnvelope } from '../../providers/escrow/port.ts';
import { changeOrder, correlation, lockOrder } from '../booking/order-row.ts';
import { type StoredTransaction, latestAttempt, transactionById } from '../chain/store.ts';
import { type Target, resolveTarget } from '../chain/target.ts';
import type { Deps } from '../context.ts';
import { explainRefusal, nudge } from '../escrow/refusal.ts';
import { refuse, waitFor, waitForProvider } from '../failure.ts';
import { asking, assetOf, walletOfUser } from '../payments/user-wallet.ts';
import { type StoredRequest, isLive, lockRequest, originOf, requestById } from './requests.ts';
import { lookingAt } from './requests-watch.ts';
import { signingKey } from './sign.ts';

const WAIT_MS = 500;

interface RequestRef {
  readonly signing_request_id: string;
}

export function createOpenRequestActivity(deps: Deps) {
  return {
    /**
     * Afterwards the row names a transaction that may land: the one that was handed out before, as long as it is not
     * proved dead, else a new one.
     * @throws ApplicationFailure INVALID_STATE, INSUFFICIENT_FUNDS, ENVELOPE_REJECTED, TRUSTLINE_UNUSABLE
     */
    async openSigningRequest({ signing_request_id: id }: RequestRef): Promise<void> {
      const request = await requestById(pool(deps.orm), id);
      if (request.status !== 'PENDING') return;
      const last = await latestAttempt(pool(deps.orm), request.intentKey);
      if (last !== null && isLive(last)) return stillGood(deps, last);
      const target = await resolveTarget(deps, request.intent, request.intentKey);
      if (target?.call == null) throw waitFor('WALLET', 'a wallet is not ready yet', WAIT_MS);
      await checkFunds(deps, request, target.call.escrow);
      try {
        await nudge(deps, request.orderId);
        const envelope = await target.build();
        const { verdict, ledger } = await target.verify(envelope);
        if (verdict.verdict === 'STALE') throw waitFor('STALE', verdict.reason, WAIT_MS);
        if (verdict.verdict === 'DIFFERENT') {
          const { differences } = verdict;
          throw refuse('ENVELOPE_REJECTED', 'the envelope is not what was asked for', { differences });
        }
        await handOut(deps, id, { target, envelope, verified: verdict, ledger });
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        throw error.kind === 'REFUSED'
          ? await explainRefusal(deps, target, error, activityInfo().attempt)
          : waitForProvider(error);
      }
    },
  };
}

/** Nobody is handed what can no longer land: the workflow proves it dead, and the next attempt builds another one. */
async function stillGood(deps: Deps, stored: StoredTransaction): Promise<void> {
  if (stored.envelope !== null || stored.status === 'CONFIRMED') return;
  const look = await lookingAt(deps, stored);
  if (look.status !== 'PENDING') throw waitFor('PENDING', 'what was handed out is being settled', WAIT_MS);
}

/** Said in words before anything is built: the contract would refuse it in a way that nobody understands. */
async function checkFunds(deps: Deps, request: StoredRequest, escrow: { asset: string; amount: bigint }) {
  const { wallet, provider } = await walletOfUser(pool(deps.orm), deps, request.userId);
  const { available } = await asking(() => provider.getBalance(wallet, assetOf(deps, escrow.asset)));
  if (available < escrow.amount)
    throw refuse('INSUFFICIENT_FUNDS', `the wallet of the user holds less ${escrow.asset} than the order amount`);
}

interface Built {
  readonly target: Target;
  readonly envelope: string;
  readonly verified: VerifiedEnvelope;
  readonly ledger: number;
}

/** One transaction: the row by which it is found again, and what it may move. Somebody who was faster wins. */
async function handOut(deps: Deps, requestId: string, { target, envelope, verified, ledger }: Built): Promise<void> {
  await inTransaction(deps.orm, async (trx) => {
    const order = await lockOrder(trx, target.orderId ?? '');
    const request = await lockRequest(trx, requestId);
    const last = await latestAttempt(trx, request.intentKey);
    if (request.status !== 'PENDING' || isLive(last)) return;
    if (request.expiresAt <= new Date()) throw refuse('INVALID_STATE', 'the request has expired');
    const { operation } = order;
    if (operation === null || operation.id !== request.operationId || operation.status !== 'RUNNING')
      throw refuse('INVALID_STATE', 'the order does not wait for this signature now');
    const id = newId('chainTransaction');
    await sql`
      with built as (
        insert into chain_transactions (id, intent_key, attempt, intent, workflow_id, marketplace_id, order_id, status,
          source, sequence, max_time, unsigned_envelope, inner_hash, contract_id, signed_ledger, created_at, signed_at)
        values (${id}, ${request.intentKey}, ${(last?.attempt ?? 0) + 1}, ${JSON.stringify(request.intent)},
          ${correlation().workflowId}, ${target.marketplaceId}, ${target.orderId}, 'SUBMITTED', ${target.source},
          ${verified.sequence}, ${verified.maxTime}, ${envelope}, ${verified.hash}, ${verified.contractId}, ${ledger},
          now(), now())
      )
      update signing_requests set transaction_id = ${id}, updated_at = now() where id = ${requestId}`.execute(trx);
    await bookHandOut(trx, target, id);
    const patch = { operation: { ...operation, step: 'handed_out', transaction_hash: verified.hash } };
    await changeOrder(trx, order, patch, originOf(order));
  });
}

async function bookHandOut(trx: Sql, { call }: Target, transactionId: string): Promise<void> {
  if (call === null) throw new TypeError('only a call of an escrow is handed out');
  const { escrow, order } = call;
  await fundSaved(
    trx,
    { workflowId: correlation().workflowId, step: 'fund-saved', updateId: transactionId },
    {
      marketplaceId: order.marketplaceId,
      asset: escrow.asset,
      escrowId: escrow.id,
      funder: 'EXTERNAL',
      amount: escrow.amount,
    },
  );
}

interface SignatureInput extends RequestRef {
  /** base64, as the user's wallet handed it in */
  readonly signed_envelope: string;
}

export function createAcceptSignatureActivity(deps: Deps) {
  return {
    /**
     * Takes the signature over what was handed out, and puts the sponsor's fee bump around it. Repeatable.
     * @throws ApplicationFailure VALIDATION_ERROR (`/signed_envelope`), INVALID_STATE when nothing is handed out
     */
    async acceptSignature({ signing_request_id, signed_envelope }: SignatureInput): Promise<void> {
      const db = pool(deps.orm);
      const request = await requestById(db, signing_request_id);
      const stored = request.transactionId === null ? null : await transactionById(db, request.transactionId);
      if (stored === null || !isLive(stored))
        throw refuse('INVALID_STATE', 'no envelope of this request can land now: get it again and sign that');
      const { wallet, provider } = await walletOfUser(db, deps, request.userId);
      const signature = await asking(() =>
        provider.signEscrowTransaction({
          wallet: { id: wallet.id, address: stored.source },
          envelope: stored.unsignedEnvelope,
          signedEnvelope: signed_envelope,
        }),
      );
      if (signature.status === 'PENDING') throw refuse('INVALID_STATE', 'the signature is not complete');
      const { sponsor } = deps;
      if (sponsor === null) throw new Error('this worker has no sponsor key');
      const outer = feeBump(signature.envelope, deps.network.passphrase, signingKey(sponsor), {
        maxFeePerOp: INCLUSION_FEE_BID,
      });
      await inTransaction(deps.orm, async (trx) => {
        const order = await lockOrder(trx, request.orderId);
        // SIGNED: it is ours to send now. Whoever signed twice sent the same.
        const { rows } = await sql<{ id: string }>`
          update chain_transactions set status = 'SIGNED' where id = ${stored.id} and status = 'SUBMITTED'
            and not exists (select from chain_envelopes where transaction_id = ${stored.id}) returning id`.execute(trx);
        if (rows[0] === undefined) return;
        await sql`
          insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at)
          values (${outer.hash}, ${stored.id}, ${outer.envelope}, now())`.execute(trx);
        const operation = order.operation === null ? {} : { operation: { ...order.operation, step: 'signed' } };
        await changeOrder(trx, order, { waitingFor: null, ...operation }, originOf(order));
      });
    },
  };
}
