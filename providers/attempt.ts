/**
 * The attempt that a call on a provider belongs to: whose it is, how urgent, and until when an answer is of use. It
 * reaches the adapters through every layer between, so that the calls of one attempt together stay below its limit: one
 * that was given up must not go on and write late.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

interface Attempt {
  /** the same for every attempt at the same thing: keeps its place in a queue */
  readonly owner: string;
  /** lower goes first */
  readonly priority: number;
}

const attempts = new AsyncLocalStorage<Attempt & { readonly endsAt: number }>();

/** Runs `work`; what it asks of providers has to be answered within `limitMs`. */
export function asAttempt<T>({ limitMs, ...attempt }: Attempt & { readonly limitMs: number }, work: () => T): T {
  return attempts.run({ ...attempt, endsAt: performance.now() + limitMs }, work);
}

/** Null outside of any: a command, a test. */
export const currentAttempt = (): Attempt | null => attempts.getStore() ?? null;

/** `wantedMs`, or what is left of the attempt when that is less; not positive when nothing is. */
export function timeLeft(wantedMs: number): number {
  const attempt = attempts.getStore();
  return attempt === undefined ? wantedMs : Math.min(wantedMs, Math.floor(attempt.endsAt - performance.now()));
}
