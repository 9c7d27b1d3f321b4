/** Waiting for a condition: the only way a test waits. */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Asking costs the very processors on which the answer is made. */
const POLL_MS = 150;

/**
 * Runs `check` until it neither throws nor answers `false`, `null` or `undefined`; answers what it answered.
 * @throws the last failure, after `timeoutMs` (default 30 s)
 */
export async function eventually<T>(
  check: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  options: { readonly timeoutMs?: number; readonly everyMs?: number; readonly what?: string } = {},
): Promise<T> {
  const deadline = Date.now() + (options.timeoutMs ?? 30_000);
  let failure: unknown = new Error(`not yet: ${options.what ?? check.toString()}`);
  for (;;) {
    try {
      const answer = await check();
      if (answer !== false && answer !== null && answer !== undefined) return answer;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) throw failure;
    await delay(options.everyMs ?? POLL_MS);
  }
}

/** For tests that interrupt something at any moment: resolves somewhere between `leastMs` and `mostMs` from now. */
export async function randomMoment(leastMs: number, mostMs: number): Promise<void> {
  await delay(randomInt(leastMs, mostMs + 1));
}
