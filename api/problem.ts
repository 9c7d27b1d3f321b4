/** Everything that goes wrong, as a problem document (RFC 9457). */
import { REASON_TABLE } from '../domain/reasons.ts';
import { Refusal, Unavailable } from '../domain/refusal.ts';
import { NotRunning } from '../workflows/client.ts';
import { type Answer, BASE_PATH } from './route.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** SQLSTATEs and socket errors that say that the database cannot be reached now (F53). */
const DATABASE_DOWN = /^(08...|57P0[1-3]|53[34]00|ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EPIPE)$/;
const CONNECTION_LOST = /connection terminated|timeout exceeded when trying to connect/i;

/** The refusal that answers an error; of an unknown one nothing is shown. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof Unavailable || error instanceof NotRunning)
    return new Refusal('UNAVAILABLE', 'the workflow service does not answer; repeat the request with the same key');
  if (isDatabaseDown(error)) return new Refusal('UNAVAILABLE', 'the database cannot be reached');
  return new Refusal('INTERNAL_ERROR', 'the log has the details under this request id');
}

function isDatabaseDown(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isDatabaseDown);
  if (!(error instanceof Error)) return false;
  const { code } = error as Error & { code?: unknown };
  const down = typeof code === 'string' ? DATABASE_DOWN.test(code) : CONNECTION_LOST.test(error.message);
  return down || isDatabaseDown(error.cause);
}

/**
 * The answer to a refused request.
 * @param instance path of the request
 */
export function problemAnswer(refusal: Refusal, context: { instance: string; requestId: string | null }): Answer {
  const { reason, message, details } = refusal;
  const row = REASON_TABLE[reason];
  const { errors = [], retryable = row.retryable, headers, ...fields } = details;
  const body = {
    type: `${BASE_PATH}/docs/errors/${reason}`,
    title: row.title,
    status: row.status,
    detail: message,
    instance: context.instance,
    code: reason,
    request_id: context.requestId,
    retryable,
    errors,
    ...fields,
  };
  return {
    status: row.status,
    body,
    headers: {
      ...(row.status === 503 ? { 'Retry-After': '1' } : {}),
      ...(headers as Record<string, string> | undefined),
      'content-type': PROBLEM_TYPE,
    },
  };
}

/** Whether an answer is the last word for its Idempotency-Key. */
export function isFinal(answer: Answer): boolean {
  if (answer.status === 202 || answer.status >= 500) return false;
  if ([400, 401, 403, 415, 429].includes(answer.status)) return false;
  const { body } = answer;
  return !(typeof body === 'object' && body !== null && 'retryable' in body && body.retryable === true);
}
