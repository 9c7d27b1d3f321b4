/**
 * One operation at a time per order. A validator alone is not enough: two updates delivered together both pass it. And a
 * validator that always judges state loses updates when a reset admits later ones again, all in one activation. So:
 * behind an operation that began in the *same* activation a verb queues; behind one that began earlier it is refused at
 * once; and whoever gets the mutex is checked again.
 */
import { ApplicationFailure, condition, workflowInfo } from '@temporalio/workflow';
import { type OrderView, allowedVerbs, isBusy, refusal, transitionOf } from '../domain/order/machine.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { asRefusal } from './failure.ts';
import type { StepControl } from './step-control.ts';

export interface VerbGate {
  /** Validator: synchronous, pure, throws the refusal. */
  admit(verb: OrderVerb): void;
  /** Takes the mutex, checks again and runs. @throws ApplicationFailure */
  run(verb: OrderVerb, work: () => Promise<void>): Promise<void>;
  /** The same for the system's verbs: a refusal means that there is nothing to do. */
  system(verb: OrderVerb, work: () => Promise<void>): Promise<void>;
  /** An operation that runs on the row without anybody driving it (a resumed or reset run): taken up where it stands. */
  adopt(work: (state: OrderState) => Promise<void>): Promise<void>;
  busy(): boolean;
}

type Control = Pick<StepControl, 'isLive' | 'giveUp' | 'isGivenUp'>;

/** What the machine says about a verb now, and the refusal that follows from it. */
function createJudge(state: () => OrderState | null, control: Control) {
  const viewOf = (order: OrderState): OrderView => ({ ...order, live: control.isLive() });
  const refuse = (order: OrderState, verb: OrderVerb, retryable: boolean): ApplicationFailure =>
    ApplicationFailure.nonRetryable(
      retryable ? `${verb} has to wait: another operation is running` : refusal(viewOf(order), verb),
      'INVALID_STATE',
      { current_status: order.status, allowed: retryable ? [] : allowedVerbs(viewOf(order)), retryable },
    );
  return {
    refuse,
    check: (verb: OrderVerb): void => {
      const order = state();
      if (order !== null && transitionOf(viewOf(order), verb) === null)
        throw refuse(order, verb, order.operation?.status === 'RUNNING');
    },
    /** `cancel` alone may end what runs: an `escrow` or `fund` of which nothing is signed. */
    canEnd: (verb: OrderVerb): boolean => {
      const order = state();
      return order !== null && isBusy(order) && transitionOf(viewOf(order), verb) !== null;
    },
  };
}

export function createVerbGate(
  state: () => OrderState | null,
  refresh: () => Promise<void>,
  control: Control,
): VerbGate {
  const { refuse, check, canEnd } = createJudge(state, control);
  let holder: { readonly since: number } | null = null;
  let waiting = 0;

  const locked = async (work: () => Promise<void>, verb: OrderVerb | null = null): Promise<void> => {
    // What waits for the end of an operation ends it, as soon as that is possible and unless somebody has.
    const ends = (): boolean => verb !== null && canEnd(verb) && !control.isGivenUp();
    waiting += 1;
    // All who wait are woken together, before the first of them has taken it: each looks again.
    while (holder !== null) {
      if (ends()) control.giveUp();
      await condition(() => holder === null || ends());
    }
    waiting -= 1;
    holder = { since: workflowInfo().historyLength };
    try {
      await work();
    } catch (error) {
      // The row knows better than we do (another run moved it): take its state before answering.
      if (asRefusal(error)?.type === 'INVALID_STATE') await refresh();
      throw asRefusal(error) ?? error;
    } finally {
      holder = null;
    }
  };

  const run = (verb: OrderVerb, work: () => Promise<void>): Promise<void> =>
    locked(async () => {
      check(verb);
      await work();
    }, verb);

  const unlessRefused = async (attempt: Promise<void>): Promise<void> => {
    try {
      await attempt;
    } catch (error) {
      if (asRefusal(error) === null) throw error;
    }
  };

  return {
    admit: (verb) => {
      const view = state();
      if (holder === null && waiting === 0) return check(verb);
      const sameActivation = holder === null || holder.since === workflowInfo().historyLength;
      if (!sameActivation && view !== null && !canEnd(verb))
        throw refuse(view, verb, view.operation?.status !== 'PARKED');
    },
    run,
    system: (verb, work) => unlessRefused(run(verb, work)),
    adopt: async (work) => {
      const view = state();
      if (holder !== null || view === null) return;
      if (view.operation?.status === 'RUNNING' || view.operation?.status === 'PARKED')
        await unlessRefused(locked(() => work(view)));
    },
    busy: () => holder !== null || waiting > 0,
  };
}
