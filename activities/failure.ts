/** Refusals as activities throw them: `type` is the reason, `details[0]` what the problem document shows besides. */
import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Reason } from '../domain/reasons.ts';
import type { ProviderError } from '../providers/errors.ts';

const PROVIDER_WAIT_MS = 250;
const PROVIDER_WAIT_MAX_MS = 20_000;

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

/** A provider's trouble is waited out: as long as it asks for, else longer with every attempt. */
export function waitForProvider({ provider, message, retryAfterMs }: ProviderError): ApplicationFailure {
  const growing = Math.min(PROVIDER_WAIT_MAX_MS, PROVIDER_WAIT_MS * 1.6 ** (activityInfo().attempt - 1));
  return waitFor('PROVIDER', `${provider}: ${message}`, retryAfterMs ?? Math.round(growing));
}
