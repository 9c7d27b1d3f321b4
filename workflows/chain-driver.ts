/**
 * Drives the transactions of an operation to their settled end, one by one: landed, dead, or parked until an operator has
 * helped. Orders and disputes share it; what is written on which row they say themselves.
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import { ApplicationFailure, condition, sleep, upsertSearchAttributes } from '@temporalio/workflow';
import { type Intent, intentSummary } from '../domain/intents.ts';
import type { OrderState } from '../domain/order/shapes.ts';
import { REASON_TABLE, type Reason, isReason } from '../domain/reasons.ts';
import { type Repair, repairsFor } from '../domain/repairs.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import type { StepControl } from './step-control.ts';
import type { SignatureDesk } from './user-signature.ts';

const ATTENTION = defineSearchAttributeKey('Attention', 'BOOL');

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

export interface Parking {
  readonly operation_id: string;
  readonly reason: Reason;
  readonly message: string;
  readonly detail: unknown;
  /** in words */
  readonly step: string;
  readonly repairs: readonly Repair[];
}

export interface DriverContext {
  readonly task_queue_prefix: string;
  readonly control?: StepControl;
  /** where users' own signatures arrive */
  readonly signatures?: SignatureDesk;
  landed(state: OrderState): void;
  /** Writes on the row that the operation is parked. */
  park(why: Parking): Promise<void>;
  /** Writes on the row that it runs again. */
  unpark(operationId: string): Promise<void>;
}

/** What the transactions of one operation have in common. */
export interface Run {
  readonly operation_id: string;
  /** who gets the source account first: lower goes first */
  readonly priority: number;
  /** task queue of the escrow gateway, when it is not the usual one */
  readonly prepare_on?: 'chain' | undefined;
}

/** Repairs that a driver carries out itself. */
export type Wanted = Extract<Repair, 'retry' | 'give_up'>;

export interface ChainDriver {
  /** @returns null when it landed, else why it is dead */
  drive(part: ChainPart, run: Run): Promise<Dead | null>;
  /** Waits, parked, for a repair: what a resumed workflow does that finds its operation parked. @param allowed default: a retry */
  untilRetried(operationId: string, allowed?: readonly Repair[]): Promise<Wanted | null>;
  /** @throws ApplicationFailure INVALID_STATE when the parked step does not allow it, or nothing is parked */
  demand(repair: Wanted): void;
  /** Takes a parked step up again, or lets it go as if it were dead; resolves when that is on the row. */
  repair(repair: Wanted): Promise<void>;
}

export function createChainDriver(context: DriverContext): ChainDriver {
  const isGivenUp = (): boolean => context.control?.isGivenUp() === true;
  const parking = createParking(context, isGivenUp);

  /** One transaction to its end. */
  async function once(part: ChainPart, run: Run): Promise<Dead | null> {
    const { step, intent } = part;
    const { task_queue_prefix, control, signatures } = context;
    const { operation_id } = run;
    const wanted = { intent, step, ...run, task_queue_prefix };
    for (;;) {
      if (isGivenUp()) return { reason: 'CANCELED', detail: GIVEN_UP, transaction_hash: null };
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
        if (outcome.state !== null) context.landed(outcome.state);
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
  async function driveOn(part: ChainPart, run: Run): Promise<null> {
    for (let attempt = 1; ; attempt += 1) {
      const dead = await once(part, run);
      if (dead === null) return null;
      if (attempt % ATTEMPTS !== 0) await sleep(PAUSE_MS * attempt, { summary: 'before it is tried again' });
      else await park(part, run.operation_id, { reason: 'RESOLUTION_STUCK', message: dead.detail, detail: dead });
    }
  }

  function park(part: ChainPart, operation_id: string, why: Pick<Parking, 'reason' | 'message' | 'detail'>) {
    const repairs = repairsFor(why.reason, part.mustLand === true);
    return parking.park({ operation_id, ...why, step: intentSummary(part.intent), repairs });
  }

  return {
    drive: (part, run) => (part.mustLand === true ? driveOn : once)(part, run),
    untilRetried: parking.untilRetried,
    demand: parking.demand,
    repair: parking.repair,
  };
}

/** Where a step waits for an operator; one at a time. */
function createParking(context: Pick<DriverContext, 'park' | 'unpark'>, isGivenUp: () => boolean) {
  let parked: { repair: Wanted | null; readonly allowed: readonly Repair[] } | null = null;

  // What the row shows as parked is found again by trying it.
  async function untilRepaired(operationId: string, allowed: readonly Repair[] = ['retry']): Promise<Wanted | null> {
    const mine: NonNullable<typeof parked> = { repair: null, allowed };
    parked = mine;
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    await condition(() => mine.repair !== null || isGivenUp());
    await context.unpark(operationId);
    parked = null;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
    return mine.repair;
  }

  return {
    park: async (why: Parking): Promise<Wanted | null> => {
      await context.park(why);
      return untilRepaired(why.operation_id, why.repairs);
    },
    untilRetried: untilRepaired,
    demand: (repair: Wanted): void => {
      if (parked === null) throw ApplicationFailure.nonRetryable('nothing is parked', 'INVALID_STATE');
      if (!parked.allowed.includes(repair))
        throw ApplicationFailure.nonRetryable(`${repair} does not help here`, 'INVALID_STATE');
    },
    repair: async (repair: Wanted): Promise<void> => {
      if (parked !== null) parked.repair = repair;
      await condition(() => parked === null);
    },
  };
}
