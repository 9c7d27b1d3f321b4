/**
 * Compensation: an undo is registered *before* the step it undoes (the step may have happened without an answer, F65),
 * runs non-cancellable in reverse order, and is a no-op when there is nothing to undo. Its errors are never swallowed.
 */
import { CancellationScope } from '@temporalio/workflow';

interface Saga {
  undoWith(undo: () => Promise<unknown>): void;
  compensate(): Promise<void>;
}

export function createSaga(): Saga {
  const undos: (() => Promise<unknown>)[] = [];
  return {
    undoWith: (undo) => {
      undos.push(undo);
    },
    compensate: () =>
      CancellationScope.nonCancellable(async () => {
        for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) await undo();
      }),
  };
}
