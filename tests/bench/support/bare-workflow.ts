/** The least that an update-with-start can be: what Temporal itself costs, without anything of ours. */
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';

export const createUpdate = defineUpdate<string, [string]>('create');

export async function bare(): Promise<void> {
  let created = false;
  setHandler(createUpdate, (id: string) => {
    created = true;
    return id;
  });
  await condition(() => created);
}
