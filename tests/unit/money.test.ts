import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  AmountError,
  MAX_STROOPS,
  bpsOf,
  formatAmount,
  formatFixed,
  mulDiv,
  parseAmount,
  splitByWeights,
} from '../../domain/money.ts';

const stroops = fc.bigInt(0n, MAX_STROOPS);

describe('amounts on the wire', () => {
  test('every amount the network can express survives the wire exactly, in both forms', () => {
    fc.assert(
      fc.property(stroops, (amount) => {
        expect(parseAmount(formatAmount(amount))).toBe(amount);
        expect(parseAmount(formatFixed(amount))).toBe(amount);
      }),
    );
  });

  test.each([
    [0n, '0', '0.0000000'],
    [1n, '0.0000001', '0.0000001'],
    [125_000_000n, '12.5', '12.5000000'],
    [10_000_000n, '1', '1.0000000'],
    [-125_000_000n, '-12.5', '-12.5000000'],
    [MAX_STROOPS, '922337203685.4775807', '922337203685.4775807'],
  ])('%s stroops are written in shortest form %s and in fixed form %s', (amount, short, fixed) => {
    expect(formatAmount(amount)).toBe(short);
    expect(formatFixed(amount)).toBe(fixed);
  });

  test.each(['', '1e3', '-1', '+1', '01', '00', '1.', '.5', '1.00000001', '1,5', ' 1', '1\n', '0x1', 'NaN', '１'])(
    '%j is not an amount',
    (text) => {
      expect(() => parseAmount(text)).toThrow(AmountError);
    },
  );

  test('one stroop more than the network can express is refused', () => {
    expect(() => parseAmount('922337203685.4775808')).toThrow(AmountError);
    expect(() => parseAmount('1000000000000')).toThrow(AmountError);
  });

  test('an amount that floating point cannot hold is read exactly', () => {
    expect(parseAmount('900719925.4740993')).toBe(9_007_199_254_740_993n);
  });
});

describe('arithmetic', () => {
  test('fees are rounded down, as the escrow contract does', () => {
    expect(bpsOf(9_999n, 1)).toBe(0n);
    expect(bpsOf(10_000n, 1)).toBe(1n);
    expect(bpsOf(MAX_STROOPS, 10_000)).toBe(MAX_STROOPS);
  });

  test('a product larger than 64 bits is divided exactly', () => {
    expect(mulDiv(MAX_STROOPS, MAX_STROOPS, MAX_STROOPS)).toBe(MAX_STROOPS);
    expect(() => mulDiv(1n, 1n, 0n)).toThrow(AmountError);
  });

  test('a split returns everything: parts and dust sum to the whole, no part exceeds its share', () => {
    const weights = fc.array(stroops, { minLength: 1, maxLength: 20 }).filter((list) => list.some((w) => w > 0n));
    fc.assert(
      fc.property(stroops, weights, (whole, list) => {
        const { parts, dust } = splitByWeights(whole, list);
        const total = list.reduce((sum, weight) => sum + weight, 0n);
        expect(parts.reduce((sum, part) => sum + part, dust)).toBe(whole);
        expect(dust >= 0n && dust < BigInt(list.length)).toBe(true);
        for (const [index, part] of parts.entries()) expect(part * total <= whole * (list[index] ?? 0n)).toBe(true);
      }),
    );
  });

  test.each([[[]], [[0n]], [[1n, -1n]], [[5n, -1n]]])('weights %j cannot be split by', (weights) => {
    expect(() => splitByWeights(10n, weights)).toThrow(AmountError);
  });
});
