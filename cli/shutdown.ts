/** One place that answers signals: two handlers that race would cut work in flight (F58). */

/** Whatever hangs is cut after this. */
const FORCED_EXIT_MS = 30_000;
const PARENT_CHECK_MS = 1_000;

/**
 * Waits for SIGINT or SIGTERM, runs `stop`, and ends the process: 0 when it stopped in time, else 1. A second signal
 * changes nothing, so that an impatient Ctrl-C leaves no orphans.
 */
export function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false;
  const shutdown = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), FORCED_EXIT_MS).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, shutdown);
  if (process.env['npm_lifecycle_event'] !== undefined) whenParentEnds(shutdown);
}

/** Started by npm, a process is meant to end with it; npm passes signals on, but cannot when it is killed. */
function whenParentEnds(then: () => void): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) then();
  }, PARENT_CHECK_MS).unref();
}
