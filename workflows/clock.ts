/** Workflow time: deterministic, the time of the task that is being processed. The only clock that workflow code reads. */
export const now = (): number => Date.now();
