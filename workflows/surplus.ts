/**
 * What is left in the contract of an order that is over, because somebody else paid into it, until nothing is:
 *
 *   look → WAITING (two persons say where it goes) → PAYING → look …  → SETTLED
 *
 * The contract pays it out by itself only when every part is settled or in dispute: of an order that never was funded the
 * parts are put into dispute first. What is true is the rows; each look starts from them, and so does a new run.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { SurplusActivities } from '../activities/surplus/index.ts';
import { REPAIRS } from '../domain/repairs.ts';
import type { SurplusState } from '../domain/surplus.ts';
import { createAdopting } from './adopting.ts';
import { type ChainDriver, type ChainPart, type Dead, createChainDriver } from './chain-driver.ts';
import { asRefusal } from './failure.ts';
import { type RepairRequest, type SurplusInput, repairUpdates, rowWakeSignal } from './messages.ts';
import { demandRequest } from './repair-requests.ts';
import { ATTENTION, ESCROW_CONTRACT_ID, MARKETPLACE_ID, ORDER_ID } from './search-attributes.ts';
import { type Worded, localSteps, steps } from './worded.ts';

/** Money that waits to be paid out, behind releases. */
const PRIORITY = 2;
/** So often a payout is tried on the word of the same two persons. */
const ATTEMPTS = 3;
const PAUSE_MS = 5_000;

interface Life {
  found: SurplusState | null;
  /** the rows may have moved since the last look */
  woken: boolean;
  /** payouts that came to nothing, one after the other */
  failures: number;
}

export async function surplus(input: SurplusInput): Promise<void> {
  const { escrow_id } = input;
  const life: Life = { found: null, woken: false, failures: 0 };
  const activities = activitiesOf(input.task_queue_prefix);
  const { db, seen } = activities;
  const adopt = createAdopting(input.task_queue_prefix);
  const driver = createChainDriver({
    task_queue_prefix: input.task_queue_prefix,
    landed: () => undefined,
    park: ({ operation_id: _operation, ...why }) => db.parkSurplus({ escrow_id, ...why }),
    unpark: () => db.unparkSurplus({ escrow_id }),
    isDiverted: () => false,
    carryOut: (_repair, request, { parts }) => adopt(request, parts),
  });
  listen(escrow_id, life, db, driver);

  for (;;) {
    life.woken = false;
    const found = await seen.lookAtSurplus({ escrow_id });
    life.found = found;
    show(found);
    if (found.status === 'PAYING') await pay(input, life, { driver, ...activities });
    else if (found.status === 'WAITING') await condition(() => life.woken);
    await condition(() => life.woken || allHandlersFinished());
    if (life.woken || found.status === 'PAYING') await freshHistory(input);
    else return;
  }
}

/** What operators search by, and read at the top of the workflow's page. */
function show(found: SurplusState): void {
  setCurrentDetails(details(found));
  upsertSearchAttributes([
    { key: ORDER_ID, value: found.order_id },
    { key: MARKETPLACE_ID, value: found.marketplace_id },
    { key: ESCROW_CONTRACT_ID, value: found.contract_id },
    { key: ATTENTION, value: found.status === 'WAITING' },
  ]);
}

/** Anybody can pay in as often as he likes. */
async function freshHistory(input: SurplusInput): Promise<void> {
  if (!workflowInfo().continueAsNewSuggested) return;
  await condition(allHandlersFinished);
  await continueAsNew<typeof surplus>(input);
}

/** Drives the payout to its end: landed, or given up; in between it may be parked. */
async function pay(
  { escrow_id }: SurplusInput,
  life: Life,
  { driver, compensation }: { readonly driver: ChainDriver } & Pick<ReturnType<typeof activitiesOf>, 'compensation'>,
): Promise<void> {
  const { found } = life;
  if (found?.approval_id == null) return;
  const { approval_id, prepare_on } = found;
  const run = { operation_id: approval_id, priority: PRIORITY, prepare_on };
  const parts = partsOf(found, approval_id);
  for (const part of parts) {
    const dead = await driver.drive(part, run);
    if (dead !== null && dead !== 'DIVERTED') return again(dead);
  }
  life.failures = 0;

  async function again({ reason }: Dead): Promise<void> {
    life.failures += 1;
    if (reason !== 'CANCELED' && life.failures < ATTEMPTS) {
      await sleep(PAUSE_MS * life.failures, { summary: 'before it is tried again' });
      return;
    }
    life.failures = 0;
    await compensation.dropSurplusApproval({ escrow_id, approval_id, step: withdrawStep(approval_id) });
  }
}

const withdrawStep = (approvalId: string): string => `withdraw:${approvalId}`;

function partsOf({ order_id: orderId, open_parts }: SurplusState, approvalId: string): ChainPart[] {
  const disputes = open_parts.map(
    (milestoneIndex): ChainPart => ({
      step: milestoneIndex === null ? 'dispute' : `dispute:${milestoneIndex}`,
      intent: { kind: 'OPEN_DISPUTE', orderId, milestoneIndex },
    }),
  );
  return [...disputes, { step: withdrawStep(approvalId), intent: { kind: 'WITHDRAW_SURPLUS', orderId, approvalId } }];
}

function listen(
  escrow_id: string,
  life: Life,
  db: Pick<Worded<SurplusActivities>, 'takeSurplusApproval'>,
  driver: ChainDriver,
): void {
  setHandler(rowWakeSignal, () => {
    life.woken = true;
  });
  for (const repair of REPAIRS) {
    if (repair === 'payout_to') continue;
    setHandler(repairUpdates[repair], (request) => driver.repair(repair, request), {
      validator: (request: RepairRequest) => driver.demand(repair, request),
    });
  }
  const approved = async ({ approval_id = '' }: RepairRequest): Promise<void> => {
    try {
      await db.takeSurplusApproval({ escrow_id, approval_id });
    } catch (error) {
      // Updates throw only ApplicationFailure.
      throw asRefusal(error) ?? error;
    }
    life.woken = true;
  };
  setHandler(repairUpdates.payout_to, approved, { validator: (request) => demandRequest('payout_to', request) });
}

function activitiesOf(prefix: string) {
  const taskQueue = `${prefix}orders`;
  return {
    // Short database work inside updates.
    db: localSteps<SurplusActivities>({
      startToCloseTimeout: '10s',
      retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    }),
    // It reads the chain.
    seen: steps<SurplusActivities>({
      taskQueue,
      startToCloseTimeout: '30s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
    // What an operator is to see by name.
    compensation: steps<SurplusActivities>({
      taskQueue,
      startToCloseTimeout: '10s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
  };
}

function details({ status, amount, asset, contract_id }: SurplusState): string {
  const words = {
    SETTLED: 'Nothing is left.',
    WAITING: `${amount} ${asset} are left: two persons have to say where they go (repair \`payout_to\`).`,
    PAYING: `${amount} ${asset} are being paid out.`,
  };
  return `**${status}**\n\n- ${words[status]}\n- contract: ${contract_id}`;
}
