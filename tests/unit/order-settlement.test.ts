import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PROTOCOL_FEE_BPS } from '../../domain/limits.ts';
import { bpsOf } from '../../domain/money.ts';
import { REFUND, RELEASE, distribute, settle } from '../../domain/order/settlement.ts';

const seller = { party: 'SELLER', userId: 'usr_s', address: 'GS' } as const;
const buyer = { party: 'BUYER', userId: 'usr_b', address: 'GB' } as const;
const payees = { seller, buyer };
const amount = fc.bigInt({ min: 1n, max: 9_000_000_000_000_000n });

describe('sharing out', () => {
  test('gives away exactly what is there, dust to the buyer, and sends no zero', () => {
    fc.assert(
      fc.property(
        amount,
        fc.bigInt({ min: 0n, max: 10n ** 16n }),
        fc.bigInt({ min: 0n, max: 10n ** 16n }),
        (base, s, b) => {
          fc.pre(s + b > 0n);
          const shared = distribute(base, { seller: s, buyer: b }, payees);
          expect(shared.reduce((sum, one) => sum + one.amount, 0n)).toBe(base);
          expect(shared.every((one) => one.amount > 0n)).toBe(true);
          const toSeller = shared.find(({ party }) => party === 'SELLER')?.amount ?? 0n;
          expect(toSeller).toBe((base * s) / (s + b));
        },
      ),
    );
  });

  test('a release pays the seller alone, a refund the buyer alone, also a single stroop', () => {
    expect(distribute(1n, RELEASE, payees)).toEqual([{ ...seller, amount: 1n }]);
    expect(distribute(1n, REFUND, payees)).toEqual([{ ...buyer, amount: 1n }]);
    expect(distribute(1n, { seller: 1n, buyer: 1n }, payees)).toEqual([{ ...buyer, amount: 1n }]);
  });

  test('parties that are paid to one address share one payment', () => {
    const same = { seller, buyer: { ...buyer, address: seller.address } };
    expect(distribute(10n, { seller: 3n, buyer: 7n }, same)).toEqual([{ ...seller, amount: 10n }]);
  });
});

describe('fees', () => {
  test('are the contract’s on a release: 30 bps of the protocol and the marketplace’s, floored', () => {
    const [settled] = settle(distribute(2_500_000_000n, RELEASE, payees), 50);
    expect(settled).toMatchObject({ protocolFee: 7_500_000n, platformFee: 12_500_000n, net: 2_480_000_000n });
  });

  test('never exceed what the contract takes of the whole, and add up with the nets', () => {
    fc.assert(
      fc.property(amount, fc.nat(9_900), fc.bigInt({ min: 0n, max: 100n }), (base, bps, part) => {
        const settled = settle(distribute(base, { seller: part, buyer: 101n - part }, payees), bps);
        const sum = (field: 'gross' | 'protocolFee' | 'platformFee' | 'net') =>
          settled.reduce((total, one) => total + one[field], 0n);
        expect(sum('gross')).toBe(base);
        expect(sum('protocolFee') + sum('platformFee') + sum('net')).toBe(base);
        const taken = bpsOf(base, PROTOCOL_FEE_BPS);
        expect(sum('protocolFee') <= taken && taken - sum('protocolFee') < 2n).toBe(true);
        expect(settled.every(({ net }) => net >= 0n)).toBe(bps + PROTOCOL_FEE_BPS <= 10_000);
      }),
    );
  });

  test('follow what the chain paid, whatever it rounded', () => {
    const [settled] = settle(distribute(1_000n, REFUND, payees), 50, () => 991n);
    expect(settled).toMatchObject({ gross: 1_000n, protocolFee: 3n, platformFee: 6n, net: 991n });
  });
});
