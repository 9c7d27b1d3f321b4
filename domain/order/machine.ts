/**
 * The order's state machine: which verb is allowed in which state, and where it leads. Pure; the workflow drives it, the
 * API shows it, the diagram in the documentation is generated from it.
 */
import { ORDER_VERBS, type OperationStatus, type OrderStatus, type OrderVerb } from '../statuses.ts';

export interface Transition {
  readonly from: OrderStatus;
  readonly verb: OrderVerb;
  /** status while the verb's transactions are under way; null when it does not change before they landed */
  readonly enters: OrderStatus | null;
  /** statuses passed when it is done, the last one is where the verb leads */
  readonly through: readonly OrderStatus[];
  /** where the order stands when the verb's transaction is proved dead; null for verbs that touch no chain */
  readonly ifDead: OrderStatus | null;
  /** what else may start it besides a caller */
  readonly alsoBy: readonly string[];
}

const transition = (
  from: OrderStatus,
  verb: OrderVerb,
  through: readonly OrderStatus[],
  chain: { readonly enters?: OrderStatus; readonly ifDead: OrderStatus } | null = null,
  alsoBy: readonly string[] = [],
): Transition => ({ from, verb, through, enters: chain?.enters ?? null, ifDead: chain?.ifDead ?? null, alsoBy });

const FUNDING_DEADLINE = ['funding deadline'];

export const TRANSITIONS: readonly Transition[] = [
  transition('ORDER_CREATED', 'reserve', ['FUNDS_RESERVED'], null, ['auto']),
  transition('ORDER_CREATED', 'cancel', ['CLOSED'], null, FUNDING_DEADLINE),
  transition('ORDER_CREATED', 'extend', ['ORDER_CREATED']),
  transition('FUNDS_RESERVED', 'cancel', ['CLOSED'], null, FUNDING_DEADLINE),
  transition('FUNDS_RESERVED', 'escrow', ['ESCROW_FUNDING'], { enters: 'ESCROW_CREATING', ifDead: 'FUNDS_RESERVED' }, [
    'auto',
  ]),
  transition('FUNDS_RESERVED', 'extend', ['FUNDS_RESERVED']),
  transition('ESCROW_FUNDING', 'cancel', ['CLOSED'], null, FUNDING_DEADLINE),
  transition('ESCROW_FUNDING', 'fund', ['ESCROW_FUNDED', 'IN_PROGRESS'], { ifDead: 'ESCROW_FUNDING' }, ['auto']),
  transition('ESCROW_FUNDING', 'extend', ['ESCROW_FUNDING']),
  transition('IN_PROGRESS', 'deliver', ['IN_PROGRESS'], { ifDead: 'IN_PROGRESS' }),
  transition('IN_PROGRESS', 'release', ['RELEASED', 'CLOSED'], { enters: 'RELEASE_REQUESTED', ifDead: 'IN_PROGRESS' }, [
    'inspection period over',
  ]),
];

/** What decides about a verb. */
export interface OrderView {
  readonly status: OrderStatus;
  readonly operation: { readonly status: OperationStatus } | null;
  readonly delivered: boolean;
}

const isBusy = (view: OrderView): boolean =>
  view.operation?.status === 'RUNNING' || view.operation?.status === 'PARKED';

/** The transition a verb would take now, or null when it is not allowed. */
export function transitionOf(view: OrderView, verb: OrderVerb): Transition | null {
  if (isBusy(view)) return null;
  if (verb === 'deliver' && view.delivered) return null;
  return TRANSITIONS.find((candidate) => candidate.from === view.status && candidate.verb === verb) ?? null;
}

/** The verbs that are allowed now, in the order in which an order lives. */
export function allowedVerbs(view: OrderView): OrderVerb[] {
  return ORDER_VERBS.filter((verb) => transitionOf(view, verb) !== null);
}

/** Why a verb is refused, in words for the problem document. */
export function refusal(view: OrderView, verb: OrderVerb): string {
  if (isBusy(view)) return `${verb} has to wait: another operation is ${view.operation?.status.toLowerCase()}`;
  const from = TRANSITIONS.filter((candidate) => candidate.verb === verb).map((candidate) => candidate.from);
  if (from.includes(view.status)) return `${verb} was done before`;
  return from.length === 0 ? `${verb} is not available` : `${verb} needs ${from.join(' or ')}`;
}
