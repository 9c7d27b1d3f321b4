/** The least that update-with-start can do: a workflow that answers one update and ends. */
import { allHandlersFinished, condition, defineUpdate, setHandler } from '@temporalio/workflow';

export const touchUpdate = defineUpdate<string>('touch');

export async function empty(): Promise<void> {
  let touched = false;
  setHandler(touchUpdate, () => {
    touched = true;
    return 'done';
  });
  await condition(() => touched && allHandlersFinished());
}
