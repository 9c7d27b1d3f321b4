/** Every activity is an attempt with an end: what it asks of providers is answered before its time is over, or not at all. */
import type { Context } from '@temporalio/activity';
import type { ActivityInterceptors } from '@temporalio/worker';
import { asAttempt } from '../providers/attempt.ts';

/** Left for what an activity does with the last answer. */
const MARGIN_MS = 1_000;
/** Behind what says how urgent it is. */
const NOT_URGENT = 9;

function priorityOf(input: unknown): number {
  const stated = typeof input === 'object' && input !== null && 'priority' in input ? input.priority : null;
  return typeof stated === 'number' ? stated : NOT_URGENT;
}

export function attemptInterceptor({ info }: Context): ActivityInterceptors {
  const owner = `${info.workflowExecution?.workflowId ?? ''}/${info.activityId}`;
  return {
    inbound: {
      execute: (input, next) =>
        asAttempt({ owner, priority: priorityOf(input.args[0]), limitMs: info.startToCloseTimeoutMs - MARGIN_MS }, () =>
          next(input),
        ),
    },
  };
}
