/** Watching a signing request: what its workflow has to do now, and when to look again. */
import { sql } from 'kysely';
import { inTransaction, pool } from '../../db/sql.ts';
import type { Reason } from '../../domain/reasons.ts';
import { ProviderError } from '../../providers/errors.ts';
import { readOrder } from '../booking/order-row.ts';
import { type Look, findOutAnywhere } from '../chain/look.ts';
import { soughtOf } from '../chain/settle.ts';
import { type StoredTransaction, transactionById } from '../chain/store.ts';
import type { Deps } from '../context.ts';
import { waitForProvider } from '../failure.ts';
import { isLive, lockRequest, recordSigning, requestById } from './requests.ts';

/** What was handed out may land at any time: by a signature that went past us. */
const HANDED_OUT_LOOK_MS = 30_000;
/** A timer need not be longer: then it is looked again. */
const LOOK_MAX_MS = 24 * 3_600_000;

type SigningState =
  /** nobody has signed, and it is not over */
  | { readonly status: 'WAITING'; readonly handed_out: boolean; readonly look_in_ms: number }
  /** signed, or landed without us, or proved dead: settling tells which */
  | { readonly status: 'SETTLE'; readonly transaction_id: string }
  | {
      readonly status: 'OVER';
      readonly reason: Reason;
      readonly detail: string;
      readonly transaction_hash: string | null;
    };

export function createWatchRequestActivity(deps: Deps) {
  return {
    /** @param input.abandoned end it unless something that was handed out may still land */
    async watchSigningRequest(input: { signing_request_id: string; abandoned: boolean }): Promise<SigningState> {
      const request = await requestById(pool(deps.orm), input.signing_request_id);
      const stored =
        request.transactionId === null ? null : await transactionById(pool(deps.orm), request.transactionId);
      if (stored === null || !isLive(stored)) return restOrEnd(deps, input, stored);
      if (stored.envelope !== null || stored.status === 'CONFIRMED')
        return { status: 'SETTLE', transaction_id: stored.id };
      return lookAt(deps, stored);
    },
  };
}

async function lookAt(deps: Deps, stored: StoredTransaction): Promise<SigningState> {
  const look = await lookingAt(deps, stored);
  return look.status === 'PENDING'
    ? { status: 'WAITING', handed_out: true, look_in_ms: HANDED_OUT_LOOK_MS }
    : { status: 'SETTLE', transaction_id: stored.id };
}

/** What became of what was handed out. */
export async function lookingAt(deps: Deps, stored: StoredTransaction): Promise<Look> {
  try {
    return await findOutAnywhere(deps, soughtOf(deps, stored));
  } catch (error) {
    if (error instanceof ProviderError) throw waitForProvider(error);
    throw error;
  }
}

/** Nothing that was handed out can land: the request waits on, or ends. */
async function restOrEnd(
  deps: Deps,
  { signing_request_id: id, abandoned }: { signing_request_id: string; abandoned: boolean },
  last: StoredTransaction | null,
): Promise<SigningState> {
  return inTransaction(deps.orm, async (trx) => {
    const request = await lockRequest(trx, id);
    // Somebody opened it between our look and the lock: it lives.
    if (request.transactionId !== (last?.id ?? null)) return { status: 'WAITING', handed_out: true, look_in_ms: 0 };
    const left = request.expiresAt.getTime() - Date.now();
    const [reason, detail] =
      last?.status === 'FAILED'
        ? (['TRANSACTION_FAILED', 'the transaction that the user signed is in a ledger with a failed result'] as const)
        : abandoned
          ? (['CANCELED', 'canceled before anything was signed'] as const)
          : (['ENVELOPE_EXPIRED', 'nobody signed in time'] as const);
    if (request.status === 'PENDING' && last?.status !== 'FAILED' && !abandoned && left > 0)
      return { status: 'WAITING', handed_out: false, look_in_ms: Math.min(left + 1, LOOK_MAX_MS) };
    if (request.status === 'PENDING') {
      await sql`update signing_requests set status = 'EXPIRED', updated_at = now() where id = ${id}`.execute(trx);
      await recordSigning(trx, await readOrder(trx, request.orderId), id, 'signing.expired', { reason });
    }
    return { status: 'OVER', reason, detail, transaction_hash: last?.innerHash ?? null };
  });
}
