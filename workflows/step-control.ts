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
  /** An operation begins, or is found out about again. @param live something of it may land already */
  reset(live: boolean): void;
  /** @throws ApplicationFailure CANCELED when it was given up */
  preparing<T>(prepare: () => Promise<T>): Promise<T>;
  /** A signature that is refused, or came too late, was not given. */
  signing<T extends { readonly status: string }>(sign: () => Promise<T>): Promise<T>;
  /** Only the user can sign: until he has, giving up is for `end` to decide, who knows what was handed out. */
  waiting(end: () => void): void;
  /** The user has signed. */
  landing(): void;
}

export function createStepControl(): StepControl {
  // What an earlier run signed is not known before the row was asked.
  let live = true;
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
    reset: (isLive) => {
      live = isLive;
      givenUp = false;
    },
    preparing: async (prepare) => {
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
        live = false;
        throw givenUp ? canceled() : error;
      } finally {
        cancel = null;
      }
    },
    signing: async (sign) => {
      try {
        const signed = await sign();
        // Not signed yet: it is prepared again.
        if (signed.status === 'STALE') live = false;
        return signed;
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
