/**
 * An operation of an order on chain: written on the row, driven transaction by transaction, compensated when one is proved
 * dead, parked when only an operator can help.
 */
import { ApplicationFailure, sleep } from '@temporalio/workflow';
import type { OrderActivities } from '../activities/index.ts';
import type { OperationTarget, OrderState } from '../domain/order/shapes.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { createAdopting } from './adopting.ts';
import { type ChainDriver, type ChainPart, type Run, createChainDriver } from './chain-driver.ts';
import { asRefusal } from './failure.ts';
import type { DeliverRequest, OrderInput, VerbRequest } from './messages.ts';
import { createSaga } from './saga.ts';
import { type StepControl, createStepControl } from './step-control.ts';
import type { SignatureDesk } from './user-signature.ts';
import type { Worded } from './worded.ts';

export type OperationRequest = VerbRequest &
  Pick<Partial<DeliverRequest>, 'milestone_refs' | 'evidence'> & {
    readonly cause: 'API' | 'AUTO' | 'DEADLINE';
    /** by a deadline: the time that is over */
    readonly deadline_at?: string;
  };

/** Money that waits to be paid out goes before new business in the queue for a source account. */
const PRIORITY: Partial<Record<OrderVerb, number>> = {
  release: 1,
  release_milestone: 1,
  refund: 1,
  deliver: 3,
  complete_milestone: 3,
  fund: 4,
  escrow: 5,
};

/** Before what could not be given up is looked at again. */
const FIND_OUT_MS = 1_000;

const stepName = (step: string, index: number | null): string => (index === null ? step : `${step}:${index}`);

/** A release to somebody else than the contract's own receiver. */
const ALL_TO_SELLER = { seller: '1', buyer: '0' } as const;
/** A refund. */
export const ALL_TO_BUYER = { seller: '0', buyer: '1' } as const;

/** An approval is irreversible: what landed in an earlier attempt is not sent again (F4). */
export function releaseParts(orderId: string, { index, approved, diverted }: OperationTarget): ChainPart[] {
  if (diverted === true) return resolveParts(orderId, index, ALL_TO_SELLER);
  const approve = { kind: 'APPROVE', orderId, milestoneIndex: index } as const;
  const release = { kind: 'RELEASE', orderId, milestoneIndex: index } as const;
  return [
    ...(approved ? [] : [{ step: stepName('approve', index), intent: approve }]),
    { step: stepName('release', index), intent: release },
  ];
}

/** Once the dispute is open on chain the money can only be shared out. @param shares weights as whole numbers */
export function resolveParts(
  orderId: string,
  index: number | null,
  shares: { readonly seller: string; readonly buyer: string },
): ChainPart[] {
  const dispute = { kind: 'OPEN_DISPUTE', orderId, milestoneIndex: index } as const;
  const resolve = { kind: 'RESOLVE_DISPUTE', orderId, milestoneIndex: index, shares } as const;
  return [
    { step: stepName('dispute', index), intent: dispute },
    { step: stepName('resolve', index), intent: resolve, mustLand: true },
  ];
}

export const deliverPart = (orderId: string, index: number | null): ChainPart => ({
  step: stepName('deliver', index),
  intent: { kind: 'DELIVER', orderId, milestoneIndex: index },
});

export interface ChainOperations {
  /**
   * Runs a verb's transactions to their settled end; an operation of this id that the row shows is taken up where it
   * stands. What they are is known when the operation has begun, and with it the parts it is about.
   * @throws ApplicationFailure
   */
  run(
    request: OperationRequest,
    verb: OrderVerb,
    partsOf: (targets: readonly OperationTarget[]) => readonly ChainPart[],
  ): Promise<void>;
  /** repairs of a parked step */
  readonly repairs: Pick<ChainDriver, 'demand' | 'repair' | 'isParked' | 'resume'>;
  readonly control: StepControl;
}

interface ChainOperationContext {
  readonly input: OrderInput;
  /** local activities: they run within the workflow task */
  readonly db: Worded<OrderActivities>;
  /** normal activities: compensations that an operator sees by name */
  readonly compensation: Worded<OrderActivities>;
  readonly signatures: SignatureDesk;
  /** the row as the last step left it */
  state(): OrderState | null;
  settled(next: OrderState): void;
  landed(transactionHash: string, state: OrderState | null): void;
}

export function createChainOperations(context: ChainOperationContext): ChainOperations {
  const { input, db, compensation, signatures, settled, landed } = context;
  const { order_id, task_queue_prefix } = input;
  const control = createStepControl();
  const adopt = createAdopting(task_queue_prefix);
  const driver = createChainDriver({
    task_queue_prefix,
    control,
    signatures,
    landed,
    park: async (why) => settled(await db.parkOperation({ order_id, ...why })),
    unpark: async (operation_id) => settled(await db.unparkOperation({ order_id, operation_id })),
    isDiverted: (index) => targets().some((target) => target.index === index && target.diverted === true),
    carryOut: async (repair, request, { parts }) => {
      if (repair === 'adopt') await adopt(request, parts);
      else settled(await db.divertPayout({ order_id, approval_id: request.approval_id ?? '' }));
    },
  });
  const targets = (): readonly OperationTarget[] => context.state()?.operation?.targets ?? [];

  const run: ChainOperations['run'] = async (request, verb, partsOf) => {
    const { operation_id } = request;
    const { prepare_on, live, ...state } = await db.beginOperation({ order_id, verb, ...request });
    settled(state);
    const begun = context.state()?.operation;
    // Waiting for a wallet is not an operation: verbs and deadlines work meanwhile.
    if (begun?.id !== operation_id) return;
    control.reset(live === true);
    if (begun.status === 'PARKED') {
      const parked = { operation_id, repairs: begun.repairs ?? ['retry'], parts: partsOf(begun.targets) };
      if ((await driver.untilRepaired(parked)) === 'give_up') control.giveUp();
    } else if (begun.status !== 'RUNNING') return;
    const landed = new Set<string>();
    const next = () => partsOf(targets()).find(({ step }) => !landed.has(step));
    for (let part = next(); part !== undefined; part = next())
      if (await drive(part, { operation_id, prepare_on, priority: PRIORITY[verb] ?? 5 })) landed.add(part.step);
  };

  /** @returns false when the row says that something else is to be done instead. @throws ApplicationFailure when it is dead */
  async function drive(part: ChainPart, run: Run): Promise<boolean> {
    const { operation_id } = run;
    for (;;) {
      const saga = createSaga();
      if (part.undo === 'VOID_FUNDING') saga.undoWith(() => compensation.voidFunding({ order_id }));
      const dead = await driver.drive(part, run);
      if (dead === null || dead === 'DIVERTED') return dead === null;
      await saga.compensate();
      try {
        settled(await db.failOperation({ order_id, operation_id, step: part.step, ...dead }));
      } catch (error) {
        if (asRefusal(error)?.type !== 'INVALID_STATE') throw error;
        // Something of it may land after all: it is found out, and cannot be given up any more.
        control.reset(true);
        await sleep(FIND_OUT_MS, { summary: 'it may land after all: find out' });
        continue;
      }
      throw ApplicationFailure.nonRetryable(dead.detail, 'OPERATION_FAILED', { reason: dead.reason });
    }
  }

  return { run, control, repairs: driver };
}
