/** Field rules of the V1 request bodies: whitelist-strict, amounts as JSON numbers, percents, string milestone indexes. */
import { StrKey } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import { MAX_STROOPS } from '../../domain/money.ts';
import { ApiError } from './errors.ts';
import { type JsonNumber, isJsonNumber, scaled } from './json.ts';

const number = z.custom<JsonNumber>(isJsonNumber, 'must be a number');

/** A number scaled to an integer, refused when it does not fit exactly or lies outside the bounds. */
function integer(decimals: number, min: bigint, max: bigint, rule: string): z.ZodType<bigint> {
  return number.transform((value, context) => {
    const result = scaled(value, decimals);
    if (result !== undefined && result >= min && result <= max) return result;
    context.addIssue({ code: 'custom', message: rule });
    return z.NEVER;
  });
}

/** Units → stroops, more than zero. */
export const amount = integer(7, 1n, MAX_STROOPS, 'must be a positive number with at most 7 decimals');
/** Units → stroops, any sign: distributions are judged by the contract, not by the API. */
export const share = integer(7, -MAX_STROOPS, MAX_STROOPS, 'must be a number with at most 7 decimals');
/** Percent → basis points; the 99 % cap is the contract's. */
export const percent = integer(2, 0n, 0xffff_ffffn, 'must be a percentage with at most 2 decimals').transform(Number);
export const memo = integer(0, 0n, 0xffff_ffffn, 'must be an integer').transform(Number);

export const text = z.string('must be a string');
export const label = text.min(1, 'should not be empty');
export const account = text.refine(
  (value) => StrKey.isValidEd25519PublicKey(value) || StrKey.isValidContract(value),
  'must be a Stellar address',
);
/** A transaction source can only be an account. */
export const wallet = text.refine((value) => StrKey.isValidEd25519PublicKey(value), 'must be a Stellar account');
export const contract = text.refine((value) => StrKey.isValidContract(value), 'must be a contract id');
export const index = text.regex(/^\d{1,9}$/, 'must be a string of digits').transform(Number);
export const flag = z.boolean('must be a boolean');
export const distributions = z.array(z.strictObject({ address: account, amount: share })).min(1, 'should not be empty');
export const trustline = z.strictObject({
  address: account,
  symbol: text.regex(/^[A-Za-z0-9]{1,12}$/, 'must be an asset code'),
});

const commonRoles = {
  approver: account,
  serviceProvider: account,
  platformAddress: account,
  releaseSigner: account,
  disputeResolver: account,
};
export const multiRoles = z.strictObject(commonRoles);
export const singleRoles = z.strictObject({ ...commonRoles, receiver: account });

/** What single- and multi-release escrows have in common when they are written. */
export const terms = {
  engagementId: label,
  title: label.max(100, 'must be at most 100 characters'),
  description: label.max(500, 'must be at most 500 characters'),
  platformFee: percent,
  trustline,
};

/** Validates a body or query; failures become the API's 400 with field messages. */
export function validate<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const details: Record<string, string[]> = {};
  const note = (field: string, message: string): void => {
    (details[field] ??= []).push(`${field} ${message}`);
  };
  for (const issue of result.error.issues) {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) note([...path, key].join('.'), 'should not exist');
    } else {
      note(path.join('.') || 'body', issue.message);
    }
  }
  throw new ApiError(400, Object.values(details).flat().join(', '), details);
}
