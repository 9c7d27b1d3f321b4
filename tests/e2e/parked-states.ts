/**
 * Every state in which a step can be parked: how it is brought about, what the subject shows meanwhile, and where each repair
 * leads. `repairs-table.test.ts` walks through them; those of one walk follow each other in the life of one order.
 */
import type { Repair } from '../../domain/repairs.ts';
import {
  FULL_RELEASE,
  OF_MILESTONES,
  RELEASABLE,
  SPLIT,
  TO_ESCROW,
  TO_PROGRESS,
  TWO_MILESTONES,
  UNDECIDED,
} from '../support/lives.ts';
import type { Body } from '../support/stack.ts';

export type Trouble =
  /** the gateway's next envelope of this route is not what was asked for */
  | {
      readonly forged: 'wrong_amount' | 'wrong_destination' | 'wrong_contract' | 'foreign_auth';
      readonly route: string;
    }
  /** the issuer froze what a party holds */
  | { readonly frozen: 'buyer' | 'seller' }
  /** the rows do not know what a party's wallet did */
  | { readonly unknown: 'buyer' }
  /** the rows expect another amount than the chain moves */
  | { readonly expects: 'more' };

export interface ParkedState {
  readonly words: string;
  readonly trouble: Trouble;
  readonly verb: string;
  readonly body?: Body;
  /** nobody asks: it is reached by the retry of the state before */
  readonly continues?: true;
  /** its workflow is lost meanwhile, and starts from the row */
  readonly lost?: true;
  readonly reason: string;
  readonly repairs: readonly Repair[];
  readonly parked: Body;
  /** where `give_up` leads */
  readonly givenUp?: Body;
  /** where `retry` leads, unless to the next state */
  readonly done?: string;
}

export interface Walk {
  readonly name: string;
  readonly after: readonly string[];
  readonly fields?: Body;
  readonly disputed?: true;
  readonly states: readonly ParkedState[];
}

const REFUND = { verb: 'resolution/refund', body: { reason: 'not delivered' } };
const RELEASE = { verb: 'resolution/release' };
const REJECTED = { reason: 'ENVELOPE_REJECTED', repairs: ['retry', 'adopt', 'give_up'] } as const;
const FROZEN = { reason: 'TRUSTLINE_UNUSABLE' } as const;
const DIFFER = { reason: 'BOOKS_DIFFER', repairs: ['retry', 'adopt'] } as const;
const ESCROW_FUNDING = { status: 'ESCROW_FUNDING', allowed: ['cancel'] };
const FUNDABLE = { status: 'ESCROW_FUNDING', allowed: ['cancel', 'fund', 'extend'] };
const IN_PROGRESS = { status: 'IN_PROGRESS', allowed: [] };
const RELEASE_REQUESTED = { status: 'RELEASE_REQUESTED', allowed: [] };
const REFUND_REQUESTED = { status: 'REFUND_REQUESTED', allowed: [] };
const RESOLVING = { status: 'RESOLVING', allowed: [] };
const GOES_ON = { status: 'IN_PROGRESS', allowed: RELEASABLE };

const TO_RELEASE: Walk = {
  name: 'an order that is released',
  after: ['reserve'],
  states: [
    {
      words: 'escrow: a forged deploy',
      trouble: { forged: 'wrong_destination', route: '/deployer/' },
      verb: 'escrow',
      ...REJECTED,
      parked: { status: 'ESCROW_CREATING', allowed: ['cancel'] },
      givenUp: { status: 'FUNDS_RESERVED', allowed: ['cancel', 'escrow', 'extend'] },
      done: 'ESCROW_FUNDING',
    },
    {
      words: 'fund: a forged envelope, and its workflow is lost',
      lost: true,
      trouble: { forged: 'wrong_amount', route: '/fund-escrow' },
      verb: 'escrow/fund',
      ...REJECTED,
      parked: ESCROW_FUNDING,
      givenUp: FUNDABLE,
      done: 'IN_PROGRESS',
    },
    {
      words: 'deliver: a forged envelope',
      trouble: { forged: 'wrong_contract', route: '/change-milestone-status' },
      verb: 'deliver',
      ...REJECTED,
      parked: IN_PROGRESS,
      givenUp: GOES_ON,
      done: 'IN_PROGRESS',
    },
    {
      words: 'release: a forged approval',
      trouble: { forged: 'foreign_auth', route: '/approve-milestone' },
      ...RELEASE,
      ...REJECTED,
      parked: RELEASE_REQUESTED,
      givenUp: { status: 'IN_PROGRESS' },
    },
    {
      words: 'release: a forged payment, after its approval landed',
      trouble: { forged: 'wrong_contract', route: '/release-funds' },
      continues: true,
      ...RELEASE,
      ...REJECTED,
      parked: RELEASE_REQUESTED,
      givenUp: { status: 'IN_PROGRESS' },
      done: 'CLOSED',
    },
  ],
};

const TO_REFUND: Walk = {
  name: 'an order that is refunded',
  after: TO_ESCROW,
  states: [
    {
      words: 'fund: the buyer’s wallet is frozen',
      trouble: { frozen: 'buyer' },
      verb: 'escrow/fund',
      ...FROZEN,
      repairs: ['retry', 'adopt', 'give_up'],
      parked: ESCROW_FUNDING,
      givenUp: FUNDABLE,
      done: 'IN_PROGRESS',
    },
    {
      words: 'refund: a forged dispute',
      trouble: { forged: 'wrong_contract', route: '/dispute-escrow' },
      ...REFUND,
      ...REJECTED,
      parked: REFUND_REQUESTED,
      givenUp: GOES_ON,
    },
    {
      words: 'refund: a forged resolution, after the dispute landed, and its workflow is lost',
      lost: true,
      trouble: { forged: 'wrong_destination', route: '/resolve-dispute' },
      continues: true,
      ...REFUND,
      reason: 'ENVELOPE_REJECTED',
      repairs: ['retry', 'adopt'],
      parked: REFUND_REQUESTED,
    },
    {
      words: 'refund: the buyer’s wallet is frozen, after the dispute landed',
      trouble: { frozen: 'buyer' },
      continues: true,
      ...REFUND,
      ...FROZEN,
      repairs: ['retry', 'adopt', 'payout_to'],
      parked: REFUND_REQUESTED,
      done: 'CLOSED',
    },
  ],
};

const BY_MILESTONES: Walk = {
  name: 'an order with milestones',
  after: TO_ESCROW,
  fields: { milestones: TWO_MILESTONES },
  states: [
    {
      words: 'fund: the chain moved another amount than the rows expect',
      trouble: { expects: 'more' },
      verb: 'escrow/fund',
      ...DIFFER,
      parked: { status: 'ESCROW_FUNDING', allowed: [] },
      done: 'IN_PROGRESS',
    },
    {
      words: 'complete_milestone: a forged envelope',
      trouble: { forged: 'wrong_contract', route: '/change-milestone-status' },
      verb: 'milestones/m1/complete',
      ...REJECTED,
      parked: IN_PROGRESS,
      givenUp: { status: 'IN_PROGRESS', allowed: OF_MILESTONES },
      done: 'IN_PROGRESS',
    },
    {
      words: 'release_milestone: the seller’s wallet is frozen',
      trouble: { frozen: 'seller' },
      verb: 'milestones/m1/release',
      ...FROZEN,
      repairs: ['retry', 'adopt', 'give_up', 'payout_to'],
      parked: IN_PROGRESS,
      givenUp: { status: 'IN_PROGRESS', allowed: OF_MILESTONES },
      done: 'IN_PROGRESS',
    },
    {
      words: 'release: a wallet was used by a transaction that the rows do not know',
      trouble: { unknown: 'buyer' },
      ...RELEASE,
      ...DIFFER,
      parked: RELEASE_REQUESTED,
      done: 'CLOSED',
    },
  ],
};

const DECIDED: Walk = {
  name: 'a dispute that is decided for the seller',
  after: TO_PROGRESS,
  disputed: true,
  states: [
    {
      words: 'FULL_RELEASE of a dispute: a forged approval',
      trouble: { forged: 'foreign_auth', route: '/approve-milestone' },
      verb: 'resolve',
      body: FULL_RELEASE,
      ...REJECTED,
      parked: RESOLVING,
      givenUp: UNDECIDED,
    },
    {
      words:
        'FULL_RELEASE of a dispute: the seller’s wallet is frozen, after the approval landed, and its workflow is lost',
      lost: true,
      trouble: { frozen: 'seller' },
      continues: true,
      verb: 'resolve',
      body: FULL_RELEASE,
      ...FROZEN,
      repairs: ['retry', 'adopt', 'give_up', 'payout_to'],
      parked: RESOLVING,
      givenUp: UNDECIDED,
      done: 'RESOLVED',
    },
  ],
};

const SHARED: Walk = {
  name: 'a dispute that is split',
  after: TO_PROGRESS,
  disputed: true,
  states: [
    {
      words: 'SPLIT of a dispute: a forged dispute on chain',
      trouble: { forged: 'wrong_contract', route: '/dispute-escrow' },
      verb: 'resolve',
      body: SPLIT,
      ...REJECTED,
      parked: RESOLVING,
      givenUp: UNDECIDED,
    },
    {
      words: 'SPLIT of a dispute: a forged resolution, after the dispute landed, and its workflow is lost',
      lost: true,
      trouble: { forged: 'wrong_destination', route: '/resolve-dispute' },
      continues: true,
      verb: 'resolve',
      body: SPLIT,
      reason: 'ENVELOPE_REJECTED',
      repairs: ['retry', 'adopt'],
      parked: RESOLVING,
    },
    {
      words: 'SPLIT of a dispute: the seller’s wallet is frozen, after the dispute landed',
      trouble: { frozen: 'seller' },
      continues: true,
      verb: 'resolve',
      body: SPLIT,
      ...FROZEN,
      repairs: ['retry', 'adopt', 'payout_to'],
      parked: RESOLVING,
      done: 'RESOLVED',
    },
  ],
};

export const WALKS: readonly Walk[] = [TO_RELEASE, TO_REFUND, BY_MILESTONES, DECIDED, SHARED];
