/** The multi-release escrow contract: every milestone has its own amount, receiver and flags; funds are pooled. */
import { isDeepStrictEqual } from 'node:util';
import { xdr } from '@stellar/stellar-sdk/base';
import type { ContractFunction, Env, Program } from './env.ts';
import { MULTI_ERRORS } from './errors.ts';
import {
  assertPlatformFee,
  commonFunctions,
  distribute,
  type Distribution,
  ESCROW_KEY,
  failWith,
  kitOf,
  MAX_DISTRIBUTIONS,
  MAX_MILESTONES,
  payOut,
  sameBut,
  sumOf,
  tokenBalance,
  trustline,
} from './escrow.ts';
import { fn } from './fn.ts';
import { address, bool, distributionMap, i128, type Of, option, string, struct, u32, vec } from './scval.ts';

const flags = struct<{ approved: boolean; disputed: boolean; released: boolean; resolved: boolean }>({
  approved: bool,
  disputed: bool,
  released: bool,
  resolved: bool,
});

const roles = struct<{
  approver: string;
  dispute_resolver: string;
  platform: string;
  release_signer: string;
  service_provider: string;
}>({
  approver: address,
  dispute_resolver: address,
  platform: address,
  release_signer: address,
  service_provider: address,
});

const milestone = struct<{
  amount: bigint;
  description: string;
  evidence: string;
  flags: Of<typeof flags>;
  receiver: string;
  status: string;
}>({ amount: i128, description: string, evidence: string, flags, receiver: address, status: string });

const milestoneUpdate = struct<{ evidence: string | null; index: number; status: string }>({
  evidence: option(string),
  index: u32,
  status: string,
});

/** State of a multi-release escrow; amounts in stroops, `platform_fee` in basis points. */
const multiEscrow = struct<{
  description: string;
  engagement_id: string;
  milestones: Of<typeof milestone>[];
  platform_fee: number;
  receiver_memo: number;
  roles: Of<typeof roles>;
  title: string;
  trustline: { address: string };
}>({
  description: string,
  engagement_id: string,
  milestones: vec(milestone),
  platform_fee: u32,
  receiver_memo: u32,
  roles,
  title: string,
  trustline,
});

type MultiEscrow = Of<typeof multiEscrow>;
type Milestone = Of<typeof milestone>;

const fail = failWith(MULTI_ERRORS);
const kit = kitOf(multiEscrow, fail);
const VOID = xdr.ScVal.scvVoid();

const anyFlag = (of: Milestone): boolean => Object.values(of.flags).some(Boolean);
const processed = ({ flags: { released, resolved, disputed } }: Milestone): boolean => released || resolved || disputed;

function checkLimits(escrow: MultiEscrow): void {
  assertPlatformFee(escrow.platform_fee, fail);
  if (escrow.milestones.length === 0) throw fail('NoMileStoneDefined');
  if (escrow.milestones.length > MAX_MILESTONES) throw fail('TooManyMilestones');
  if (escrow.milestones.some(({ amount }) => amount <= 0n)) throw fail('AmountCannotBeZero');
}

/** The token is asked before anything is checked, so a trustline that is no token fails at once. */
function checkInit(env: Env, escrow: MultiEscrow): void {
  const balance = tokenBalance(env, escrow, env.self);
  if (env.storage.get(ESCROW_KEY) !== undefined) throw fail('EscrowAlreadyInitialized');
  if (balance > 0n) throw fail('EscrowBalanceMustBeZeroOnInitialization');
  checkLimits(escrow);
  if (escrow.milestones.some(anyFlag)) throw fail('FlagsMustBeFalse');
}

/** Flags of existing milestones stay; with funds inside, milestones may only be appended. */
function checkUpdate(stored: MultiEscrow, updated: MultiEscrow, caller: string, balance: bigint): void {
  checkLimits(updated);
  if (caller !== stored.roles.platform) throw fail('OnlyPlatformAddressExecuteThisFunction');
  if (updated.roles.platform !== stored.roles.platform) throw fail('PlatformAddressCannotBeChanged');
  const kept = updated.milestones.slice(0, stored.milestones.length);
  const sameFlags = kept.every((item, index) => isDeepStrictEqual(item.flags, stored.milestones[index]?.flags));
  if (!sameFlags) throw fail('EscrowPropertiesMismatch');
  if (updated.milestones.slice(kept.length).some(anyFlag)) throw fail('FlagsMustBeFalse');
  if (balance <= 0n) return;
  const unchanged = sameBut(stored, updated, 'milestones') && isDeepStrictEqual(kept, stored.milestones);
  if (!unchanged) throw fail('EscrowPropertiesMismatch');
}

function release(env: Env, signer: string, wallet: string, index: number): xdr.ScVal {
  const escrow = kit.load(env);
  const target = escrow.milestones[index];
  if (target === undefined) throw fail('MilestoneNotFound');
  if (target.flags.released) throw fail('MilestoneAlreadyReleased');
  if (target.flags.resolved) throw fail('EscrowAlreadyResolved');
  if (signer !== escrow.roles.release_signer) throw fail('OnlyReleaseSignerCanReleaseEarnings');
  if (!target.flags.approved) throw fail('MilestoneNotCompleted');
  if (target.flags.disputed) throw fail('MilestoneOpenedForDisputeResolution');
  env.requireAuth(signer);
  target.flags.released = true;
  kit.save(env, escrow);
  if (tokenBalance(env, escrow, env.self) < target.amount) throw fail('EscrowBalanceNotEnoughToSendEarnings');
  payOut(env, escrow, target.amount, target.receiver, wallet, fail);
  // this event's data is the bare address, not a vec like all others
  env.emit([xdr.ScVal.scvSymbol('tw_release')], address.encode(signer));
  return VOID;
}

/** What resolving a dispute and withdrawing the rest have in common, in this order. */
function assertResolver(escrow: MultiEscrow, resolver: string, distributions: readonly Distribution[]): void {
  if (distributions.length > MAX_DISTRIBUTIONS) throw fail('TooManyDistributions');
  if (resolver !== escrow.roles.dispute_resolver) throw fail('OnlyDisputeResolverCanExecuteThisFunction');
}

/** May pay out less than the milestone's amount; what is left stays in the pool. */
function resolve(
  env: Env,
  resolver: string,
  wallet: string,
  index: number,
  distributions: readonly Distribution[],
): xdr.ScVal {
  const escrow = kit.load(env);
  const balance = tokenBalance(env, escrow, env.self);
  const target = escrow.milestones[index];
  if (target === undefined) throw fail('InvalidMileStoneIndex');
  const total = sumOf(distributions, fail);
  assertResolver(escrow, resolver, distributions);
  if (target.flags.released) throw fail('MilestoneAlreadyReleased');
  if (target.flags.resolved) throw fail('MilestoneAlreadyResolved');
  if (!target.flags.disputed) throw fail('MilestoneNotInDispute');
  if (total > target.amount) throw fail('TotalDisputeFundsMustNotExceedTheMilestoneAmount');
  if (balance < total) throw fail('InsufficientFundsForResolution');
  if (total <= 0n) throw fail('TotalAmountCannotBeZero');
  env.requireAuth(resolver);
  distribute(env, escrow, distributions, total, wallet, fail);
  target.status = 'resolved';
  target.flags.resolved = true;
  target.flags.disputed = false;
  kit.save(env, escrow);
  kit.emit(env, 'tw_disp_resolve', multiEscrow.encode(escrow));
  return VOID;
}

/** Pays some of the pool once no milestone is open; a dispute counts as processed. */
function withdraw(env: Env, resolver: string, wallet: string, distributions: readonly Distribution[]): xdr.ScVal {
  const escrow = kit.load(env);
  const balance = tokenBalance(env, escrow, env.self);
  const total = sumOf(distributions, fail);
  assertResolver(escrow, resolver, distributions);
  if (!escrow.milestones.every(processed)) throw fail('EscrowNotFullyProcessed');
  if (total <= 0n) throw fail('TotalAmountCannotBeZero');
  if (balance < total) throw fail('InsufficientFundsForResolution');
  env.requireAuth(resolver);
  distribute(env, escrow, distributions, total, wallet, fail);
  kit.save(env, escrow);
  kit.emit(env, 'tw_withdraw', multiEscrow.encode(escrow));
  return VOID;
}

/** Several milestones at once; of two updates to the same one, the later wins. An empty list is accepted. */
const changeStatus: ContractFunction = fn([vec(milestoneUpdate), address], (env, updates, provider) => {
  const escrow = kit.load(env);
  if (provider !== escrow.roles.service_provider) throw fail('OnlyServiceProviderChangeMilstoneStatus');
  for (const { index, status } of updates) {
    if (status === '') throw fail('EmptyMilestoneStatus');
    if (index >= escrow.milestones.length) throw fail('InvalidMileStoneIndex');
  }
  env.requireAuth(provider);
  for (const { index, status, evidence } of updates) {
    const target = escrow.milestones[index];
    if (target === undefined) continue;
    target.status = status;
    if (evidence !== null) target.evidence = evidence;
  }
  kit.save(env, escrow);
  kit.emit(env, 'tw_ms_change', multiEscrow.encode(escrow));
  return VOID;
});

const approve: ContractFunction = fn([u32, address], (env, index, approver) => {
  const escrow = kit.load(env);
  const target = escrow.milestones[index];
  if (target === undefined) throw fail('InvalidMileStoneIndex');
  if (approver !== escrow.roles.approver) throw fail('OnlyApproverChangeMilstoneFlag');
  if (target.flags.approved) throw fail('MilestoneHasAlreadyBeenApproved');
  if (target.status === '') throw fail('EmptyMilestoneStatus');
  env.requireAuth(approver);
  target.flags.approved = true;
  kit.save(env, escrow);
  kit.emit(env, 'tw_ms_approve', multiEscrow.encode(escrow));
  return VOID;
});

const dispute: ContractFunction = fn([u32, address], (env, index, signer) => {
  const escrow = kit.load(env);
  const target = escrow.milestones[index];
  if (target === undefined) throw fail('InvalidMileStoneIndex');
  if (target.flags.released) throw fail('MilestoneAlreadyReleased');
  if (target.flags.resolved) throw fail('MilestoneAlreadyResolved');
  if (target.flags.disputed) throw fail('MilestoneAlreadyInDispute');
  const involved = signer === target.receiver || Object.values(escrow.roles).includes(signer);
  if (!involved) throw fail('UnauthorizedToChangeDisputeFlag');
  if (signer === escrow.roles.dispute_resolver) throw fail('DisputeResolverCannotDisputeTheMilestone');
  env.requireAuth(signer);
  target.flags.disputed = true;
  kit.save(env, escrow);
  kit.emit(env, 'tw_dispute', multiEscrow.encode(escrow));
  return VOID;
});

/** Payouts of the build that has the fee wallet compiled in. */
const compiledIn = (wallet: string): Program => ({
  release_milestone_funds: fn([address, u32], (env, signer, index) => release(env, signer, wallet, index)),
  resolve_milestone_dispute: fn([address, u32, distributionMap], (env, resolver, index, map) =>
    resolve(env, resolver, wallet, index, map),
  ),
  withdraw_remaining_funds: fn([address, distributionMap], (env, resolver, map) =>
    withdraw(env, resolver, wallet, map),
  ),
});

/** Payouts of the line that takes the fee wallet as an argument. */
const asArgument: Program = {
  release_milestone_funds: fn([address, address, u32], release),
  resolve_milestone_dispute: fn([address, u32, address, distributionMap], (env, resolver, index, wallet, map) =>
    resolve(env, resolver, wallet, index, map),
  ),
  withdraw_remaining_funds: fn([address, address, distributionMap], withdraw),
};

/**
 * The contract in one of its two ABI profiles.
 * @param feeWallet compiled-in wallet of the protocol fee, or null when release, resolve and withdraw take it as an argument
 */
export function multiProgram(feeWallet: string | null): Program {
  return {
    ...commonFunctions(kit, {
      deployFunction: 'tw_new_multi_release_escrow',
      extendAuthFirst: true,
      checkInit,
      checkUpdate,
    }),
    ...(feeWallet === null ? asArgument : compiledIn(feeWallet)),
    change_milestone_status: changeStatus,
    approve_milestone: approve,
    dispute_milestone: dispute,
  };
}
