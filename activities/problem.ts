/** Problem documents (RFC 9457) as they are stored with an operation that failed. */
import type { StoredProblem } from '../domain/order/shapes.ts';
import { REASON_TABLE, type Reason } from '../domain/reasons.ts';

/** @param of `instance` is the path of the resource */
export function problemOf(
  reason: Reason,
  detail: string,
  of: { readonly instance: string; readonly requestId: string | null },
): StoredProblem {
  const { title, status, retryable } = REASON_TABLE[reason];
  return {
    type: `/api/v1/docs/errors/${reason}`,
    title,
    status,
    detail,
    instance: of.instance,
    code: reason,
    request_id: of.requestId,
    retryable,
    errors: [],
  };
}
