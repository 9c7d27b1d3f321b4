/**
 * Why something was refused or failed: one union, and exhaustive tables from it. Adding a reason without its row does
 * not compile. `type` of every ApplicationFailure that leaves an activity or a workflow is one of these.
 */
export const REASONS = [
  'MALFORMED_JSON',
  'INVALID_HEADER',
  'IDEMPOTENCY_KEY_REQUIRED',
  'UNAUTHENTICATED',
  'INSUFFICIENT_SCOPE',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'INVALID_STATE',
  'USER_ALREADY_EXISTS',
  'CLIENT_REF_REUSED',
  'USER_SUSPENDED',
  'MARKETPLACE_PAUSED',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'VALIDATION_ERROR',
  'INSUFFICIENT_FUNDS',
  'LIMIT_EXCEEDED',
  'DESTINATION_INVALID',
  'IDEMPOTENCY_KEY_REUSED',
  'OPERATION_FAILED',
  'RATE_LIMITED',
  'INTERNAL_ERROR',
  'UNAVAILABLE',
  'ENVELOPE_REJECTED',
  'ENVELOPE_EXPIRED',
  'TRANSACTION_FAILED',
  'TRUSTLINE_UNUSABLE',
  'BOOKS_DIFFER',
  'SPONSOR_LOW',
  'PROVIDER_UNAVAILABLE',
  'CANCELED',
  'RESOLUTION_STUCK',
  'SURPLUS',
] as const;
export type Reason = (typeof REASONS)[number];

/**
 * `refused` nothing changed, the caller is told · `wait` repeated with back-off for ever · `dead` proved that it did not
 * happen: compensated · `operator` parked, because a retry cannot help.
 */
type RetryClass = 'refused' | 'wait' | 'dead' | 'operator';

interface ReasonRow {
  readonly status: number;
  readonly retryable: boolean;
  readonly retry: RetryClass;
  readonly title: string;
}

const row = (status: number, retry: RetryClass, title: string, retryable = false): ReasonRow => ({
  status,
  retryable,
  retry,
  title,
});

export const REASON_TABLE: Record<Reason, ReasonRow> = {
  MALFORMED_JSON: row(400, 'refused', 'The body is not JSON'),
  INVALID_HEADER: row(400, 'refused', 'A header is not valid'),
  IDEMPOTENCY_KEY_REQUIRED: row(400, 'refused', 'This call needs an Idempotency-Key'),
  UNAUTHENTICATED: row(401, 'refused', 'No valid API key'),
  INSUFFICIENT_SCOPE: row(403, 'refused', 'The API key may not do this'),
  NOT_FOUND: row(404, 'refused', 'There is no such resource'),
  METHOD_NOT_ALLOWED: row(405, 'refused', 'The method is not allowed here'),
  INVALID_STATE: row(409, 'refused', 'The order does not allow this now'),
  USER_ALREADY_EXISTS: row(409, 'refused', 'A user with this external id exists with other data'),
  CLIENT_REF_REUSED: row(409, 'refused', 'An order with this reference exists with other data'),
  USER_SUSPENDED: row(409, 'refused', 'The user is suspended'),
  MARKETPLACE_PAUSED: row(409, 'wait', 'The marketplace is paused', true),
  BODY_TOO_LARGE: row(413, 'refused', 'The body is too large'),
  UNSUPPORTED_MEDIA_TYPE: row(415, 'refused', 'The body must be application/json'),
  VALIDATION_ERROR: row(422, 'refused', 'The request is not valid'),
  INSUFFICIENT_FUNDS: row(422, 'refused', 'The available balance is too small'),
  LIMIT_EXCEEDED: row(422, 'refused', 'A limit is exceeded'),
  DESTINATION_INVALID: row(422, 'refused', 'The destination cannot be paid'),
  IDEMPOTENCY_KEY_REUSED: row(422, 'refused', 'The Idempotency-Key was used with another request'),
  OPERATION_FAILED: row(422, 'dead', 'The operation failed; nothing is unknown'),
  RATE_LIMITED: row(429, 'wait', 'Too many requests', true),
  INTERNAL_ERROR: row(500, 'operator', 'An unexpected error occurred', true),
  UNAVAILABLE: row(503, 'wait', 'A part of the service cannot be reached', true),
  ENVELOPE_REJECTED: row(422, 'operator', 'The envelope differs from what was asked for; nothing was signed'),
  ENVELOPE_EXPIRED: row(422, 'dead', 'The transaction was not taken in time and can no longer land'),
  TRANSACTION_FAILED: row(422, 'dead', 'The transaction failed on chain'),
  TRUSTLINE_UNUSABLE: row(422, 'operator', 'A wallet cannot receive the asset'),
  BOOKS_DIFFER: row(422, 'operator', 'The books and the chain differ'),
  SPONSOR_LOW: row(503, 'wait', 'The account that pays fees and reserves runs low', true),
  PROVIDER_UNAVAILABLE: row(503, 'wait', 'An outside service does not answer; what needs it waits', true),
  CANCELED: row(422, 'dead', 'It was given up before anything was signed'),
  RESOLUTION_STUCK: row(422, 'operator', 'A dispute is open on chain and its resolution keeps failing'),
  SURPLUS: row(422, 'operator', 'Money is left in the contract of an order that is over'),
};

export const isReason = (value: unknown): value is Reason => (REASONS as readonly unknown[]).includes(value);
