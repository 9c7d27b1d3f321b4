/** Submitting transactions through Horizon: waiting for the ledger, or not. */
import type { IncomingMessage } from 'node:http';
import type { SandboxCore } from '../core/core.ts';
import { readBody } from '../core/http.ts';
import { resultCodes } from '../core/results.ts';
import type { SubmitResult, TransactionRecord } from '../core/types.ts';
import { Problem } from './problem.ts';

/** How long a submission waits for its ledger before it answers 504. */
export const SUBMIT_TIMEOUT_MS = 30_000;

/** The `tx` of a form body. */
export async function readEnvelopeForm(req: IncomingMessage): Promise<string> {
  const type = req.headers['content-type'] ?? '';
  const body = await readBody(req);
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type))
    throw new Problem('unsupported_media_type');
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  const envelope = form.get('tx');
  return typeof envelope === 'string' ? envelope : '';
}

function malformed(envelope: string): Problem {
  const detail = 'The transaction envelope could not be decoded from base64 XDR.';
  return new Problem('transaction_malformed', detail, { envelope_xdr: envelope });
}

function failed(envelope: string, resultXdr: string): Problem {
  const extras = { envelope_xdr: envelope, result_codes: resultCodes(resultXdr), result_xdr: resultXdr };
  return new Problem('transaction_failed', 'The transaction failed when it was submitted to the network.', extras);
}

function timedOut(hash: string, envelope: string): Problem {
  const detail =
    'The transaction was not seen in a ledger in time. It may still be applied: submit the same bytes again.';
  return new Problem('transaction_submission_timeout', detail, { hash, envelope_xdr: envelope });
}

function submit(core: SandboxCore, envelope: string): SubmitResult {
  try {
    return core.submit(envelope);
  } catch {
    throw malformed(envelope);
  }
}

/** Resolves with the transaction once it is in a ledger, or undefined when the time is up. */
export function untilApplied(
  core: SandboxCore,
  hash: string,
  timeoutMs: number,
): Promise<TransactionRecord | undefined> {
  return new Promise((resolve) => {
    const finish = (record: TransactionRecord | undefined): void => {
      clearTimeout(timer);
      stop();
      resolve(record);
    };
    const timer = setTimeout(() => finish(core.transaction(hash)), timeoutMs);
    timer.unref();
    const stop = core.onClose(() => {
      const record = core.transaction(hash);
      if (record !== undefined) finish(record);
    });
  });
}

function settled(record: TransactionRecord, envelope: string): TransactionRecord {
  if (!record.successful) throw failed(envelope, record.resultXdr);
  return record;
}

/**
 * `POST /transactions`: answers when the transaction is in a ledger; idempotent by hash, also after it was applied.
 * @throws Problem 400 for a refused or failed one, 504 when the ledger does not come in time
 */
export async function submitAndWait(
  core: SandboxCore,
  envelope: string,
  timeoutMs: number,
): Promise<TransactionRecord> {
  const outcome = submit(core, envelope);
  const known = core.transaction(outcome.hash);
  if (known !== undefined) return settled(known, envelope);
  if (outcome.status === 'ERROR') throw failed(envelope, outcome.errorResultXdr);
  const record = await untilApplied(core, outcome.hash, timeoutMs);
  if (record === undefined) throw timedOut(outcome.hash, envelope);
  return settled(record, envelope);
}

const ASYNC_STATUS = { PENDING: 201, DUPLICATE: 409, TRY_AGAIN_LATER: 503, ERROR: 400 } as const;

/** `POST /transactions_async`: what core said about it, without waiting. */
export function submitAsync(core: SandboxCore, envelope: string): { status: number; body: object } {
  const outcome = submit(core, envelope);
  const error = outcome.status === 'ERROR' ? { error_result_xdr: outcome.errorResultXdr } : {};
  return { status: ASYNC_STATUS[outcome.status], body: { tx_status: outcome.status, hash: outcome.hash, ...error } };
}
