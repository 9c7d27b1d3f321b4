/**
 * One order, from creation to CLOSED. Read top to bottom: the life, its messages, what the system does by itself.
 *
 *   ORDER_CREATED → FUNDS_RESERVED → ESCROW_CREATING → ESCROW_FUNDING → IN_PROGRESS → RELEASE_REQUESTED → CLOSED
 *                                                                     or REFUND_REQUESTED
 *
 * What is allowed is decided by `domain/order/machine.ts`; what is true is the row: every step writes it with a
 * compare-and-set and hands back the state, so that the workflow can start from its row in mid-life (`resume`).
 */
import type { UpdateDefinition } from '@temporalio/common';
import { allHandlersFinished, condition, setHandler, uuid4 } from '@temporalio/workflow';
import type { OrderState } from '../domain/order/shapes.ts';
import { REPAIRS } from '../domain/repairs.ts';
import type { OrderVerb } from '../domain/statuses.ts';
import { type Clock, createClock } from './clock.ts';
import {
  type CreateOrder,
  type OrderAnswer,
  type OrderInput,
  type RepairRequest,
  type VerbRequest,
  cancelUpdate,
  clockAdvancedSignal,
  completeMilestoneUpdate,
  createOrderUpdate,
  deliverUpdate,
  disputeSettledSignal,
  disputeUpdate,
  escrowUpdate,
  extendUpdate,
  foreignTransactionSignal,
  fundUpdate,
  openSigningRequestUpdate,
  orderWakeSignal,
  refundUpdate,
  releaseMilestoneUpdate,
  releaseUpdate,
  repairUpdates,
  reserveUpdate,
  submitSignatureUpdate,
} from './messages.ts';
import type { OperationRequest } from './order-chain.ts';
import { type OrderOperations, createOrderOperations } from './order-operations.ts';
import { type VerbGate, createVerbGate } from './verb-gate.ts';

/** A creation that was refused leaves a workflow without an order: it ends itself when none comes. */
const CREATION_LIMIT = '1 minute';
/** A deadline whose verb failed is tried again after this long. */
const DEADLINE_RETRY_MS = 60_000;
/** An automatic step that was proved dead is tried again after this long, then after twice as long, up to an hour. */
const AUTO_RETRY_MS = 10_000;
const AUTO_RETRY_MAX_MS = 3_600_000;
interface Life {
  state: OrderState | null;
  /** something happened outside that may let an `auto` order go on */
  woken: boolean;
  /** the row may have moved without us: Temporal or the database was restored */
  stale: boolean;
  /** no deadline is tried before this time */
  notBefore: number;
  /** the last one was refused because the marketplace is paused: who resumes it tells */
  paused: boolean;
  /** how often business time was moved from outside */
  ticks: number;
  /** automatic steps that failed one after the other, and when the next is due */
  failures: number;
  autoAgainAt: number | null;
  readonly clock: Clock;
  /** a new id for an operation of the system's own */
  readonly operationId: (verb: OrderVerb) => string;
}

export async function order(input: OrderInput): Promise<void> {
  const life: Life = {
    state: null,
    woken: false,
    stale: false,
    notBefore: 0,
    paused: false,
    ticks: 0,
    failures: 0,
    autoAgainAt: null,
    clock: createClock(),
    operationId: createOperationIds(),
  };
  const operations = createOrderOperations(input, (next) => {
    life.state = next;
    life.clock.sync(next.clock_offset_ms);
  });
  const gate = createVerbGate(() => life.state, operations.refresh, operations.control);
  listen(input, life, operations, gate);

  if (input.resume === true) {
    await operations.refresh();
    await operations.takeUpDisputes();
  } else if (!(await condition(() => life.state !== null, CREATION_LIMIT, { summary: 'it was not created' }))) return;

  await Promise.all([live(life, operations, gate), watchDeadlines(life, operations, gate)]);
  if (life.state?.surplus === true) await operations.startSurplus();
  await condition(allHandlersFinished);
}

async function live(life: Life, operations: OrderOperations, gate: VerbGate): Promise<void> {
  while (isOpen(life)) {
    if (life.stale && !gate.busy()) {
      life.stale = false;
      await operations.refresh();
      await operations.takeUpDisputes();
    }
    if (!gate.busy()) await advance(life, operations, gate);
    const before = life.state;
    const changed = () => life.woken || (!gate.busy() && life.state !== before) || !isOpen(life);
    if (life.autoAgainAt === null) await condition(changed);
    else await condition(changed, Math.max(0, life.autoAgainAt - life.clock.now()), { summary: 'go on by itself' });
    life.woken = false;
  }
}

const isOpen = (life: Life): boolean => life.state?.status !== 'CLOSED';

/** Registers every message; a verb is admitted by its validator and checked again under the mutex. */
function listen(input: OrderInput, life: Life, operations: OrderOperations, gate: VerbGate): void {
  const answer = (): OrderAnswer => ({ order_id: input.order_id, status: life.state?.status ?? 'ORDER_CREATED' });
  const handle = <Request extends VerbRequest>(
    update: UpdateDefinition<OrderAnswer, [Request]>,
    verb: OrderVerb,
    run: (request: Request & OperationRequest) => Promise<void>,
  ): void => {
    const handler = async (request: Request) => {
      await condition(() => life.state !== null);
      await gate.run(verb, () => run({ ...request, cause: 'API' }));
      return answer();
    };
    setHandler(update, handler, { validator: (_request: Request) => gate.admit(verb) });
  };

  setHandler(createOrderUpdate, async (request: CreateOrder) => {
    await operations.create(request);
    return answer();
  });
  handle(reserveUpdate, 'reserve', operations.reserve);
  handle(escrowUpdate, 'escrow', operations.escrow);
  handle(fundUpdate, 'fund', operations.fund);
  handle(deliverUpdate, 'deliver', operations.deliver);
  handle(completeMilestoneUpdate, 'complete_milestone', operations.complete_milestone);
  handle(releaseMilestoneUpdate, 'release_milestone', operations.release_milestone);
  handle(releaseUpdate, 'release', operations.release);
  handle(refundUpdate, 'refund', operations.refund);
  handle(disputeUpdate, 'dispute', operations.dispute);
  handle(cancelUpdate, 'cancel', operations.cancel);
  handle(extendUpdate, 'extend', operations.extend);
  for (const repair of REPAIRS)
    setHandler(repairUpdates[repair], (request) => operations.repairs.repair(repair, request), {
      validator: (request: RepairRequest) => operations.repairs.demand(repair, request),
    });
  setHandler(openSigningRequestUpdate, operations.signatures.open);
  setHandler(submitSignatureUpdate, operations.signatures.submit);
  setHandler(orderWakeSignal, async ({ cause }) => {
    life.woken = true;
    if (cause === 'RESUME') {
      life.stale = true;
      life.notBefore = 0;
      life.paused = false;
      life.ticks += 1;
    }
    operations.signatures.touch();
    if (cause === 'RESUME') await operations.resumeParked();
  });
  setHandler(clockAdvancedSignal, ({ offset_ms }) => {
    life.clock.sync(offset_ms);
    life.ticks += 1;
  });
  setHandler(disputeSettledSignal, operations.settleDisputes);
  setHandler(foreignTransactionSignal, ({ transaction_hash }) => operations.bookForeign(transaction_hash));
}

/** What the system does by itself: `auto` orders go on to IN_PROGRESS as far as money and wallets allow. */
async function advance(life: Life, operations: OrderOperations, gate: VerbGate): Promise<void> {
  await gate.adopt(operations.adopt);
  life.autoAgainAt = null;
  for (let verb = autoVerb(life.state); verb !== null; verb = autoVerb(life.state)) {
    const before = life.state;
    const run = operations[verb];
    await gate.system(verb, () => run(systemRequest(life, verb, 'AUTO')));
    // A worker that died with a task in hand may have come further on the row than this history ever heard of.
    await gate.adopt(operations.adopt);
    const { state } = life;
    // Waiting for a deposit or a wallet: the next message decides.
    if (state === before || state?.waiting_for != null) return;
    if (state?.operation?.status === 'FAILED' || state?.status === before?.status) {
      life.autoAgainAt = life.clock.now() + Math.min(AUTO_RETRY_MS * 2 ** life.failures, AUTO_RETRY_MAX_MS);
      life.failures += 1;
      return;
    }
    life.failures = 0;
  }
}

/** Beside everything else: also while an operation runs, which the funding deadline may end. */
async function watchDeadlines(life: Life, operations: OrderOperations, gate: VerbGate): Promise<void> {
  while (isOpen(life)) {
    const mark = timerOf(life);
    const moved = () => timerOf(life) !== mark || !isOpen(life);
    const wait = dueInMs(life);
    if (wait === null) await condition(moved);
    else if (wait === 0 || !(await condition(moved, wait, { summary: deadlineWords(life.state) })))
      await atDeadline(life, operations, gate);
  }
}

/** Changes when the next timer does. */
const timerOf = (life: Life): string => `${life.state?.due?.at} ${life.notBefore} ${life.ticks} ${sleeps(life)}`;

/** As long as the row says that it waits for the marketplace; any other verb may have changed that. */
const sleeps = ({ state, paused }: Life): boolean => paused && state?.waiting_for === 'RESUME';

/**
 * Deadlines are the system's verbs: same mutex, same check; behind a running operation they wait for its end. They name the
 * time that is over, so that one which was moved, or whose verb was accepted before, does nothing.
 */
async function atDeadline(life: Life, operations: OrderOperations, gate: VerbGate): Promise<void> {
  const due = life.state?.due ?? null;
  const verb = deadlineVerb(life.state);
  const { ticks } = life;
  if (due === null || verb === null) return;
  const request = { ...systemRequest(life, verb, 'DEADLINE'), reason: DEADLINE_REASONS[verb], deadline_at: due.at };
  await gate.system(verb, () => operations[verb](request));
  // It failed, or has to wait: the next one may be another's.
  if (life.state?.due?.at === due.at) life.notBefore = life.clock.now() + DEADLINE_RETRY_MS;
  life.paused = life.state?.waiting_for === 'RESUME' && life.ticks === ticks;
}

const DEADLINE_REASONS = {
  cancel: 'funding deadline',
  refund: 'delivery deadline',
  release: 'inspection period over',
  release_milestone: 'inspection period over',
} as const;

function deadlineVerb(state: OrderState | null): keyof typeof DEADLINE_REASONS | null {
  switch (state?.due?.action) {
    case 'EXPIRE':
      return 'cancel';
    case 'AUTO_REFUND':
      return 'refund';
    case 'AUTO_RELEASE':
      return state.hasMilestones ? 'release_milestone' : 'release';
    default:
      return null;
  }
}

function deadlineWords(state: OrderState | null): string {
  const verb = deadlineVerb(state);
  return verb === null ? 'deadline' : `${DEADLINE_REASONS[verb]}: ${verb.replaceAll('_', ' ')}`;
}

function dueInMs(life: Life): number | null {
  const { state, notBefore, clock } = life;
  if (state?.due == null || sleeps(life)) return null;
  return Math.max(0, Math.max(Date.parse(state.due.at), notBefore) - clock.now());
}

const systemRequest = ({ operationId }: Life, verb: OrderVerb, cause: 'AUTO' | 'DEADLINE'): OperationRequest => ({
  operation_id: operationId(verb),
  request_id: null,
  actor: null,
  reason: null,
  cause,
});

/**
 * The how-manieth try of a verb, of this run: a task whose worker died with it is repeated with a longer history, and finds on
 * the row what it began. Counted by verb, as a deadline that was not over at the first attempt may go first at the second.
 * Drawn from the run's seed, which a reset keeps for what it replays; its own id is another one then.
 */
function createOperationIds(): (verb: OrderVerb) => string {
  const run = uuid4().replaceAll('-', '');
  const tries = new Map<OrderVerb, number>();
  return (verb) => {
    const next = (tries.get(verb) ?? 0) + 1;
    tries.set(verb, next);
    return `op_${run}_${verb}_${next}`;
  };
}

function autoVerb(state: OrderState | null): 'reserve' | 'escrow' | 'fund' | null {
  if (state === null || !state.auto) return null;
  switch (state.status) {
    case 'ORDER_CREATED':
      return 'reserve';
    case 'FUNDS_RESERVED':
      return 'escrow';
    case 'ESCROW_FUNDING':
      return 'fund';
    default:
      return null;
  }
}
