/** The escrow struct between its three forms: request bodies, the contract's ScVal, and the rows that reads return. */
import { scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { LedgerView } from '../core/types.ts';
import { amountNumber, percentNumber } from './json.ts';
import type { EscrowType } from './network.ts';
import { address, flag, i128, list, struct, text, u32 } from './scval.ts';

interface Roles {
  readonly approver: string;
  readonly serviceProvider: string;
  readonly platformAddress: string;
  readonly releaseSigner: string;
  readonly disputeResolver: string;
  readonly receiver?: string;
}

interface Flags {
  readonly approved?: boolean;
  readonly disputed: boolean;
  readonly released: boolean;
  readonly resolved: boolean;
}

export interface Milestone {
  readonly description: string;
  readonly status: string;
  readonly evidence: string;
  /** single-release only */
  readonly approved?: boolean;
  /** multi-release only */
  readonly amount?: bigint;
  readonly receiver?: string;
  readonly flags?: Flags;
}

/** An escrow's terms and state; `amount`, `flags` and `roles.receiver` exist on single-release only. */
export interface Escrow {
  readonly engagementId: string;
  readonly title: string;
  readonly description: string;
  readonly roles: Roles;
  readonly amount?: bigint;
  readonly platformFeeBps: number;
  readonly milestones: readonly Milestone[];
  readonly flags?: Flags;
  /** contract id of the token */
  readonly token: string;
  readonly receiverMemo: number;
}

export const NO_FLAGS = { disputed: false, released: false, resolved: false };

const flagsScVal = (flags: Flags): xdr.ScVal =>
  struct(Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, flag(value)])));

function milestoneScVal(milestone: Milestone): xdr.ScVal {
  const { description, status, evidence, amount, receiver } = milestone;
  const common = { description: text(description), status: text(status), evidence: text(evidence) };
  if (amount === undefined || receiver === undefined) {
    return struct({ ...common, approved: flag(milestone.approved ?? false) });
  }
  const flags = flagsScVal({ approved: false, ...NO_FLAGS, ...milestone.flags });
  return struct({ ...common, amount: i128(amount), receiver: address(receiver), flags });
}

/** The contract's `Escrow` struct. */
export function escrowScVal(escrow: Escrow): xdr.ScVal {
  const { roles, amount } = escrow;
  return struct({
    engagement_id: text(escrow.engagementId),
    title: text(escrow.title),
    description: text(escrow.description),
    roles: struct({
      approver: address(roles.approver),
      service_provider: address(roles.serviceProvider),
      platform: address(roles.platformAddress),
      release_signer: address(roles.releaseSigner),
      dispute_resolver: address(roles.disputeResolver),
      ...(roles.receiver === undefined ? {} : { receiver: address(roles.receiver) }),
    }),
    ...(amount === undefined ? {} : { amount: i128(amount), flags: flagsScVal(escrow.flags ?? NO_FLAGS) }),
    platform_fee: u32(escrow.platformFeeBps),
    milestones: list(escrow.milestones.map(milestoneScVal)),
    trustline: struct({ address: address(escrow.token) }),
    receiver_memo: u32(escrow.receiverMemo),
  });
}

/** The struct as `scValToNative` gives it. */
interface NativeEscrow {
  engagement_id: string;
  title: string;
  description: string;
  roles: Record<'approver' | 'service_provider' | 'platform' | 'release_signer' | 'dispute_resolver', string> & {
    receiver?: string;
  };
  amount?: bigint;
  platform_fee: number;
  milestones: Milestone[];
  flags?: Flags;
  trustline: { address: string };
  receiver_memo: number;
}

/** Reads the contract's struct from base64 ScVal XDR. */
export function readEscrow(stateXdr: string): Escrow {
  const state = scValToNative(xdr.ScVal.fromXdr(stateXdr, 'base64')) as NativeEscrow;
  const { roles, amount, flags } = state;
  return {
    engagementId: state.engagement_id,
    title: state.title,
    description: state.description,
    roles: {
      approver: roles.approver,
      serviceProvider: roles.service_provider,
      platformAddress: roles.platform,
      releaseSigner: roles.release_signer,
      disputeResolver: roles.dispute_resolver,
      ...(roles.receiver === undefined ? {} : { receiver: roles.receiver }),
    },
    ...(amount === undefined ? {} : { amount }),
    ...(flags === undefined ? {} : { flags }),
    platformFeeBps: state.platform_fee,
    milestones: state.milestones,
    token: state.trustline.address,
    receiverMemo: state.receiver_memo,
  };
}

export const typeOf = (escrow: Escrow): EscrowType => (escrow.amount === undefined ? 'multi' : 'single');

/** Single: the escrow amount; multi: the sum of its milestones. Stroops. */
export const totalOf = (escrow: Escrow): bigint =>
  escrow.amount ?? escrow.milestones.reduce((sum, milestone) => sum + (milestone.amount ?? 0n), 0n);

/**
 * The escrow as replies show it, without the index's own columns. A quirk of the live API: indexed rows show the fee in
 * basis points, rows read from the chain in percent.
 */
export function escrowJson(escrow: Escrow, view: LedgerView, fee: 'bps' | 'percent'): Record<string, unknown> {
  const [symbol = '', issuer = escrow.token] = view.assetOfContract(escrow.token)?.split(':') ?? [];
  return {
    engagementId: escrow.engagementId,
    title: escrow.title,
    description: escrow.description,
    roles: escrow.roles,
    amount: amountNumber(totalOf(escrow)),
    platformFee: fee === 'bps' ? escrow.platformFeeBps : percentNumber(escrow.platformFeeBps),
    milestones: escrow.milestones.map(({ amount, ...milestone }) =>
      amount === undefined ? milestone : { ...milestone, amount: amountNumber(amount) },
    ),
    ...(escrow.flags === undefined ? {} : { flags: escrow.flags }),
    trustline: { address: issuer, symbol },
    ...(escrow.amount === undefined ? {} : { receiverMemo: escrow.receiverMemo }),
  };
}
