/**
 * Whether a chain step can still be given up: only while it is being prepared, or is parked, and nothing of it is signed or
 * handed out. From the signature on there is only finding out (F2, F14).
 */
import { ApplicationFailure, CancellationScope } from '@temporalio/workflow';

export interface StepControl {
  /** something may be signed or handed out */
  isLive(): boolean;
  isGivenUp(): boolean;
  /** Ends the preparation, or the wait for a repair. Only while it is not live. */
  giveUp(): void;
  /** A new operation begins. */
  reset(): void;
  /** @throws ApplicationFailure CANCELED when it was given up */
  preparing<T>(prepare: () => Promise<T>): Promise<T>;
  /** A signature that is refused was not given. */
  signing<T>(sign: () => Promise<T>): Promise<T>;
  /** Only the user can sign: until he has, giving up is for `end` to decide, who knows what was handed out. */
  waiting(end: () => void): void;
  /** The user has signed. */
  landing(): void;
}

export function createStepControl(): StepControl {
  let live = false;
  let givenUp = false;
  let cancel: (() => void) | null = null;
  const canceled = () => ApplicationFailure.nonRetryable('given up before anything was signed', 'CANCELED');
  return {
    isLive: () => live,
    isGivenUp: () => givenUp,
    giveUp: () => {
      givenUp = true;
      cancel?.();
    },
    reset: () => {
      live = false;
      givenUp = false;
    },
    preparing: async (prepare) => {
      live = false;
      if (givenUp) throw canceled();
      const scope = new CancellationScope({ cancellable: true });
      cancel = () => scope.cancel();
      try {
        const prepared = await scope.run(prepare);
        // What is decided here, in one go with scheduling the signature, holds.
        if (givenUp) throw canceled();
        live = true;
        return prepared;
      } catch (error) {
        throw givenUp ? canceled() : error;
      } finally {
        cancel = null;
      }
    },
    signing: async (sign) => {
      try {
        return await sign();
      } catch (error) {
        live = false;
        throw error;
      }
    },
    waiting: (end) => {
      live = false;
      cancel = end;
    },
    landing: () => {
      live = true;
      cancel = null;
    },
  };
}
