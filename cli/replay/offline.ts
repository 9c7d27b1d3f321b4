/** Histories on the workflows of this checkout, without any server: what they call, and where they no longer fit. */
import { fileURLToPath } from 'node:url';
import { DefaultLogger, type InjectedSinks, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import type { CallSinks } from './calls.ts';

export interface ActivityCall {
  readonly activity: string;
  readonly args: readonly unknown[];
}

export interface Life {
  /** unique among those that are replayed together */
  readonly workflowId: string;
  /** as `temporal workflow show --output json` prints it */
  readonly history: unknown;
  /** ISO time of the copy, where Temporal no longer knows it */
  readonly keptAt?: string;
}

export interface Replayed {
  /** by workflow id: what the workflows of this commit called */
  readonly calls: ReadonlyMap<string, readonly ActivityCall[]>;
  /** by workflow id: why the history does not fit the workflows of this commit */
  readonly errors: ReadonlyMap<string, Error>;
}

/** Replays all in one go (a second run in one process has been seen to fail), on the workflows of this commit. */
export async function replay(lives: readonly Life[]): Promise<Replayed> {
  const calls = new Map<string, ActivityCall[]>();
  const sinks: InjectedSinks<CallSinks> = {
    calls: {
      activity: {
        callDuringReplay: true,
        fn: ({ workflowId }, activity, args) => {
          calls.set(workflowId, [...(calls.get(workflowId) ?? []), { activity, args }]);
        },
      },
    },
  };
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: source('../../workflows/index.ts'),
    workflowInterceptorModules: [source('./calls.ts')],
    logger: SILENT,
  });
  const histories = lives.map(({ workflowId, history }) => ({ workflowId, history }));
  const errors = new Map<string, Error>();
  const results = Worker.runReplayHistories({ workflowBundle, sinks }, histories);
  for await (const { workflowId, error } of results) if (error !== undefined) errors.set(workflowId, error);
  return { calls, errors };
}

const quiet = (): void => undefined;
const SILENT = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
