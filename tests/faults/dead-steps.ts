/**
 * Every step on chain that can be proved dead: how it is reached, and what its death leaves. `failure-table.test.ts` kills
 * each of them twice, once in its ledger and once by its time bounds.
 */
import type { EscrowWallets } from '../../domain/order/shapes.ts';
import type { BalanceBody } from '../support/flows.ts';
import type { Body } from '../support/stack.ts';

export const RESERVED = ['created', 'funds_reserved'];
export const ESCROWED = [...RESERVED, 'escrow_creating', 'escrow_created', 'escrow_funding'];
export const FUNDED = [...ESCROWED, 'escrow_funded', 'in_progress'];
export const TO_ESCROW = ['reserve', 'escrow'];
export const TO_PROGRESS = [...TO_ESCROW, 'escrow/fund'];
export const HELD = { available: '0', reserved: '25', in_escrow: '0' };
export const IN_ESCROW = { available: '0', reserved: '0', in_escrow: '25' };
const MILESTONES = [
  { milestone_ref: 'm1', title: 'Draft', amount: '10' },
  { milestone_ref: 'm2', title: 'Final', amount: '15' },
];
const decision = (fields: Body) => ({ resolved_by: 'agent:alice', ...fields });
export const SPLIT = decision({ decision: 'SPLIT', release_amount: '10', refund_amount: '15' });

/** A transaction that is proved dead: where it is, and what it leaves. */
export interface DeadStep {
  readonly words: string;
  /** verbs that lead to where it stands */
  readonly after: readonly string[];
  readonly milestones?: typeof MILESTONES;
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

const RELEASABLE = ['deliver', 'release', 'refund', 'dispute', 'extend'];
const OF_MILESTONES = ['complete_milestone', 'release_milestone', 'release', 'refund', 'dispute', 'extend'];
const ARGUED = ['assign', 'withdraw', 'resolve'];
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
    milestones: MILESTONES,
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
    milestones: MILESTONES,
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
    body: decision({ decision: 'FULL_RELEASE' }),
    fn: 'approve_milestone',
    role: 'approver',
    kind: 'APPROVE',
    dead: { status: 'OPEN', allowed: ARGUED, decision: null },
    money: IN_ESCROW,
    events: [[...FUNDED, 'disputed'], [], ['released', 'closed']],
  },
  {
    words: 'FULL_RELEASE of a dispute: the payment, after its approval landed',
    after: TO_PROGRESS,
    disputed: 'UNDER_REVIEW',
    operation: 'resolve',
    verb: 'resolve',
    body: decision({ decision: 'FULL_RELEASE' }),
    fn: 'release_funds',
    role: 'release_signer',
    kind: 'RELEASE',
    dead: { status: 'UNDER_REVIEW', allowed: ARGUED, decision: null },
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
    body: decision({ decision: 'FULL_REFUND' }),
    fn: 'dispute_escrow',
    role: 'release_signer',
    kind: 'OPEN_DISPUTE',
    dead: { status: 'OPEN', allowed: ARGUED, decision: null },
    money: IN_ESCROW,
    events: [[...FUNDED, 'disputed'], [], ['refunded', 'closed']],
  },
];
