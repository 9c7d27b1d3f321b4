/**
 * Drives the transactions of an operation to their settled end, one by one: landed, dead, or parked until an operator has
 * helped. Orders and disputes share it; what is written on which row they say themselves.
 */
import { ApplicationFailure, condition, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import { type Intent, intentSummary } from '../domain/intents.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import { REASON_TABLE, type Reason, isReason } from '../domain/reasons.ts';
import { type Repair, payeeOf, repairsFor } from '../domain/repairs.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type { RepairRequest } from './messages.ts';
import { demandRequest } from './repair-requests.ts';
import { ATTENTION } from './search-attributes.ts';
import type { StepControl } from './step-control.ts';
import type { SignatureDesk } from './user-signature.ts';

/** So often a transaction that has to land is tried again by itself before somebody has to look. */
const ATTEMPTS = 3;
const PAUSE_MS = 5_000;
const GIVEN_UP = 'canceled before anything was signed';

export interface ChainPart {
  readonly step: string;
  readonly intent: Intent;
  /** what a dead transaction leaves to be undone besides the status */
  readonly undo?: 'VOID_FUNDING';
  /** there is no way back before it: a dead transaction is followed by another, and in the end by an operator */
  readonly mustLand?: true;
}

export interface Dead {
  readonly reason: string;
  readonly detail: string;
  readonly transaction_hash: string | null;
}

interface Parking {
  readonly operation_id: string;
  readonly reason: Reason;
  readonly message: string;
  readonly detail: unknown;
  /** in words */
  readonly step: string;
  readonly repairs: readonly Repair[];
}

interface DriverContext {
  readonly task_queue_prefix: string;
  readonly control?: StepControl;
  /** where users' own signatures arrive */
  readonly signatures?: SignatureDesk;
  /** @param state of the order afterwards; null where it is another row's */
  landed(transactionHash: string, state: OrderState | null): void;
  /** Writes on the row that the operation is parked. */
  park(why: Parking): Promise<void>;
  /** Writes on the row that it runs again. */
  unpark(operationId: string): Promise<void>;
  /** Whether the row says that somebody else than its seller is paid for a part. @param index null: no milestones */
  isDiverted(index: number | null): boolean;
  /** What a repair does before the step is taken up again. @throws ApplicationFailure: it stays parked */
  carryOut(repair: CarriedOut, request: RepairRequest, parked: Parked): Promise<void>;
}

/** Repairs that do something themselves, besides taking the step up again. */
type CarriedOut = Extract<Repair, 'adopt' | 'payout_to'>;

/** What waits for a repair. */
export interface Parked {
  readonly operation_id: string;
  readonly repairs: readonly Repair[];
  /** one of these: a resumed workflow does not know which */
  readonly parts: readonly ChainPart[];
}

/** What the transactions of one operation have in common. */
export interface Run {
  readonly operation_id: string;
  /** who gets the source account first: lower goes first */
  readonly priority: number;
  /** task queue of the escrow gateway, when it is not the usual one */
  readonly prepare_on?: 'chain' | undefined;
}

export interface ChainDriver {
  /** @returns null when it landed, else why it is dead; DIVERTED: its money goes another way now, which the row knows */
  drive(part: ChainPart, run: Run): Promise<Dead | 'DIVERTED' | null>;
  /** Waits for a repair: what a resumed workflow does that finds its operation parked. @returns null: given up otherwise */
  untilRepaired(parked: Parked): Promise<Repair | null>;
  /**
   * @throws ApplicationFailure INVALID_STATE when the parked step does not allow it, or nothing is parked; VALIDATION_ERROR
   *   when the request lacks what it needs
   */
  demand(repair: Repair, request: RepairRequest): void;
  /**
   * Carries a repair out; resolves when the step is taken up again, or let go as if it were dead, and the row says so.
   * @throws ApplicationFailure when it cannot be carried out: the step stays parked
   */
  repair(repair: Repair, request: RepairRequest): Promise<void>;
  isParked(): boolean;
  /** Somebody else has taken the parked step up already, as the row says. */
  resume(): Promise<void>;
}

export function createChainDriver(context: DriverContext): ChainDriver {
  const isGivenUp = (): boolean => context.control?.isGivenUp() === true;
  const parking = createParking(context, isGivenUp);

  /** One transaction to its end. */
  async function once(part: ChainPart, run: Run): Promise<Dead | 'DIVERTED' | null> {
    const { step, intent } = part;
    const { task_queue_prefix, control, signatures } = context;
    const { operation_id } = run;
    const wanted = { intent, step, ...run, task_queue_prefix };
    for (;;) {
      if (isGivenUp()) return { reason: 'CANCELED', detail: GIVEN_UP, transaction_hash: null };
      // A release pays the contract's own receiver only; what is shared out goes to whom the rows say.
      if (intent.kind === 'RELEASE' && context.isDiverted(intent.milestoneIndex)) return 'DIVERTED';
      try {
        const outcome = await executeOnChain({
          ...wanted,
          ...(control === undefined ? {} : { control }),
          ...(signatures === undefined ? {} : { signatures }),
        });
        if (outcome.status === 'DEAD') {
          const { reason, detail, transaction_hash } = outcome;
          return { reason, detail, transaction_hash };
        }
        context.landed(outcome.transaction_hash, outcome.state);
        return null;
      } catch (error) {
        const failure = asRefusal(error);
        const reason = isReason(failure?.type) ? failure.type : null;
        if (failure === null || reason === null) throw error;
        if (REASON_TABLE[reason].retry !== 'operator')
          return { reason, detail: failure.message, transaction_hash: null };
        const why = { reason, message: failure.message, detail: failure.details?.[0] ?? null };
        if ((await park(part, operation_id, why)) === 'give_up')
          return { reason: 'CANCELED', detail: `given up: ${failure.message}`, transaction_hash: null };
      }
    }
  }

  /** One that has to land: whatever becomes of an attempt, there is another. */
  async function driveOn(part: ChainPart, run: Run): Promise<'DIVERTED' | null> {
    for (let attempt = 1; ; attempt += 1) {
      const dead = await once(part, run);
      if (dead === null || dead === 'DIVERTED') return dead;
      if (attempt % ATTEMPTS !== 0) await sleep(PAUSE_MS * attempt, { summary: 'before it is tried again' });
      else await park(part, run.operation_id, { reason: 'RESOLUTION_STUCK', message: dead.detail, detail: dead });
    }
  }

  async function park(part: ChainPart, operation_id: string, why: Pick<Parking, 'reason' | 'message' | 'detail'>) {
    const repairs = repairsFor(why.reason, { mustLand: part.mustLand === true, payee: payeeOf(why.detail) });
    await context.park({ operation_id, ...why, step: intentSummary(part.intent), repairs });
    return parking.untilRepaired({ operation_id, repairs, parts: [part] });
  }

  return { drive: (part, run) => (part.mustLand === true ? driveOn : once)(part, run), ...parking };
}

/** Where a step waits for an operator; one at a time. */
function createParking(context: Pick<DriverContext, 'unpark' | 'carryOut'>, isGivenUp: () => boolean) {
  interface Waiting extends Parked {
    /** who has carried one out; the first counts */
    repair: Repair | null;
    /** one is being carried out: another waits for its end */
    busy: boolean;
  }
  let waiting: Waiting | null = null;

  return {
    // What the row shows as parked is found again by trying it.
    untilRepaired: async (parked: Parked): Promise<Repair | null> => {
      const mine: Waiting = { ...parked, repair: null, busy: false };
      waiting = mine;
      upsertSearchAttributes([{ key: ATTENTION, value: true }]);
      await condition(() => mine.repair !== null || (isGivenUp() && !mine.busy));
      await context.unpark(parked.operation_id);
      waiting = null;
      upsertSearchAttributes([{ key: ATTENTION, value: false }]);
      return mine.repair;
    },
    demand: (repair: Repair, request: RepairRequest): void => {
      if (waiting === null) throw ApplicationFailure.nonRetryable('nothing is parked', 'INVALID_STATE');
      if (!waiting.repairs.includes(repair))
        throw ApplicationFailure.nonRetryable(`${repair} does not help here`, 'INVALID_STATE');
      demandRequest(repair, request);
    },
    repair: async (repair: Repair, request: RepairRequest): Promise<void> => {
      const mine = waiting;
      if (mine === null) return;
      while (mine.busy) await condition(() => !mine.busy);
      // What it waited for was not done; that it goes on is all that a retry is about.
      if (mine.repair !== null && mine.repair !== repair && repair !== 'retry')
        throw ApplicationFailure.nonRetryable(`${mine.repair} was faster`, 'INVALID_STATE');
      if (mine.repair === null && (repair === 'adopt' || repair === 'payout_to')) await carryOut(mine, repair, request);
      mine.repair ??= repair;
      await condition(() => waiting !== mine);
    },
    isParked: () => waiting !== null,
    resume: async (): Promise<void> => {
      if (waiting !== null && !waiting.busy) waiting.repair ??= 'retry';
      await condition(() => waiting === null);
    },
  };

  async function carryOut(mine: Waiting, repair: CarriedOut, request: RepairRequest): Promise<void> {
    mine.busy = true;
    try {
      await context.carryOut(repair, request, mine);
    } catch (error) {
      throw asRefusal(error) ?? error;
    } finally {
      mine.busy = false;
    }
  }
}
