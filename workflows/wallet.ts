/**
 * One wallet, as long as it lives: its user's row, its provisioning, then its payment stream, until it is closed. The
 * workflow id makes it the only one that books for the wallet, whatever number of processes run.
 */
import {
  CancellationScope,
  TemporalFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PaymentActivities } from '../activities/payments/index.ts';
import type { WalletActivities } from '../activities/wallets/index.ts';
import { orderWorkflowId } from '../domain/workflow-ids.ts';
import { asRefusal } from './failure.ts';
import {
  type ChangeUser,
  type CreateUser,
  type UserAnswer,
  type WalletClosed,
  type WalletInput,
  changeUserUpdate,
  closeWalletUpdate,
  createUserUpdate,
  orderWakeSignal,
  repairTrustlinesSignal,
  walletWakeSignal,
} from './messages.ts';
import { walletCare } from './wallet-care.ts';
import { localSteps } from './worded.ts';

/** A creation that was refused leaves a workflow without a wallet: it ends itself when none comes. */
const CREATION_LIMIT = '1 minute';
/** Somebody looks at provisioning that often even if no signal came. */
const PROVISIONING_LOOK = '5 minutes';
/** A wallet that was quiet for this long sleeps: no pending activity, no cost; the chain reader wakes it. */
const HOLD_MS = 120_000;
/** Replaying a longer history costs more than starting anew. */
const EVENTS_MAX = 500;

export async function wallet(input: WalletInput): Promise<void> {
  const { wallet_id } = input;
  let creation: 'AWAITED' | 'RUNNING' | 'DONE' | 'REFUSED' = input.resume === true ? 'DONE' : 'AWAITED';
  const life: Life = { woken: false, closed: false, stream: new CancellationScope() };
  const activities = activitiesOf(input.task_queue_prefix);
  const { db, requestProvisioning } = activities;
  const care = walletCare(input);

  setHandler(createUserUpdate, (request: CreateUser) => create(request));
  setHandler(changeUserUpdate, (change: ChangeUser) => refusing(() => db.changeUser({ ...change, wallet_id })));
  setHandler(closeWalletUpdate, () => refusing(close));
  setHandler(repairTrustlinesSignal, () => care.repair());
  setHandler(walletWakeSignal, () => {
    life.woken = true;
  });

  await condition(() => creation !== 'AWAITED', CREATION_LIMIT, { summary: 'it was not created' });
  await condition(() => creation !== 'RUNNING');
  if (creation === 'DONE') {
    const ready = await provisioned();
    // Begun before this run, by one that was lost: it is finished first. Refused, the wallet stays open.
    if (ready.closing) await close().catch(rethrowUnlessRefused);
    if (!life.closed) await (input.follow ? follow(input, activities, life, ready) : condition(() => over(life)));
    await condition(allHandlersFinished);
    if (!life.closed) await continueAsNew<typeof wallet>({ ...input, resume: true });
  }
  await condition(allHandlersFinished);

  async function create(request: CreateUser): Promise<UserAnswer> {
    if (creation === 'AWAITED') creation = 'RUNNING';
    let created = false;
    try {
      const answer = await refusing(() => db.createUser(request));
      created = answer.created;
      return answer;
    } finally {
      if (creation !== 'DONE') creation = created ? 'DONE' : 'REFUSED';
    }
  }

  /** Nothing can arrive for an account that is gone: the stream ends with it. */
  async function close(): Promise<WalletClosed> {
    const answer = await care.close();
    life.closed = true;
    setCurrentDetails('**CLOSED**');
    life.stream.cancel();
    return answer;
  }

  async function provisioned(): Promise<{ address: string; cursor: string; closing: boolean }> {
    for (let asked = false; ; asked = true) {
      life.woken = false;
      const { status, address, cursor, closing } = await db.loadWallet({ wallet_id });
      life.closed ||= status === 'CLOSED';
      setCurrentDetails(`**${status}**\n\n- address: ${address ?? 'none'}\n- recorded up to: ${cursor ?? 'nothing'}`);
      if (status !== 'PROVISIONING' && address !== null && cursor !== null) return { address, cursor, closing };
      if (!asked) await requestProvisioning();
      await condition(() => life.woken, PROVISIONING_LOOK, { summary: 'look whether it is provisioned' });
    }
  }
}

/** What handlers and the stream tell each other. */
interface Life {
  woken: boolean;
  closed: boolean;
  /** of the activity that holds the stream */
  stream: CancellationScope;
}

type Activities = ReturnType<typeof activitiesOf>;

/** The stream: wait for a page, record and book it with its cursor, tell the orders that wait for money. */
async function follow(
  input: WalletInput,
  { db, awaitPayments }: Activities,
  life: Life,
  { address, cursor: from }: { address: string; cursor: string },
): Promise<void> {
  const { wallet_id, source } = input;
  let cursor = from;
  while (!over(life)) {
    life.woken = false;
    life.stream = new CancellationScope();
    const held = life.stream.run(() => awaitPayments({ wallet_id, address, cursor, source, hold_ms: HOLD_MS }));
    const page = await held.catch((error: unknown) => {
      if (life.closed && isCancellation(error)) return null;
      throw error;
    });
    if (page === null) return;
    if (page.cursor !== cursor) {
      const recorded = await db.recordMovements({ wallet_id, page });
      cursor = recorded.cursor;
      setCurrentDetails(`**READY**\n\n- address: ${address}\n- recorded up to: ${cursor}`);
      for (const id of recorded.order_ids) await tell(id);
    }
    if (page.movements.length === 0) await condition(() => life.woken || over(life));
  }
}

const over = ({ closed }: Life): boolean => closed || tooLong();

/** An order that is over needs no money: nobody to tell. */
async function tell(orderId: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(orderWorkflowId(orderId)).signal(orderWakeSignal, { cause: 'DEPOSIT' });
  } catch (error) {
    if (isCancellation(error) || !(error instanceof TemporalFailure)) throw error;
  }
}

/** Short database work is local; what leaves the process, and the stream, are activities of their own. */
function activitiesOf(prefix: string) {
  const db = localSteps<WalletActivities>({
    startToCloseTimeout: '10s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
  });
  const { requestProvisioning } = proxyActivities<WalletActivities>({
    taskQueue: `${prefix}orders`,
    summary: 'ask the provisioner',
    startToCloseTimeout: '10s',
    retry: { initialInterval: '500ms', maximumInterval: '20s' },
  });
  const { awaitPayments } = proxyActivities<PaymentActivities>({
    taskQueue: `${prefix}payments`,
    summary: 'hold the payment stream',
    startToCloseTimeout: HOLD_MS + 60_000,
    heartbeatTimeout: '15s',
    // A stream is lost with every deployment: attempts say nothing about the provider.
    retry: { initialInterval: '1s', backoffCoefficient: 1 },
  });
  return { db, requestProvisioning, awaitPayments };
}

const tooLong = (): boolean => workflowInfo().historyLength > EVENTS_MAX || workflowInfo().continueAsNewSuggested;

const rethrowUnlessRefused = (error: unknown): void => {
  if (asRefusal(error) === null) throw error;
};

/** A plain error in a handler would stick the workflow: only refusals leave it. */
async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asRefusal(error) ?? error;
  }
}
