/**
 * Every step on chain that can be proved dead: how it is reached, and what its death leaves. `failure-table.test.ts` kills
 * each of them twice, once in its ledger and once by its time bounds.
 */
import type { EscrowWallets } from '../../domain/order/shapes.ts';
import type { BalanceBody } from '../support/flows.ts';
import {
  ESCROWED,
  FULL_REFUND,
  FULL_RELEASE,
  FUNDED,
  IN_ESCROW,
  HELD,
  OF_MILESTONES,
  RELEASABLE,
  RESERVED,
  TO_ESCROW,
  TO_PROGRESS,
  TWO_MILESTONES,
  UNDECIDED,
} from '../support/lives.ts';
import type { Body } from '../support/stack.ts';

/** A transaction that is proved dead: where it is, and what it leaves. */
export interface DeadStep {
  readonly words: string;
  /** verbs that lead to where it stands */
  readonly after: readonly string[];
  readonly milestones?: typeof TWO_MILESTONES;
  /** of a dispute that is opened there; its status before it was decided */
  readonly disputed?: 'OPEN' | 'UNDER_REVIEW';
  /** as the operation is called, and where it is asked for */
  readonly operation: string;
  readonly verb: string;
  readonly body?: Body;
  /** the contract's function, and whose account it leaves from; null: nobody else calls it then */
  readonly fn: string;
  readonly role: keyof EscrowWallets | null;
  readonly kind: string;
  /** the subject while it is dead */
  readonly dead: Body;
  readonly money: Partial<BalanceBody>;
  /** what landed of the operation before it; sent once */
  readonly landed?: string;
  /** events of the order: before, of each death, and when it went through */
  readonly events: readonly [before: readonly string[], dead: readonly string[], done: readonly string[]];
}

const RELEASED = ['release_requested', 'released', 'closed'];

export const DEAD_STEPS: readonly DeadStep[] = [
  {
    words: 'escrow: the deploy',
    after: ['reserve'],
    operation: 'escrow',
    verb: 'escrow',
    fn: 'tw_new_single_release_escrow',
    role: null,
    kind: 'DEPLOY_ESCROW',
    dead: { status: 'FUNDS_RESERVED', allowed: ['cancel', 'escrow', 'extend'], reservation: 'HELD' },
    money: HELD,
    events: [
      RESERVED,
      ['escrow_creating', 'operation_failed'],
      ['escrow_creating', 'escrow_created', 'escrow_funding'],
    ],
  },
  {
    words: 'fund',
    after: TO_ESCROW,
    operation: 'fund',
    verb: 'escrow/fund',
    fn: 'fund_escrow',
    role: 'funder',
    kind: 'FUND_ESCROW',
    dead: { status: 'ESCROW_FUNDING', allowed: ['cancel', 'fund', 'extend'], escrow: { status: 'CREATED' } },
    money: HELD,
    events: [ESCROWED, ['operation_failed'], ['escrow_funded', 'in_progress']],
  },
  {
    words: 'deliver',
    after: TO_PROGRESS,
    operation: 'deliver',
    verb: 'deliver',
    fn: 'change_milestone_status',
    role: 'service_provider',
    kind: 'DELIVER',
    dead: { status: 'IN_PROGRESS', allowed: RELEASABLE, delivered_at: null },
    money: IN_ESCROW,
    events: [FUNDED, ['operation_failed'], ['delivered']],
  },
  {
    words: 'complete_milestone',
    after: TO_PROGRESS,
    milestones: TWO_MILESTONES,
    operation: 'complete_milestone',
    verb: 'milestones/m1/complete',
    fn: 'change_milestone_status',
    role: 'service_provider',
    kind: 'DELIVER',
    dead: { status: 'IN_PROGRESS', allowed: OF_MILESTONES, milestones: [{ status: 'OPEN' }, { status: 'OPEN' }] },
    money: IN_ESCROW,
    events: [FUNDED, ['operation_failed'], ['milestone_completed']],
  },
  {
    words: 'release: the approval',
    after: TO_PROGRESS,
    operation: 'release',
    verb: 'resolution/release',
    fn: 'approve_milestone',
    role: 'approver',
    kind: 'APPROVE',
    dead: { status: 'IN_PROGRESS', allowed: RELEASABLE, escrow: { status: 'FUNDED' } },
    money: IN_ESCROW,
    events: [FUNDED, ['release_requested', 'operation_failed'], RELEASED],
  },
  {
    words: 'release: the payment, after its approval landed',
    after: TO_PROGRESS,
    operation: 'release',
    verb: 'resolution/release',
    fn: 'release_funds',
    role: 'release_signer',
    kind: 'RELEASE',
    dead: { status: 'IN_PROGRESS', allowed: RELEASABLE, escrow: { status: 'FUNDED' } },
    money: IN_ESCROW,
    landed: 'APPROVE',
    events: [FUNDED, ['release_requested', 'operation_failed'], RELEASED],
  },
  {
    words: 'release_milestone, after its approval landed',
    after: TO_PROGRESS,
    milestones: TWO_MILESTONES,
    operation: 'release_milestone',
    verb: 'milestones/m2/release',
    fn: 'release_milestone_funds',
    role: 'release_signer',
    kind: 'RELEASE',
    dead: { status: 'IN_PROGRESS', allowed: OF_MILESTONES, milestones: [{ status: 'OPEN' }, { status: 'OPEN' }] },
    money: IN_ESCROW,
    landed: 'APPROVE',
    events: [FUNDED, ['operation_failed'], ['milestone_released']],
  },
  {
    words: 'refund: the dispute it opens on chain',
    after: TO_PROGRESS,
    operation: 'refund',
    verb: 'resolution/refund',
    body: { reason: 'not delivered' },
    fn: 'dispute_escrow',
    role: 'release_signer',
    kind: 'OPEN_DISPUTE',
    dead: { status: 'IN_PROGRESS', allowed: RELEASABLE, escrow: { status: 'FUNDED' } },
    money: IN_ESCROW,
    events: [FUNDED, ['refund_requested', 'operation_failed'], ['refund_requested', 'refunded', 'closed']],
  },
  {
    words: 'FULL_RELEASE of a dispute: the approval',
    after: TO_PROGRESS,
    disputed: 'OPEN',
    operation: 'resolve',
    verb: 'resolve',
    body: FULL_RELEASE,
    fn: 'approve_milestone',
    role: 'approver',
    kind: 'APPROVE',
    dead: UNDECIDED,
    money: IN_ESCROW,
    events: [[...FUNDED, 'disputed'], [], ['released', 'closed']],
  },
  {
    words: 'FULL_RELEASE of a dispute: the payment, after its approval landed',
    after: TO_PROGRESS,
    disputed: 'UNDER_REVIEW',
    operation: 'resolve',
    verb: 'resolve',
    body: FULL_RELEASE,
    fn: 'release_funds',
    role: 'release_signer',
    kind: 'RELEASE',
    dead: { ...UNDECIDED, status: 'UNDER_REVIEW' },
    money: IN_ESCROW,
    landed: 'APPROVE',
    events: [[...FUNDED, 'disputed'], [], ['released', 'closed']],
  },
  {
    words: 'FULL_REFUND of a dispute: the dispute it opens on chain',
    after: TO_PROGRESS,
    disputed: 'OPEN',
    operation: 'resolve',
    verb: 'resolve',
    body: FULL_REFUND,
    fn: 'dispute_escrow',
    role: 'release_signer',
    kind: 'OPEN_DISPUTE',
    dead: UNDECIDED,
    money: IN_ESCROW,
    events: [[...FUNDED, 'disputed'], [], ['refunded', 'closed']],
  },
];
