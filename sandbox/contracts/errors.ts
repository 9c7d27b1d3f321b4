/**
 * Failures of contract execution as the Soroban host reports them: either a contract's own error number or one of the
 * host's error classes. Thrown inside a model, it aborts the whole transaction (no contract here uses try_call).
 */

type HostErrorType = 'WasmVm' | 'Context' | 'Storage' | 'Object' | 'Value' | 'Auth' | 'Budget';
type HostErrorCode =
  | 'InvalidInput'
  | 'MissingValue'
  | 'ExistingValue'
  | 'ExceededLimit'
  | 'InvalidAction'
  | 'InternalError'
  | 'UnexpectedType'
  | 'UnexpectedSize';

export type Failure =
  | { readonly type: 'Contract'; readonly code: number; readonly name: string }
  | { readonly type: HostErrorType; readonly code: HostErrorCode };

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly failure: Failure;
  /** the contract in whose frame it was raised; filled in by the host */
  contract: string | null = null;

  constructor(failure: Failure) {
    super(rawError(failure));
    this.failure = failure;
  }
}

/** The error as the host prints it: `Error(Contract, #33)`, `Error(Storage, MissingValue)`. */
export function rawError(failure: Failure): string {
  return `Error(${failure.type}, ${failure.type === 'Contract' ? `#${failure.code}` : failure.code})`;
}

export function hostError(type: HostErrorType, code: HostErrorCode): HostError {
  return new HostError({ type, code });
}

/** Error numbers by name. A table belongs to one WASM: numbers moved between builds of the same contract. */
export type ErrorTable = Readonly<Record<string, number>>;

const numbered = (names: readonly string[]): ErrorTable =>
  Object.fromEntries(names.map((name, index) => [name, index + 1]));

/** Single-release escrow, C26 builds. */
export const SINGLE_ERRORS = numbered([
  'AmountCannotBeZero',
  'EscrowAlreadyInitialized',
  'EscrowNotFound',
  'OnlyReleaseSignerCanReleaseEarnings',
  'EscrowNotCompleted',
  'EscrowBalanceNotEnoughToSendEarnings',
  'OnlyPlatformAddressExecuteThisFunction',
  'OnlyServiceProviderChangeMilstoneStatus',
  'NoMilestoneDefined',
  'InvalidMileStoneIndex',
  'OnlyApproverChangeMilstoneFlag',
  'OnlyDisputeResolverCanExecuteThisFunction',
  'EscrowAlreadyInDispute',
  'EscrowNotInDispute',
  'InsufficientFundsForResolution',
  'EscrowOpenedForDisputeResolution',
  'Overflow',
  'Underflow',
  'DivisionError',
  'InsufficientApproverFundsForCommissions',
  'InsufficientServiceProviderFundsForCommissions',
  'MilestoneApprovedCantChangeEscrowProperties',
  'EscrowHasFunds',
  'EscrowAlreadyResolved',
  'TooManyEscrowsRequested',
  'UnauthorizedToChangeDisputeFlag',
  'TooManyMilestones',
  'ReceiverAndApproverFundsNotEqual',
  'MilestoneHasAlreadyBeenApproved',
  'EmptyMilestoneStatus',
  'PlatformFeeTooHigh',
  'FlagsMustBeFalse',
  'EscrowPropertiesMismatch',
  'ApproverOrReceiverFundsLessThanZero',
  'EscrowAlreadyReleased',
  'IncompatibleEscrowWasmHash',
  'PlatformAddressCannotBeChanged',
  'AmountsToBeTransferredShouldBePositive',
  'DistributionsMustEqualEscrowBalance',
  'DisputeResolverCannotDisputeTheEscrow',
  'TotalAmountCannotBeZero',
  'InsufficientFundsForEscrowFunding',
  'MilestoneToApproveDoesNotExist',
  'EscrowNotFullyProcessed',
  'TooManyDistributions',
  'MilestoneToUpdateDoesNotExist',
]);

/** Multi-release escrow, C26 builds. */
export const MULTI_ERRORS = numbered([
  'AmountCannotBeZero',
  'AmountsToBeTransferredShouldBePositive',
  'ApproverOrReceiverFundsLessThanZero',
  'CantReleaseAMilestoneInDispute',
  'DisputeResolverCannotDisputeTheMilestone',
  'DivisionError',
  'EmptyMilestoneStatus',
  'EscrowAlreadyInitialized',
  'EscrowAlreadyResolved',
  'EscrowBalanceMustBeZeroOnInitialization',
  'EscrowBalanceNotEnoughToSendEarnings',
  'EscrowHasFunds',
  'EscrowNotFound',
  'EscrowNotFullyProcessed',
  'EscrowPropertiesMismatch',
  'FlagsMustBeFalse',
  'InsufficientApproverFundsForCommissions',
  'InsufficientEscrowFundsToMakeTheRefund',
  'InsufficientFundsForEscrowFunding',
  'InsufficientFundsForRefund',
  'InsufficientFundsForResolution',
  'InsufficientServiceProviderFundsForCommissions',
  'InvalidMileStoneIndex',
  'MilestoneAlreadyInDispute',
  'MilestoneAlreadyReleased',
  'MilestoneAlreadyResolved',
  'MilestoneApprovedCantChangeEscrowProperties',
  'MilestoneHasAlreadyBeenApproved',
  'MilestoneNotCompleted',
  'MilestoneNotFound',
  'MilestoneNotInDispute',
  'MilestoneOpenedForDisputeResolution',
  'MilestoneToApproveDoesNotExist',
  'MilestoneToUpdateDoesNotExist',
  'NoMileStoneDefined',
  'OnlyApproverChangeMilstoneFlag',
  'OnlyDisputeResolverCanExecuteThisFunction',
  'OnlyPlatformAddressExecuteThisFunction',
  'OnlyReleaseSignerCanReleaseEarnings',
  'OnlyServiceProviderChangeMilstoneStatus',
  'Overflow',
  'PlatformAddressCannotBeChanged',
  'PlatformFeeTooHigh',
  'TooManyEscrowsRequested',
  'TooManyMilestones',
  'TooManyDistributions',
  'TotalAmountCannotBeZero',
  'TotalDisputeFundsMustNotExceedTheMilestoneAmount',
  'UnauthorizedToChangeDisputeFlag',
  'Underflow',
]);

/** Stellar Asset Contract. */
export const SAC_ERRORS = {
  InternalError: 1,
  OperationNotSupportedError: 2,
  AlreadyInitializedError: 3,
  AccountMissingError: 6,
  NegativeAmountError: 8,
  AllowanceError: 9,
  BalanceError: 10,
  BalanceDeauthorizedError: 11,
  OverflowError: 12,
  TrustlineMissingError: 13,
} as const satisfies ErrorTable;
