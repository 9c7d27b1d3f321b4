/** Golden histories: lives of workflows as a real server recorded them, and what they called with which arguments. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, type InjectedSinks, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import type { CallSinks } from './calls.ts';

export interface ActivityCall {
  readonly activity: string;
  readonly args: readonly unknown[];
}

export interface Golden {
  readonly name: string;
  /** exported name of the workflow function */
  readonly workflowType: string;
  /** unique among the golden histories, as code derives ids from it */
  readonly workflowId: string;
  /** every activity, local ones too, in order; equal for every version that may take over running workflows */
  readonly calls: readonly ActivityCall[];
  /** as `temporal workflow show --output json` prints it */
  readonly history: unknown;
}

export const HISTORIES = join(import.meta.dirname, 'histories');

/** In the order of their names. */
export async function readGoldens(): Promise<Golden[]> {
  const files = (await readdir(HISTORIES)).filter((file) => file.endsWith('.json')).sort();
  return Promise.all(files.map(async (file) => JSON.parse(await readFile(join(HISTORIES, file), 'utf8')) as Golden));
}

export interface Replayed {
  /** by workflow id: what the workflows of this commit called */
  readonly calls: ReadonlyMap<string, readonly ActivityCall[]>;
  /** by workflow id: why the history does not fit the workflows of this commit */
  readonly errors: ReadonlyMap<string, Error>;
}

/** Replays all in one go (a second run in one process has been seen to fail), on the workflows of this commit. */
export async function replay(goldens: readonly Pick<Golden, 'workflowId' | 'history'>[]): Promise<Replayed> {
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
  const histories = goldens.map(({ workflowId, history }) => ({ workflowId, history }));
  const errors = new Map<string, Error>();
  const results = Worker.runReplayHistories({ workflowBundle, sinks }, histories);
  for await (const { workflowId, error } of results) if (error !== undefined) errors.set(workflowId, error);
  return { calls, errors };
}

const quiet = (): void => undefined;
const SILENT = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
