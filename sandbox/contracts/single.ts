/** The single-release escrow contract: one amount, one receiver, released when every milestone is approved. */
import { xdr } from '@stellar/stellar-sdk/base';
import type { ContractFunction, Env, Program } from './env.ts';
import { SINGLE_ERRORS } from './errors.ts';
import {
  assertPlatformFee,
  commonFunctions,
  distribute,
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
  type Distribution,
} from './escrow.ts';
import { fn } from './fn.ts';
import { address, bool, distributionMap, i128, type Of, option, string, struct, u32, vec } from './scval.ts';
import { isDeepStrictEqual } from 'node:util';

const flags = struct<{ disputed: boolean; released: boolean; resolved: boolean }>({
  disputed: bool,
  released: bool,
  resolved: bool,
});

const roles = struct<{
  approver: string;
  dispute_resolver: string;
  platform: string;
  receiver: string;
  release_signer: string;
  service_provider: string;
}>({
  approver: address,
  dispute_resolver: address,
  platform: address,
  receiver: address,
  release_signer: address,
  service_provider: address,
});

const milestone = struct<{ approved: boolean; description: string; evidence: string; status: string }>({
  approved: bool,
  description: string,
  evidence: string,
  status: string,
});

/** State of a single-release escrow; amounts in stroops, `platform_fee` in basis points. */
export const singleEscrow = struct<{
  amount: bigint;
  description: string;
  engagement_id: string;
  flags: Of<typeof flags>;
  milestones: Of<typeof milestone>[];
  platform_fee: number;
  receiver_memo: number;
  roles: Of<typeof roles>;
  title: string;
  trustline: { address: string };
}>({
  amount: i128,
  description: string,
  engagement_id: string,
  flags,
  milestones: vec(milestone),
  platform_fee: u32,
  receiver_memo: u32,
  roles,
  title: string,
  trustline,
});

export type SingleEscrow = Of<typeof singleEscrow>;

const fail = failWith(SINGLE_ERRORS);
const kit = kitOf(singleEscrow, fail);
const VOID = xdr.ScVal.scvVoid();

const anyFlag = ({ flags: { disputed, released, resolved } }: SingleEscrow): boolean =>
  disputed || released || resolved;
const anyApproved = ({ milestones }: SingleEscrow): boolean => milestones.some(({ approved }) => approved);

function checkLimits(escrow: SingleEscrow): void {
  assertPlatformFee(escrow.platform_fee, fail);
  if (escrow.amount <= 0n) throw fail('AmountCannotBeZero');
  if (escrow.milestones.length === 0) throw fail('NoMilestoneDefined');
  if (escrow.milestones.length > MAX_MILESTONES) throw fail('TooManyMilestones');
}

function checkInit(env: Env, escrow: SingleEscrow): void {
  if (env.storage.get(ESCROW_KEY) !== undefined) throw fail('EscrowAlreadyInitialized');
  checkLimits(escrow);
  if (anyFlag(escrow) || anyApproved(escrow)) throw fail('FlagsMustBeFalse');
}

/** With funds inside, milestones may only be appended; without, everything but the platform may change. */
function checkUpdate(stored: SingleEscrow, updated: SingleEscrow, caller: string, balance: bigint): void {
  checkLimits(updated);
  if (caller !== stored.roles.platform) throw fail('OnlyPlatformAddressExecuteThisFunction');
  if (updated.roles.platform !== stored.roles.platform) throw fail('PlatformAddressCannotBeChanged');
  if (stored.flags.disputed) throw fail('EscrowOpenedForDisputeResolution');
  if (anyFlag(updated)) throw fail('FlagsMustBeFalse');
  if (balance > 0n) {
    const kept = updated.milestones.slice(0, stored.milestones.length);
    const unchanged = sameBut(stored, updated, 'milestones') && isDeepStrictEqual(kept, stored.milestones);
    if (!unchanged) throw fail('EscrowPropertiesMismatch');
    if (updated.milestones.slice(kept.length).some(({ approved }) => approved)) throw fail('FlagsMustBeFalse');
    return;
  }
  if (anyApproved(stored)) throw fail('MilestoneApprovedCantChangeEscrowProperties');
  if (anyApproved(updated)) throw fail('FlagsMustBeFalse');
}

function release(env: Env, signer: string, wallet: string): xdr.ScVal {
  const escrow = kit.load(env);
  if (escrow.flags.released) throw fail('EscrowAlreadyReleased');
  if (escrow.flags.resolved) throw fail('EscrowAlreadyResolved');
  if (signer !== escrow.roles.release_signer) throw fail('OnlyReleaseSignerCanReleaseEarnings');
  if (escrow.milestones.length === 0) throw fail('NoMilestoneDefined');
  if (!escrow.milestones.every(({ approved }) => approved)) throw fail('EscrowNotCompleted');
  if (escrow.flags.disputed) throw fail('EscrowOpenedForDisputeResolution');
  env.requireAuth(signer);
  escrow.flags.released = true;
  kit.save(env, escrow);
  if (tokenBalance(env, escrow, env.self) < escrow.amount) throw fail('EscrowBalanceNotEnoughToSendEarnings');
  payOut(env, escrow, escrow.amount, escrow.roles.receiver, wallet, fail);
  // this event's data is the bare address, not a vec like all others
  env.emit([xdr.ScVal.scvSymbol('tw_release')], address.encode(signer));
  return VOID;
}

/** What resolving a dispute and withdrawing the rest have in common, in this order. */
function assertResolver(escrow: SingleEscrow, resolver: string, distributions: readonly Distribution[]): void {
  if (distributions.length > MAX_DISTRIBUTIONS) throw fail('TooManyDistributions');
  if (resolver !== escrow.roles.dispute_resolver) throw fail('OnlyDisputeResolverCanExecuteThisFunction');
}

/** Pays the whole balance out. */
function resolve(env: Env, resolver: string, wallet: string, distributions: readonly Distribution[]): xdr.ScVal {
  const escrow = kit.load(env);
  const balance = tokenBalance(env, escrow, env.self);
  const total = sumOf(distributions, fail);
  assertResolver(escrow, resolver, distributions);
  if (!escrow.flags.disputed) throw fail('EscrowNotInDispute');
  if (balance < total) throw fail('InsufficientFundsForResolution');
  if (balance !== total) throw fail('DistributionsMustEqualEscrowBalance');
  if (total <= 0n) throw fail('TotalAmountCannotBeZero');
  env.requireAuth(resolver);
  distribute(env, escrow, distributions, total, wallet, fail);
  escrow.flags.resolved = true;
  escrow.flags.disputed = false;
  kit.save(env, escrow);
  kit.emit(env, 'tw_disp_resolve', singleEscrow.encode(escrow));
  return VOID;
}

/** Pays some of what is left; a dispute counts as processed. Publishes nothing of its own. */
function withdraw(env: Env, resolver: string, wallet: string, distributions: readonly Distribution[]): xdr.ScVal {
  const escrow = kit.load(env);
  const balance = tokenBalance(env, escrow, env.self);
  const total = sumOf(distributions, fail);
  assertResolver(escrow, resolver, distributions);
  if (!anyFlag(escrow)) throw fail('EscrowNotFullyProcessed');
  if (total <= 0n) throw fail('TotalAmountCannotBeZero');
  if (balance < total) throw fail('InsufficientFundsForResolution');
  env.requireAuth(resolver);
  distribute(env, escrow, distributions, total, wallet, fail);
  kit.save(env, escrow);
  return VOID;
}

const changeStatus: ContractFunction = fn(
  [u32, string, option(string), address],
  (env, index, status, evidence, provider) => {
    const escrow = kit.load(env);
    if (status === '') throw fail('EmptyMilestoneStatus');
    if (provider !== escrow.roles.service_provider) throw fail('OnlyServiceProviderChangeMilstoneStatus');
    if (escrow.milestones.length === 0) throw fail('NoMilestoneDefined');
    const target = escrow.milestones[index];
    if (target === undefined) throw fail('MilestoneToUpdateDoesNotExist');
    if (target.status === '') throw fail('EmptyMilestoneStatus');
    env.requireAuth(provider);
    target.status = status;
    if (evidence !== null) target.evidence = evidence;
    kit.save(env, escrow);
    kit.emit(env, 'tw_ms_change', singleEscrow.encode(escrow));
    return VOID;
  },
);

const approve: ContractFunction = fn([u32, address], (env, index, approver) => {
  const escrow = kit.load(env);
  const target = escrow.milestones[index];
  if (target === undefined) throw fail('InvalidMileStoneIndex');
  if (approver !== escrow.roles.approver) throw fail('OnlyApproverChangeMilstoneFlag');
  if (target.approved) throw fail('MilestoneHasAlreadyBeenApproved');
  if (target.status === '') throw fail('EmptyMilestoneStatus');
  env.requireAuth(approver);
  target.approved = true;
  kit.save(env, escrow);
  kit.emit(env, 'tw_ms_approve', singleEscrow.encode(escrow));
  return VOID;
});

/** A released escrow can still be disputed. */
const dispute: ContractFunction = fn([address], (env, signer) => {
  const escrow = kit.load(env);
  if (escrow.flags.disputed) throw fail('EscrowAlreadyInDispute');
  if (escrow.flags.resolved) throw fail('EscrowAlreadyResolved');
  if (!Object.values(escrow.roles).includes(signer)) throw fail('UnauthorizedToChangeDisputeFlag');
  if (signer === escrow.roles.dispute_resolver) throw fail('DisputeResolverCannotDisputeTheEscrow');
  env.requireAuth(signer);
  escrow.flags.disputed = true;
  kit.save(env, escrow);
  kit.emit(env, 'tw_dispute', singleEscrow.encode(escrow));
  return VOID;
});

/**
 * The contract in one of its two ABI profiles.
 * @param feeWallet compiled-in wallet of the protocol fee, or null when release, resolve and withdraw take it as an argument
 */
export function singleProgram(feeWallet: string | null): Program {
  const payouts: Program =
    feeWallet === null
      ? {
          release_funds: fn([address, address], release),
          resolve_dispute: fn([address, address, distributionMap], resolve),
          withdraw_remaining_funds: fn([address, address, distributionMap], withdraw),
        }
      : {
          release_funds: fn([address], (env, signer) => release(env, signer, feeWallet)),
          resolve_dispute: fn([address, distributionMap], (env, resolver, map) =>
            resolve(env, resolver, feeWallet, map),
          ),
          withdraw_remaining_funds: fn([address, distributionMap], (env, resolver, map) =>
            withdraw(env, resolver, feeWallet, map),
          ),
        };
  return {
    ...commonFunctions(kit, {
      deployFunction: 'tw_new_single_release_escrow',
      extendAuthFirst: false,
      checkInit,
      checkUpdate,
    }),
    ...payouts,
    change_milestone_status: changeStatus,
    approve_milestone: approve,
    dispute_escrow: dispute,
  };
}
