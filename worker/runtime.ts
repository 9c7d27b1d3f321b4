/** Temporal's native runtime: one per process, made before the first connection. */
import { Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import type { Logger } from 'pino';

type Level = 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/** Signals are the command's to handle: two handlers that race would cut work in flight (F58). */
export function installRuntime(log: Logger): void {
  try {
    Runtime.install({
      logger: sdkLogger(log),
      shutdownSignals: [],
      telemetryOptions: {
        logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      },
    });
  } catch (error) {
    // A second worker in the same process (tests) shares the runtime that is there.
    if (!(error instanceof Error) || error.name !== 'IllegalStateError') throw error;
  }
}

/** The SDK's words as a field of one stable event; what it says below a warning is not ours to keep. */
function sdkLogger(log: Logger) {
  const write =
    (level: Level) =>
    (message: string, meta: Record<string | symbol, unknown> = {}): void => {
      if (level !== 'WARN' && level !== 'ERROR') return;
      // Only `orders` runs workflows: for the others this is how it should be.
      if (message.startsWith('No workflows registered')) return;
      const { error, workflowId, workflowType, activityType, attempt, taskQueue } = meta;
      const fields = {
        message,
        error,
        workflow_id: workflowId,
        workflow_type: workflowType,
        activity_type: activityType,
        attempt,
        task_queue: taskQueue,
      };
      if (level === 'ERROR') log.error(fields, 'temporal.sdk');
      else log.warn(fields, 'temporal.sdk');
    };
  return {
    log: (level: Level, message: string, meta?: Record<string | symbol, unknown>) => write(level)(message, meta),
    trace: write('TRACE'),
    debug: write('DEBUG'),
    info: write('INFO'),
    warn: write('WARN'),
    error: write('ERROR'),
  };
}
