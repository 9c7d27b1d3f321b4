/**
 * What the V1 API says when it refuses, and how it words a failing contract.
 *
 * The live API turns `Error(Contract, #n)` into text by one table, without asking which contract raised the number
 * (F21): a token's "trustline missing" (13) reads as "Escrow already in dispute". That is the default here too.
 */
import type { InvokeFailure } from '../core/types.ts';

/** A refusal with its HTTP status; `details` maps a field to its messages. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly details: Readonly<Record<string, string[]>> | undefined;

  constructor(status: number, message: string, details?: Record<string, string[]>) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** The V1 error body. */
export function errorBody(error: ApiError, path: string): Record<string, unknown> {
  const body = { statusCode: error.status, message: error.message, timestamp: new Date().toISOString(), path };
  return error.details === undefined ? body : { ...body, details: error.details };
}

export const escrowNotFound = (): ApiError => new ApiError(404, 'Escrow not found');

type Texts = Readonly<Record<number, string>>;

const SINGLE: Texts = {
  1: 'Amount cannot be equal to or less than zero',
  2: 'Escrow already initialized',
  3: 'Escrow not found',
  4: 'Only the release signer can release the escrow earnings',
  5: 'The escrow must be completed to release earnings',
  6: 'The escrow balance must be equal to the amount of earnings defined for the escrow',
  7: 'Only the platform address should be able to execute this function',
  8: 'Only the service provider can change milestone status',
  9: 'Escrow initialized without milestone',
  10: 'Invalid milestone index',
  11: 'Only the approver can change milestone flag',
  12: 'Only the dispute resolver can execute this function',
  13: 'Escrow already in dispute',
  14: 'Escrow not in dispute',
  15: 'Insufficient funds for resolution',
  16: 'Escrow has been opened for dispute resolution',
  17: 'This operation can cause an Overflow',
  18: 'This operation can cause an Underflow',
  19: 'This operation can cause a Division error',
  20: 'Insufficient approver funds for commissions',
  21: 'Insufficient Service Provider funds for commissions',
  22: "You can't change the escrow properties after the milestone is approved",
  23: 'Escrow has funds',
  24: 'This escrow is already resolved',
  25: 'You have requested too many escrows',
  26: 'You are not authorized to change the dispute flag',
  27: 'Cannot define more than 50 milestones in an escrow',
  28: "The approver's and receiver's funds must equal the escrow balance",
  29: 'You cannot approve a milestone that has already been approved previously',
  30: 'The milestone status cannot be empty',
  31: 'The platform fee cannot exceed 99%',
  32: 'All flags (approved, disputed, released) must be false in order to execute this function.',
  33: 'The provided escrow properties do not match the stored escrow.',
  34: "The approver's or receiver's funds must not be less than zero",
  35: 'The escrow funds have been released.',
  36: 'The provided contract address is not an instance of this escrow contract.',
  37: 'The platform address of the escrow cannot be changed.',
  38: 'None of the amounts to be transferred should be less or equal than 0.',
  39: 'The sum of distributions must equal the current escrow balance when resolving an escrow dispute.',
  40: 'The dispute resolver cannot dispute the escrow.',
  41: 'The total amount to be distributed cannot be equal to zero.',
  42: 'Insufficient funds for escrow funding',
  43: 'One of the selected milestones to approve does not exist',
  44: 'The escrow must be released, resolved or disputed before withdrawing remaining funds',
  45: 'Too many distributions',
  46: 'One of the selected milestones to update does not exist',
};

const MULTI: Texts = {
  1: 'Amount cannot be equal to or less than zero',
  2: 'None of the amounts to be transferred should be less or equal than 0.',
  4: 'You cannot release a milestone in dispute',
  5: 'The dispute resolver cannot be the one to raise a dispute on a milestone.',
  6: 'This operation can cause a Division error',
  7: 'The milestone status cannot be empty',
  8: 'Escrow already initialized',
  9: 'This escrow is already resolved',
  10: 'The escrow balance must be zero on initialization',
  11: 'The escrow balance must be equal to the amount of earnings defined for the escrow',
  12: 'Escrow has funds',
  13: 'Escrow not found',
  14: 'All milestones must be released or dispute-resolved before withdrawing remaining funds',
  15: 'The provided escrow properties do not match the stored escrow.',
  16: 'All flags (approved, disputed, released) must be false in order to execute this function.',
  18: 'Insufficient escrow funds to make the refund',
  19: 'Insufficient funds for escrow funding',
  21: 'Insufficient funds for resolution',
  23: 'Invalid milestone index',
  24: 'Milestone already in dispute',
  25: 'This milestone is already released',
  26: 'This milestone is already resolved',
  27: "You can't change the escrow properties after the milestone is approved",
  28: 'You cannot approve a milestone that has already been approved previously',
  29: 'The milestone must be completed to release funds',
  30: 'Milestone not found',
  31: 'Milestone not in dispute',
  32: 'Milestone has been opened for dispute resolution',
  33: 'One of the selected milestones to approve does not exist',
  34: 'One of the selected milestones to update does not exist',
  35: 'Escrow initialized without milestone',
  36: 'Only the approver can change milestone flag',
  37: 'Only the dispute resolver can execute this function',
  38: 'Only the platform address should be able to execute this function',
  39: 'Only the release signer can release the escrow funds',
  40: 'Only the service provider can change milestone status',
  41: 'This operation can cause an Overflow',
  42: 'The platform address of the escrow cannot be changed.',
  43: 'The platform fee cannot exceed 99%',
  44: 'You have requested too many escrows',
  45: 'Cannot define more than 50 milestones in an escrow',
  46: 'Too many distributions',
  47: 'The total amount to be transferred cannot be zero.',
  48: 'The total funds to resolve the dispute must not exceed the amount defined for this milestone.',
  49: 'You are not authorized to change the dispute flag',
  50: 'This operation can cause an Underflow',
};

/** Words a failed simulation. `mismap` uses the single-release table for every number, whoever raised it. */
export function contractError(
  failure: Pick<InvokeFailure, 'at' | 'code' | 'raw'>,
  type: 'single' | 'multi',
  mismap: boolean,
): ApiError {
  const table = mismap || type === 'single' ? SINGLE : MULTI;
  const known = mismap || failure.at === 'escrow' || failure.at === 'factory';
  const text = failure.code !== null && known ? table[failure.code] : undefined;
  return new ApiError(400, text ?? `HostError: ${failure.raw}`);
}
