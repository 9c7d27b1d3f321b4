/** Activities without Temporal: what they ask of their surroundings is which workflow called, and how often. */
import { Context, type Info, asyncLocalStorage } from '@temporalio/activity';
import { type Logger, noopMetricMeter } from '@temporalio/common';

const never = new Promise<never>(() => undefined);
const quiet = (): void => undefined;
const log: Logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

/** Runs `work` as the given attempt of an activity of a workflow. */
export function asActivity<T>(workflowId: string, attempt: number, work: () => Promise<T>): Promise<T> {
  const info = { attempt, workflowExecution: { workflowId, runId: `run of ${workflowId}` } } as Info;
  const { signal } = new AbortController();
  const context = new Context(info, never, signal, quiet, undefined, log, noopMetricMeter, {});
  return asyncLocalStorage.run(context, work);
}
