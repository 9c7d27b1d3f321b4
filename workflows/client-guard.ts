/** Calls that outlive a server that restarts and a workflow that is busy; and what their failures mean to the API. */
import {
  ApplicationFailure,
  type Client,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
  isRetryableError,
} from '@temporalio/client';
import { isReason } from '../domain/reasons.ts';
import { Refusal, type RefusalDetails, Unavailable } from '../domain/refusal.ts';

/** Long enough for a server that restarts; who calls is told 503 after it. */
const UNREACHABLE_MS = 4_000;
const FIRST_RETRY_MS = 40;
const LAST_RETRY_MS = 500;
const GRPC_UNAVAILABLE = 14;

export interface CallOptions {
  /** Repeating a call with the same id attaches to the first one and gets its outcome. */
  readonly updateId: string;
  /** milliseconds until the call ends as `Unavailable` */
  readonly timeoutMs: number;
  /** ends the call when nobody waits for its answer any more; what was accepted goes on */
  readonly signal?: AbortSignal;
}

/** No open workflow of this id: the order is closed, or Temporal lost it. The rows know which. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

export type Guard = <T>(call: Omit<CallOptions, 'updateId'>, work: () => Promise<T>) => Promise<T>;

/**
 * Every call has a deadline, and is repeated while the server is away or the workflow is busy (ten updates in flight). A
 * repeat is the same call: update ids and workflow ids make it attach.
 */
export function createGuard(client: Client): Guard {
  return async ({ timeoutMs, signal }, work) => {
    const begun = Date.now();
    const limited = () => client.withDeadline(begun + timeoutMs, work);
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(delay * 2, LAST_RETRY_MS)) {
      try {
        return await (signal === undefined ? limited() : client.withAbortSignal(signal, limited));
      } catch (error) {
        const patience = patienceWith(error, timeoutMs);
        if (signal?.aborted === true || Date.now() + delay > begun + patience) throw translate(error);
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  };
}

/** Milliseconds for which a call that failed like this is repeated. */
function patienceWith(error: unknown, timeoutMs: number): number {
  if (isUnprocessed(error)) return timeoutMs;
  const cause = error instanceof Error ? error.cause : undefined;
  const status = isGrpcServiceError(error) ? error : isGrpcServiceError(cause) ? cause : null;
  if (status === null || !isRetryableError(status)) return 0;
  return status.code === GRPC_UNAVAILABLE ? Math.min(timeoutMs, UNREACHABLE_MS) : timeoutMs;
}

/**
 * The server gave the update up before the workflow had taken it, which happens when many arrive while a workflow task is
 * being prolonged by a local activity. Nothing is remembered of it: the same update may be sent again.
 */
const isUnprocessed = (error: unknown): boolean =>
  error instanceof WorkflowUpdateFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === 'UnprocessedUpdate';

/** What a failed call means to the API. */
function translate(error: unknown): unknown {
  if (error instanceof WorkflowUpdateFailedError) return refusalIn(error.cause) ?? error;
  if (error instanceof WorkflowNotFoundError || error instanceof WorkflowExecutionAlreadyStartedError)
    return new NotRunning(error.message);
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || error instanceof ServiceError)
    return new Unavailable(error.message, { cause: error });
  return error;
}

/** Handlers throw ApplicationFailures with a reason as type and the problem's extra fields as first detail. */
function refusalIn(cause: unknown): Refusal | null {
  if (!(cause instanceof ApplicationFailure) || !isReason(cause.type)) return null;
  const details: unknown = cause.details?.[0];
  return new Refusal(cause.type, cause.message, isObject(details) ? details : {});
}

const isObject = (value: unknown): value is RefusalDetails => typeof value === 'object' && value !== null;
