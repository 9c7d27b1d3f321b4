/** How an order is played over HTTP: each play is a list of steps, each step answers what is worth showing. */
import { setTimeout as delay } from 'node:timers/promises';
import { Problem, type ApiClient } from '../client.ts';
import type { DemoOrder } from './input.ts';

export interface OrderView {
  readonly id: string;
  readonly status: string;
  readonly final_status: string | null;
  readonly operation: {
    readonly verb: string;
    readonly status: string;
    readonly transaction_hash: string | null;
    readonly error: { readonly detail: string } | null;
  } | null;
}

interface PlayStep {
  readonly title: string;
  /** runs the step; answers a transaction hash or a short remark */
  run(): Promise<string>;
}

interface PlayContext {
  readonly api: ApiClient;
  readonly order: DemoOrder;
  /** user ids by ref */
  readonly users: ReadonlyMap<string, string>;
  /** kills the worker while the order's funding is on its way, and starts it again */
  interruptFunding(orderId: string): Promise<void>;
  /** told when the order exists */
  onCreated(orderId: string): void;
  /** told the problem document of a refusal that was expected */
  onRefused(document: unknown): void;
}

/** The steps of an order, and how it must end. */
export interface Play {
  readonly steps: readonly PlayStep[];
  readonly expected: { readonly status: string; readonly final_status: string | null };
}

const WAIT_S = 60;
const POLL_MS = 200;
/** A killed worker's step is taken up again after ten seconds; this is when to give up. */
const PATIENCE_MS = 120_000;
const SHOWN_HASH = 12;

const RELEASED = { status: 'CLOSED', final_status: 'RELEASED' };

export function playOf(context: PlayContext): Play {
  const { order } = context;
  const act = actions(context);
  switch (order.play) {
    case 'steps':
      return {
        steps: [
          act.create(false),
          act.verb('reserve', 'reserve'),
          act.verb('escrow', 'escrow'),
          order.kill_worker === true ? act.interruptedFunding() : act.verb('fund', 'escrow/fund'),
          act.verb('deliver', 'deliver'),
          act.verb('release', 'resolution/release'),
        ],
        expected: RELEASED,
      };
    case 'auto':
      return {
        steps: [
          act.create(true),
          act.inProgress(),
          act.verb('deliver', 'deliver'),
          act.verb('release', 'resolution/release'),
        ],
        expected: RELEASED,
      };
    case 'cancel':
      return {
        steps: [act.create(false), act.verb('reserve', 'reserve'), act.verb('cancel', 'cancel')],
        expected: { status: 'CLOSED', final_status: 'CANCELED' },
      };
    case 'refused':
      return { steps: [act.create(false), act.refusal()], expected: { status: 'ORDER_CREATED', final_status: null } };
  }
}

function actions({ api, order, users, interruptFunding, onCreated, onRefused }: PlayContext) {
  let id = '';
  const read = (): Promise<OrderView> => api.get<OrderView>(`/orders/${id}`);
  const settled = (verb: string): Promise<OrderView> =>
    until(`${verb} of ${order.ref} is settled`, async () => {
      const view = await read();
      return view.operation?.verb === verb && view.operation.status !== 'RUNNING' ? view : null;
    });
  const outcome = (verb: string, view: OrderView): string => {
    if (view.operation?.status !== 'SUCCEEDED')
      throw new Error(`${verb}: ${view.operation?.error?.detail ?? view.operation?.status ?? view.status}`);
    return shorten(view.operation.transaction_hash);
  };
  return {
    create: (auto: boolean): PlayStep => ({
      title: auto ? 'create, everything up to funding by itself' : 'create',
      async run() {
        const body = {
          buyer_id: users.get(order.buyer),
          seller_id: users.get(order.seller),
          amount: order.amount,
          title: order.title,
        };
        id = (await api.post<OrderView>('/orders', { ...body, client_order_ref: order.ref, auto })).id;
        onCreated(id);
        return id;
      },
    }),
    verb: (verb: string, path: string): PlayStep => ({
      title: verb,
      async run() {
        await api.post(`/orders/${id}/${path}`, {}, WAIT_S);
        return outcome(verb, await settled(verb));
      },
    }),
    inProgress: (): PlayStep => ({
      title: 'reserve, escrow and fund',
      async run() {
        const view = await until(`${order.ref} is in progress`, async () => {
          const found = await read();
          return found.status === 'IN_PROGRESS' ? found : null;
        });
        return outcome('fund', view);
      },
    }),
    interruptedFunding: (): PlayStep => ({
      title: 'fund; the worker is killed meanwhile and started again',
      async run() {
        const [, hash] = await Promise.all([
          interruptFunding(id),
          api.post(`/orders/${id}/escrow/fund`, {}).then(async () => outcome('fund', await settled('fund'))),
        ]);
        return hash;
      },
    }),
    refusal: (): PlayStep => ({
      title: 'reserve is refused',
      async run() {
        try {
          await api.post(`/orders/${id}/reserve`, {});
        } catch (error) {
          if (!(error instanceof Problem) || error.code !== 'INSUFFICIENT_FUNDS') throw error;
          onRefused(error.document);
          return `${error.status} ${error.code}`;
        }
        throw new Error(`${order.ref}: more was reserved than there is`);
      },
    }),
  };
}

/** Asks until there is an answer. @throws Error when it takes too long */
export async function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const answer = await ask();
    if (answer !== null) return answer;
    await delay(POLL_MS);
  }
  throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
}

export function shorten(hash: string | null): string {
  return hash === null ? '' : `${hash.slice(0, SHOWN_HASH)}…`;
}
