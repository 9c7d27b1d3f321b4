/**
 * The order's state machine: which verb is allowed in which state, and where it leads. Pure; the workflow drives it, the
 * API shows it, `docs/state-machine.*` are generated from it.
 */
import {
  type MilestoneStatus,
  type OperationStatus,
  ORDER_VERBS,
  type OrderStatus,
  type OrderVerb,
} from '../statuses.ts';
import type { Repair } from '../repairs.ts';
import { takes } from './milestones.ts';

export interface Transition {
  readonly from: OrderStatus;
  /** `dispute_settled` comes from the dispute's workflow, nobody calls it */
  readonly verb: OrderVerb | 'dispute_settled';
  /** what else may start it besides a caller */
  readonly alsoBy: readonly string[];
  /** status while its transactions are under way, when it will settle all that is left; null when there is none */
  readonly enters: OrderStatus | null;
  /** statuses that are passed when it is done; the first way is the whole one, others are for orders with parts left */
  readonly ways: readonly (readonly OrderStatus[])[];
  /** where the order stands when its transaction is proved dead; null for verbs that touch no chain */
  readonly ifDead: OrderStatus | null;
  /** what else has to be true, in words */
  readonly needs: string | null;
}

type Row = Pick<Transition, 'from' | 'verb' | 'ways'> & Partial<Transition>;
const transition = (row: Row): Transition => ({ alsoBy: [], enters: null, ifDead: null, needs: null, ...row });

const cancel = (from: OrderStatus, needs: string | null): Transition =>
  transition({ from, verb: 'cancel', ways: [['CLOSED']], alsoBy: ['funding deadline'], needs });
const extend = (from: OrderStatus): Transition =>
  transition({ from, verb: 'extend', ways: [[from]], needs: 'a deadline that runs or has not started' });

const NOTHING_SIGNED = 'no envelope that may still land';
const UNDISPUTED = 'something that is neither settled nor in dispute';
/** What is left decides: nothing, only disputes, or more work. */
const PARTLY = [['CLOSED'], ['IN_PROGRESS'], ['DISPUTED']] as const;

export const TRANSITIONS: readonly Transition[] = [
  transition({ from: 'ORDER_CREATED', verb: 'reserve', ways: [['FUNDS_RESERVED']], alsoBy: ['auto'] }),
  cancel('ORDER_CREATED', null),
  extend('ORDER_CREATED'),
  cancel('FUNDS_RESERVED', null),
  transition({
    from: 'FUNDS_RESERVED',
    verb: 'escrow',
    enters: 'ESCROW_CREATING',
    ways: [['ESCROW_FUNDING']],
    ifDead: 'FUNDS_RESERVED',
    alsoBy: ['auto'],
  }),
  extend('FUNDS_RESERVED'),
  cancel('ESCROW_CREATING', NOTHING_SIGNED),
  cancel('ESCROW_FUNDING', NOTHING_SIGNED),
  transition({
    from: 'ESCROW_FUNDING',
    verb: 'fund',
    ways: [['ESCROW_FUNDED', 'IN_PROGRESS']],
    ifDead: 'ESCROW_FUNDING',
    alsoBy: ['auto'],
  }),
  extend('ESCROW_FUNDING'),
  transition({
    from: 'IN_PROGRESS',
    verb: 'deliver',
    ways: [['IN_PROGRESS']],
    ifDead: 'IN_PROGRESS',
    needs: 'no milestones, not delivered before',
  }),
  transition({
    from: 'IN_PROGRESS',
    verb: 'complete_milestone',
    ways: [['IN_PROGRESS']],
    ifDead: 'IN_PROGRESS',
    needs: 'an open milestone',
  }),
  transition({
    from: 'IN_PROGRESS',
    verb: 'release_milestone',
    enters: 'RELEASE_REQUESTED',
    ways: [['RELEASED', 'CLOSED'], ...PARTLY],
    ifDead: 'IN_PROGRESS',
    alsoBy: ['inspection period of a milestone over'],
    needs: 'a milestone that is neither settled nor in dispute',
  }),
  transition({
    from: 'IN_PROGRESS',
    verb: 'release',
    enters: 'RELEASE_REQUESTED',
    ways: [['RELEASED', 'CLOSED'], ...PARTLY],
    ifDead: 'IN_PROGRESS',
    alsoBy: ['inspection period over'],
    needs: UNDISPUTED,
  }),
  transition({
    from: 'IN_PROGRESS',
    verb: 'refund',
    enters: 'REFUND_REQUESTED',
    ways: [['REFUNDED', 'CLOSED'], ...PARTLY],
    // Once the dispute it opens on chain landed, only its resolution is driven on.
    ifDead: 'IN_PROGRESS',
    alsoBy: ['delivery deadline'],
    needs: UNDISPUTED,
  }),
  transition({ from: 'IN_PROGRESS', verb: 'dispute', ways: [['DISPUTED'], ['IN_PROGRESS']], needs: UNDISPUTED }),
  extend('IN_PROGRESS'),
  // Some milestones were in dispute while others went on.
  transition({ from: 'IN_PROGRESS', verb: 'dispute_settled', ways: [['IN_PROGRESS']] }),
  transition({
    from: 'DISPUTED',
    verb: 'dispute_settled',
    ways: [['RELEASED', 'CLOSED'], ['REFUNDED', 'CLOSED'], ...PARTLY],
  }),
  extend('DISPUTED'),
];

/** What decides about a verb. */
export interface OrderView {
  readonly status: OrderStatus;
  readonly operation: {
    readonly verb: OrderVerb;
    readonly status: OperationStatus;
    /** of a parked one, when that is known */
    readonly repairs?: readonly Repair[];
  } | null;
  /** statuses of its milestones, or of the one part of an order without */
  readonly parts: readonly MilestoneStatus[];
  readonly hasMilestones: boolean;
  /** an envelope of the running operation may land, or landed and is not booked */
  readonly live: boolean;
}

/** Operations that can be given up as long as nothing is signed: the money is still the buyer's. */
const ABANDONABLE: readonly OrderVerb[] = ['escrow', 'fund'];
const WITHOUT_MILESTONES: readonly OrderVerb[] = ['deliver'];
const WITH_MILESTONES: readonly OrderVerb[] = ['complete_milestone', 'release_milestone'];
const ABOUT_PARTS: readonly OrderVerb[] = [
  'deliver',
  'complete_milestone',
  'release_milestone',
  'release',
  'refund',
  'dispute',
];

export const isBusy = ({ operation }: Pick<OrderView, 'operation'>): boolean =>
  operation?.status === 'RUNNING' || operation?.status === 'PARKED';

/** A parked one only where an operator may give it up, too. */
function canGiveUp({ operation, live }: OrderView): boolean {
  if (operation === null || live || !ABANDONABLE.includes(operation.verb)) return false;
  return operation.status !== 'PARKED' || operation.repairs?.includes('give_up') !== false;
}

/** The transition a verb would take now, or null when it is not allowed. */
export function transitionOf(view: OrderView, verb: OrderVerb): Transition | null {
  const listed = TRANSITIONS.find((candidate) => candidate.from === view.status && candidate.verb === verb);
  if (listed === undefined) return null;
  if (isBusy(view)) {
    return verb === 'cancel' && canGiveUp(view) ? listed : null;
  }
  if ((view.hasMilestones ? WITHOUT_MILESTONES : WITH_MILESTONES).includes(verb)) return null;
  if (ABOUT_PARTS.includes(verb) && !view.parts.some((status) => takes(verb, status))) return null;
  return listed;
}

/** The verbs that are allowed now, in the order in which an order lives. */
export function allowedVerbs(view: OrderView): OrderVerb[] {
  return ORDER_VERBS.filter((verb) => transitionOf(view, verb) !== null);
}

/** Why a verb is refused, in words for the problem document. */
export function refusal(view: OrderView, verb: OrderVerb): string {
  if (isBusy(view)) return `${verb} has to wait: another operation is ${view.operation?.status.toLowerCase()}`;
  const listed = TRANSITIONS.filter((candidate) => candidate.verb === verb);
  if (view.hasMilestones && WITHOUT_MILESTONES.includes(verb))
    return `${verb} is for orders without milestones: complete each milestone`;
  if (!view.hasMilestones && WITH_MILESTONES.includes(verb)) return `${verb} is for orders with milestones`;
  const here = listed.find(({ from }) => from === view.status);
  if (here !== undefined) return here.needs === null ? `${verb} was done before` : `${verb} needs ${here.needs}`;
  return `${verb} needs ${listed.map(({ from }) => from).join(' or ')}`;
}
