/** Failures as workflow code meets them. Handlers throw only ApplicationFailure: a plain Error would stick the order. */
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/workflow';

/** A failed local activity arrives bare, a normal one wrapped: the failure that says what happened. */
function rootFailure(error: unknown): unknown {
  let root = error;
  while ((root instanceof ActivityFailure || root instanceof ChildWorkflowFailure) && root.cause !== undefined) {
    root = root.cause;
  }
  return root;
}

/** The refusal inside an error, or null when it is anything else (cancellation, a bug). */
export function asRefusal(error: unknown): ApplicationFailure | null {
  const root = rootFailure(error);
  return root instanceof ApplicationFailure ? root : null;
}
