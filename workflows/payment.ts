/**
 * One withdrawal or one adjustment, until it is over:
 *
 *   CREATED → [APPROVAL_REQUIRED →] APPROVED → SUBMITTED → COMPLETED | FAILED, CANCELED before SUBMITTED
 *
 * The money is held with the row; what is true is the row: every step writes it under its lock, so that a cancel and a
 * signature cannot both win, and the workflow can start from it in mid-life (`resume`).
 */
import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { PaymentRowActivities } from '../activities/withdrawals/index.ts';
import { isDue, isOver } from '../domain/payment/machine.ts';
import type { PaymentState } from '../domain/payment/shapes.ts';
import { REASON_TABLE, isReason } from '../domain/reasons.ts';
import type { Repair } from '../domain/repairs.ts';
import { createAdopting } from './adopting.ts';
import { executeOnChain } from './execute-on-chain.ts';
import { asRefusal } from './failure.ts';
import {
  type PaymentInput,
  type RepairRequest,
  approvePaymentUpdate,
  cancelPaymentUpdate,
  createPaymentUpdate,
  repairUpdates,
  rowWakeSignal,
} from './messages.ts';
import { demandRequest } from './repair-requests.ts';
import { ATTENTION, MARKETPLACE_ID, TX_HASH } from './search-attributes.ts';
import { createVisibility } from './visibility.ts';
import { type Worded, localSteps, steps } from './worded.ts';

/** A creation that was refused leaves a workflow without a payment: it ends itself when none comes. */
const CREATION_LIMIT = '1 minute';
/** Money that waits to be paid out, behind releases. */
const PRIORITY = 2;
const STEP = 'pay';

export const withdrawal = (input: PaymentInput): Promise<void> => payment(input);
export const adjustment = (input: PaymentInput): Promise<void> => payment(input);

interface Life {
  state: PaymentState | null;
  /** an operator asked for the parked step to be taken up */
  retried: boolean;
  /** how often the row was heard of */
  changes: number;
}

async function payment(input: PaymentInput): Promise<void> {
  const { id: payment_id } = input.payment;
  const life: Life = { state: null, retried: false, changes: 0 };
  const { db, compensation } = activitiesOf(input);
  const intent = { kind: 'PAY', payment: input.payment } as const;
  const adopting = createAdopting(input.task_queue_prefix);
  const adopt = (request: RepairRequest): Promise<void> => adopting(request, [{ intent, step: STEP }]);
  const show = createVisibility();
  let hash: string | null = null;
  const settled = (next: PaymentState): void => {
    // What is over stays so, in whatever order the steps report.
    if (life.state !== null && isOver(life.state.status)) return;
    life.state = next;
    life.changes += 1;
    const { verb, status } = next.operation;
    setCurrentDetails(`**${next.status}**\n\n- ${verb}: ${status.toLowerCase()}\n- transaction: ${hash ?? 'none'}`);
  };
  // What was read before another step wrote is out of date when that step was heard of first.
  const load = async (): Promise<void> => {
    for (;;) {
      const { changes } = life;
      const { marketplace_id, ...row } = await db.loadPayment({ payment_id });
      if (changes !== life.changes) continue;
      show({ key: MARKETPLACE_ID, value: marketplace_id }, { key: TX_HASH, value: hash });
      return settled(row);
    }
  };
  listen(payment_id, { life, db, settled, load, adopt });

  if (input.resume === true) await load();
  else if (!(await condition(() => life.state !== null, CREATION_LIMIT, { summary: 'it was not created' }))) return;

  const isEnded = (): boolean => life.state !== null && isOver(life.state.status);
  while (!isEnded()) {
    await condition(() => isEnded() || (life.state !== null && isDue(life.state.status)));
    if (life.state?.operation.status === 'PARKED') await untilRetried();
    if (!isEnded()) await pay();
  }
  await condition(allHandlersFinished);

  /** Drives the transaction to its end: landed, dead, or parked. */
  async function pay(): Promise<void> {
    try {
      const outcome = await executeOnChain({
        intent,
        step: STEP,
        operation_id: life.state?.operation.id ?? null,
        priority: PRIORITY,
        task_queue_prefix: input.task_queue_prefix,
      });
      if (outcome.status === 'LANDED') {
        hash = outcome.transaction_hash;
        return await load();
      }
      const { reason, detail, transaction_hash } = outcome;
      settled(await compensation.failPayment({ payment_id, reason, detail, transaction_hash }));
    } catch (error) {
      const failure = asRefusal(error);
      const reason = isReason(failure?.type) ? failure.type : null;
      if (failure === null || reason === null) throw error;
      const { message, details } = failure;
      if (REASON_TABLE[reason].retry === 'operator')
        settled(await db.parkPayment({ payment_id, reason, detail: { message, detail: details?.[0] ?? null } }));
      // Refused before anything was signed; also what became of it when it was canceled meanwhile.
      else settled(await compensation.failPayment({ payment_id, reason, detail: message, transaction_hash: null }));
    }
  }

  /** Parked: an operator looks at it and retries, or it is canceled as long as nothing is signed. */
  async function untilRetried(): Promise<void> {
    upsertSearchAttributes([{ key: ATTENTION, value: true }]);
    // Also when the row says that it was taken up already.
    await condition(() => life.retried || life.state?.operation.status !== 'PARKED' || isEnded());
    if (!isEnded()) settled(await db.unparkPayment({ payment_id }));
    life.retried = false;
    upsertSearchAttributes([{ key: ATTENTION, value: false }]);
  }
}

interface Listening {
  readonly life: Life;
  readonly db: Worded<PaymentRowActivities>;
  readonly settled: (next: PaymentState) => void;
  readonly load: () => Promise<void>;
  readonly adopt: (request: RepairRequest) => Promise<void>;
}

/** Whether the row allows a verb is judged under its lock, by the activity: two updates delivered together both come here. */
function listen(payment_id: string, { life, db, settled, load, adopt }: Listening): void {
  const answer = async (work: Promise<PaymentState>) => {
    try {
      const next = await work;
      settled(next);
      return { payment_id, status: next.status };
    } catch (error) {
      const refusal = asRefusal(error);
      // The row knows more than this history.
      if (refusal?.type === 'INVALID_STATE') await load();
      // Updates throw only ApplicationFailure.
      throw refusal ?? error;
    }
  };
  setHandler(rowWakeSignal, async () => {
    try {
      await load();
    } catch (error) {
      // A creation that was refused has no row.
      if (asRefusal(error)?.type !== 'NOT_FOUND') throw error;
    }
  });
  setHandler(createPaymentUpdate, (request) => answer(db.createPayment(request)));
  setHandler(approvePaymentUpdate, (request) => answer(db.approvePayment(request)));
  setHandler(cancelPaymentUpdate, (request) => answer(db.cancelPayment(request)));
  const validatorOf = (repair: Repair) => (request: RepairRequest) => {
    if (life.state?.operation.status !== 'PARKED')
      throw ApplicationFailure.nonRetryable('nothing is parked', 'INVALID_STATE');
    demandRequest(repair, request);
  };
  const retry = async (_request: RepairRequest): Promise<void> => {
    life.retried = true;
    await condition(() => !life.retried);
  };
  const adoptAndRetry = async (request: RepairRequest): Promise<void> => {
    try {
      await adopt(request);
    } catch (error) {
      throw asRefusal(error) ?? error;
    }
    // Another repair was faster: the step runs, or has run.
    if (life.state?.operation.status === 'PARKED') await retry(request);
  };
  setHandler(repairUpdates.retry, retry, { validator: validatorOf('retry') });
  setHandler(repairUpdates.adopt, adoptAndRetry, { validator: validatorOf('adopt') });
}

function activitiesOf(input: PaymentInput) {
  return {
    db: localSteps<PaymentRowActivities>({
      startToCloseTimeout: '10s',
      retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    }),
    compensation: steps<PaymentRowActivities>({
      taskQueue: `${input.task_queue_prefix}orders`,
      startToCloseTimeout: '10s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
  };
}
