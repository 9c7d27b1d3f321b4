/** Who serves the task queues, as the workflow service sees it. */
import { TASK_QUEUES } from '../domain/workflow-ids.ts';
import type { Context } from './client.ts';

export interface WorkerCalls {
  /** By task queue: how many asked it for work within the last minutes; null while the service does not answer. */
  pollers(): Promise<Record<string, number | null>>;
  /** Which workflow code they run, by its build id; several while workers are being exchanged. @throws Unavailable */
  workflowBuilds(): Promise<readonly string[]>;
}

const LOOK_TIMEOUT_MS = 2_000;
/** Of the service's API: tasks of workflows, and of activities. */
const WORKFLOW_TASKS = 1;
const ACTIVITY_TASKS = 2;
/** Nothing is done there yet. */
const SERVED = TASK_QUEUES.filter((queue) => queue !== 'webhooks');

export function workerCalls({ client, options, guarded }: Context): WorkerCalls {
  const pollersOf = (queue: string) =>
    guarded({ timeoutMs: LOOK_TIMEOUT_MS }, async () => {
      const { pollers } = await client.workflowService.describeTaskQueue({
        namespace: options.namespace,
        taskQueue: { name: `${options.taskQueuePrefix}${queue}` },
        taskQueueType: queue === 'orders' ? WORKFLOW_TASKS : ACTIVITY_TASKS,
      });
      return pollers ?? [];
    });
  return {
    pollers: async () => {
      const count = (queue: string) =>
        pollersOf(queue).then(
          ({ length }) => length,
          () => null,
        );
      return Object.fromEntries(await Promise.all(SERVED.map(async (queue) => [queue, await count(queue)])));
    },
    workflowBuilds: async () => {
      const builds = (await pollersOf('orders')).flatMap((poller) => poller.workerVersionCapabilities?.buildId ?? []);
      return [...new Set(builds)].sort();
    },
  };
}
