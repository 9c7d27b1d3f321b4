/** Where a withdrawal goes: the form of address and memo. What the chain and our books say about it is asked elsewhere. */
import { StrKey, extractBaseAddress } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import type { Destination, Memo } from '../domain/payment/shapes.ts';
import { Refusal, refuseField } from '../domain/refusal.ts';
import { MEMO_TYPES } from '../domain/statuses.ts';

const MEMO_TEXT_BYTES_MAX = 28;
const MEMO_ID_MAX = 2n ** 64n - 1n;

export const DestinationInput = z.strictObject({
  address: z.string().min(1).max(100).meta({ description: 'G… or M…; contracts are not paid', example: 'G…' }),
  memo: z
    .strictObject({ type: z.enum(MEMO_TYPES), value: z.string().min(1).max(64) })
    .nullish()
    .meta({ description: 'TEXT: at most 28 bytes; ID: a whole number; HASH and RETURN: 64 hex digits' }),
});

/** @throws Refusal DESTINATION_INVALID, VALIDATION_ERROR */
export function destinationOf({ address, memo }: z.output<typeof DestinationInput>): Destination {
  const isMuxed = StrKey.isValidMed25519PublicKey(address);
  if (!isMuxed && !StrKey.isValidEd25519PublicKey(address))
    throw unpayable(
      StrKey.isValidContract(address) ? 'a contract cannot be paid' : 'not an account address (G… or M…)',
    );
  if (isMuxed && memo != null)
    throw refuseField('/destination/memo', 'CONFLICT', 'an M… address names its user itself: leave the memo out');
  return {
    address,
    account: isMuxed ? extractBaseAddress(address) : address,
    memo: memo == null ? null : memoOf(memo),
  };
}

/** @throws Refusal VALIDATION_ERROR */
function memoOf({ type, value }: Memo): Memo {
  const wrong = (detail: string) => refuseField('/destination/memo/value', 'FORMAT', detail);
  switch (type) {
    case 'TEXT':
      if (Buffer.byteLength(value) > MEMO_TEXT_BYTES_MAX) throw wrong('a TEXT memo has at most 28 bytes');
      return { type, value };
    case 'ID':
      if (!/^(0|[1-9]\d{0,19})$/.test(value) || BigInt(value) > MEMO_ID_MAX)
        throw wrong('an ID memo is a whole number below 2^64');
      return { type, value };
    case 'HASH':
    case 'RETURN':
      if (!/^[0-9a-fA-F]{64}$/.test(value)) throw wrong(`a ${type} memo has 64 hex digits`);
      return { type, value: value.toLowerCase() };
  }
}

export const unpayable = (detail: string, pointer = '/destination/address'): Refusal =>
  new Refusal('DESTINATION_INVALID', detail, { errors: [{ pointer, code: 'NOT_PAYABLE', detail }] });
