/** The operation that a row shows: what runs on it, else what ended last. */
import type { OperationCause } from '../domain/statuses.ts';

/** Who asked for it: the same id is the same request, sent again. */
interface Request {
  readonly operation_id: string;
  readonly request_id: string | null;
  /** default: a caller of the API */
  readonly cause?: OperationCause | undefined;
}

export const newOperation = <V extends string>(request: Request, verb: V, at: Date) => ({
  id: request.operation_id,
  verb,
  cause: request.cause ?? 'API',
  status: 'RUNNING' as const,
  step: null,
  transaction_hash: null,
  error: null,
  request_id: request.request_id,
  started_at: at.toISOString(),
  finished_at: null,
});

/** A database-only verb: begun and done in one transaction. */
export const doneOperation = <V extends string>(request: Request, verb: V, at: Date) => ({
  ...newOperation(request, verb, at),
  status: 'SUCCEEDED' as const,
  step: 'booked',
  finished_at: at.toISOString(),
});
