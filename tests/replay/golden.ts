/** Golden histories: lives of workflows as a real server recorded them, and what they called with which arguments. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActivityCall } from '../../cli/replay/offline.ts';

export { type Replayed, replay } from '../../cli/replay/offline.ts';

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
