/** Refusals as activities throw them: `type` is the reason, `details[0]` what the problem document shows besides. */
import { ApplicationFailure } from '@temporalio/common';
import type { Reason } from '../domain/reasons.ts';

/** Nothing changed and repeating will not help: the caller is told. */
export function refuse(reason: Reason, message: string, details: Record<string, unknown> = {}): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, reason, details);
}

/** It may pass by itself: the attempt is repeated, after `afterMs` when that is known. Not an error in the logs. */
export function waitFor(what: string, message: string, afterMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: what,
    message,
    nonRetryable: false,
    category: 'BENIGN',
    ...(afterMs === undefined ? {} : { nextRetryDelay: afterMs }),
  });
}
