/**
 * One dispute, from its opening until it is over. It alone drives the parts of the order that it is about:
 *
 *   OPEN → UNDER_REVIEW → RESOLVING → RESOLVED, or WITHDRAWN by its opener before RESOLVING
 *
 * The chain is touched at the decision, not before: a release is approve + release, a refund or a split is dispute +
 * resolve. What is true is the row; it exists before the workflow starts, which so can start from it in mid-life.
 */
import { allHandlersFinished, condition, setCurrentDetails, setHandler, uuid4 } from '@temporalio/workflow';
import type { DisputeActivities } from '../activities/disputes/index.ts';
import { isCommitted } from '../domain/dispute/decision.ts';
import { isDisputeOver } from '../domain/dispute/machine.ts';
import type { DisputeState } from '../domain/dispute/shapes.ts';
import { REPAIRS } from '../domain/repairs.ts';
import { createAdopting } from './adopting.ts';
import { type ChainDriver, type ChainPart, type Dead, createChainDriver } from './chain-driver.ts';
import { createClock } from './clock.ts';
import { asRefusal } from './failure.ts';
import {
  type DisputeAnswer,
  type DisputeInput,
  type RepairRequest,
  assignDisputeUpdate,
  clockAdvancedSignal,
  repairUpdates,
  resolveDisputeUpdate,
  rowWakeSignal,
  withdrawDisputeUpdate,
} from './messages.ts';
import { releaseParts, resolveParts } from './order-chain.ts';
import { DUE_AT, MARKETPLACE_ID, ORDER_ID, TX_HASH } from './search-attributes.ts';
import { createVisibility } from './visibility.ts';
import { localSteps, steps } from './worded.ts';

/** Money that waits to be paid out. */
const PRIORITY = 1;
/** A deadline that could not be acted upon is tried again after this long. */
const DEADLINE_RETRY_MS = 60_000;
const GIVEN_UP: Dead = { reason: 'CANCELED', detail: 'given up before anything was signed', transaction_hash: null };

export async function dispute({ dispute_id, task_queue_prefix }: DisputeInput): Promise<void> {
  const { db, compensation } = activitiesOf(task_queue_prefix);
  const adopt = createAdopting(task_queue_prefix);
  const life = createLife();
  const { current, settled } = life;
  // What was read before another step wrote is out of date when that step was heard of first.
  const load = async (): Promise<void> => {
    for (;;) {
      const { changes } = life;
      const { prepare_on, marketplace_id, ...row } = await db.loadDispute({ dispute_id });
      if (changes !== life.changes) continue;
      life.prepareOn = prepare_on;
      life.marketplaceId = marketplace_id;
      return settled(row);
    }
  };
  const driver = createChainDriver({
    task_queue_prefix,
    // The row is read again after each: it says what comes next.
    landed: (hash) => {
      life.hash = hash;
    },
    park: async ({ operation_id: _operation, ...why }) => settled(await db.parkDispute({ dispute_id, ...why })),
    unpark: async () => settled(await db.unparkDispute({ dispute_id })),
    isDiverted: (index) => current().parts.some((part) => part.index === index && part.diverted === true),
    carryOut: async (repair, request, { parts }) => {
      if (repair === 'adopt') await adopt(request, parts);
      else settled(await db.divertDecision({ dispute_id, approval_id: request.approval_id ?? '' }));
    },
  });
  listen(dispute_id, { db, driver, life, load });

  await load();
  while (!isDisputeOver(current().status)) {
    if (current().status === 'RESOLVING') {
      await resolve();
      continue;
    }
    const wait = life.dueInMs();
    const changed = () => life.woken || current().status === 'RESOLVING' || isDisputeOver(current().status);
    if (wait === null) await condition(changed);
    else if (!(await condition(changed, wait, { summary: 'nobody decided in time' })))
      await atDeadline(dispute_id, { db, life, load });
    life.woken = false;
  }
  await compensation.tellOrder({ dispute_id, order_id: current().order_id });
  await condition(allHandlersFinished);

  /** Drives the decision on from where the row says it is, transaction by transaction. */
  async function resolve(): Promise<void> {
    const { operation } = current();
    const operation_id = operation?.id ?? '';
    const fail = async (dead: Dead): Promise<void> =>
      settled(await compensation.failResolution({ dispute_id, operation_id, ...dead }));
    if (operation?.status === 'PARKED') {
      const next = nextStep(current());
      const { repairs = ['retry'] } = operation;
      const parked = { operation_id, repairs, parts: next === null ? [] : [next] };
      if ((await driver.untilRepaired(parked)) === 'give_up') return fail(GIVEN_UP);
    }
    for (let part = nextStep(current()); part !== null; part = nextStep(current())) {
      const run = { operation_id, prepare_on: life.prepareOn, priority: PRIORITY };
      const dead = await driver.drive(part, run);
      if (dead === null || dead === 'DIVERTED') await load();
      else await fail(dead);
    }
  }
}

/** Nobody decided in time: the order's default applies. */
async function atDeadline(dispute_id: string, { db, life, load }: Omit<Listening, 'driver'>): Promise<void> {
  const request = { dispute_id, operation_id: `op_${uuid4()}`, request_id: null, actor: null };
  try {
    life.settled(await db.beginDefault(request));
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal === null) throw error;
    // Who resumes the marketplace tells; unless that was just now.
    const waits = refusal.type === 'MARKETPLACE_PAUSED' && !life.woken;
    life.retryDeadline(waits ? Number.POSITIVE_INFINITY : DEADLINE_RETRY_MS);
    if (refusal.type === 'INVALID_STATE') await load();
  }
}

/** What the workflow knows of its row, and of time. */
function createLife() {
  const clock = createClock();
  let state: DisputeState | null = null;
  let notBefore = 0;
  const current = (): DisputeState => {
    if (state === null) throw new TypeError('the dispute is not loaded');
    return state;
  };
  const show = createVisibility();
  const life = {
    woken: false,
    /** how often the row was heard of */
    changes: 0,
    /** task queue of the escrow gateway, when it is not the usual one */
    prepareOn: undefined as 'chain' | undefined,
    marketplaceId: null as string | null,
    /** of the last transaction that landed */
    hash: null as string | null,
    clock,
    current,
    settled: (next: DisputeState): void => {
      state = next;
      life.changes += 1;
      clock.sync(next.clock_offset_ms);
      show(
        { key: ORDER_ID, value: next.order_id },
        { key: MARKETPLACE_ID, value: life.marketplaceId },
        { key: TX_HASH, value: life.hash },
        { key: DUE_AT, value: next.due_at === null ? null : new Date(next.due_at) },
      );
      setCurrentDetails(details(next, life.hash));
    },
    retryDeadline: (afterMs: number): void => {
      notBefore = clock.now() + afterMs;
    },
    wake: (): void => {
      notBefore = 0;
      life.woken = true;
    },
    dueInMs: (): number | null => {
      const { due_at } = current();
      if (due_at === null || notBefore === Number.POSITIVE_INFINITY) return null;
      return Math.max(0, Math.max(Date.parse(due_at), notBefore) - clock.now());
    },
  };
  return life;
}

interface Listening {
  readonly db: ReturnType<typeof activitiesOf>['db'];
  readonly driver: Pick<ChainDriver, 'demand' | 'repair' | 'resume'>;
  readonly life: ReturnType<typeof createLife>;
  readonly load: () => Promise<void>;
}

function listen(dispute_id: string, { db, driver, life, load }: Listening): void {
  const answering = async (change: Promise<DisputeState>): Promise<DisputeAnswer> => {
    try {
      life.settled(await change);
    } catch (error) {
      const refusal = asRefusal(error);
      // The row knows more than this history.
      if (refusal?.type === 'INVALID_STATE') await load();
      throw refusal ?? error;
    }
    return { dispute_id, status: life.current().status };
  };
  setHandler(assignDisputeUpdate, (request) => answering(db.assignDispute(request)));
  setHandler(withdrawDisputeUpdate, (request) => answering(db.withdrawDispute(request)));
  setHandler(resolveDisputeUpdate, (request) => answering(db.beginResolution(request)));
  for (const repair of REPAIRS)
    setHandler(repairUpdates[repair], (request) => driver.repair(repair, request), {
      validator: (request: RepairRequest) => driver.demand(repair, request),
    });
  setHandler(rowWakeSignal, async () => {
    await load();
    life.wake();
    // Taken up already, as the row says: nobody is asked again.
    if (life.current().operation?.status !== 'PARKED') await driver.resume();
  });
  setHandler(clockAdvancedSignal, ({ offset_ms }) => {
    life.clock.sync(offset_ms);
    life.woken = true;
  });
}

/** The transaction that comes next, or null when nothing is to be driven. */
function nextStep(state: DisputeState): ChainPart | null {
  const part = state.parts.find(({ outcome }) => outcome === null);
  if (state.status !== 'RESOLVING' || part?.shares == null) return null;
  const steps =
    state.decision === 'FULL_RELEASE' && !part.opened && part.diverted !== true
      ? releaseParts(state.order_id, part)
      : resolveParts(state.order_id, part.index, part.shares).slice(part.opened ? 1 : 0);
  const [step] = steps;
  if (step === undefined) return null;
  return isCommitted(state.parts) ? { ...step, mustLand: true } : step;
}

function activitiesOf(prefix: string) {
  return {
    // Short database work inside updates.
    db: localSteps<DisputeActivities>({
      startToCloseTimeout: '10s',
      retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    }),
    // What an operator is to see by name.
    compensation: steps<DisputeActivities>({
      taskQueue: `${prefix}orders`,
      startToCloseTimeout: '10s',
      retry: { initialInterval: '500ms', maximumInterval: '20s' },
    }),
  };
}

/** What an operator reads at the top of the workflow's page. */
function details({ status, decision, operation, due_at }: DisputeState, hash: string | null): string {
  const running = operation === null ? 'none' : `${operation.verb} (${operation.status.toLowerCase()})`;
  return [
    `**${status}**`,
    '',
    `- decision: ${decision ?? 'none'}`,
    `- operation: ${running}`,
    `- deadline: ${due_at ?? 'none'}`,
    `- last transaction: ${hash ?? 'none'}`,
  ].join('\n');
}
