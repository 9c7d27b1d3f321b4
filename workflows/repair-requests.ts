/** What repairs take along. The API and the commands send it whole; the Temporal UI sends what somebody typed, or nothing. */
import { ApplicationFailure } from '@temporalio/common';
import type { Repair } from '../domain/repairs.ts';
import type { RepairRequest } from './messages.ts';

/**
 * For the validator of the update: a handler that fails over its input would fail the workflow's task, again and again.
 * @throws ApplicationFailure VALIDATION_ERROR
 */
export function demandRequest(repair: Repair, request: Partial<RepairRequest> | undefined): void {
  if (repair === 'adopt' && !/^[0-9a-f]{64}$/i.test(request?.transaction_hash ?? ''))
    refuse('adopt takes {"transaction_hash": …}, 64 hex digits');
  if (repair === 'payout_to' && (request?.approval_id ?? '') === '')
    refuse('payout_to is asked for by two persons, over the API or the command line');
}

function refuse(words: string): never {
  throw ApplicationFailure.nonRetryable(words, 'VALIDATION_ERROR');
}
