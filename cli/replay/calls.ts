/**
 * Workflow code of the replay bundle: tells every activity call with its arguments. Temporal compares which activity is
 * called where; that its arguments changed goes unnoticed, although an order that is under way would act on them.
 */
import { type Sinks, type WorkflowInterceptors, proxySinks } from '@temporalio/workflow';

export interface CallSinks extends Sinks {
  readonly calls: { activity(name: string, args: unknown[]): void };
}

export const interceptors = (): WorkflowInterceptors => {
  const { calls } = proxySinks<CallSinks>();
  return {
    outbound: [
      {
        scheduleActivity: (input, next) => {
          calls.activity(input.activityType, input.args);
          return next(input);
        },
        scheduleLocalActivity: (input, next) => {
          calls.activity(input.activityType, input.args);
          return next(input);
        },
      },
    ],
  };
};
