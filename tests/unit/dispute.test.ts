import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isCommitted, shareOut, sharesOf } from '../../domain/dispute/decision.ts';
import { allowedDisputeVerbs, isArguing, isDisputeOver, statusBefore } from '../../domain/dispute/machine.ts';
import type { DisputedPart } from '../../domain/dispute/shapes.ts';
import { DISPUTE_STATUSES, DISPUTE_VERBS } from '../../domain/statuses.ts';

describe('the machine', () => {
  const pairs = DISPUTE_STATUSES.flatMap((status) => DISPUTE_VERBS.map((verb) => [status, verb] as const));
  const allowed = new Set(
    ['OPEN', 'UNDER_REVIEW'].flatMap((status) => ['assign', 'withdraw', 'resolve'].map((verb) => `${status} ${verb}`)),
  );

  test.each(pairs)('%s: %s', (status, verb) => {
    expect(allowedDisputeVerbs(status).includes(verb)).toBe(allowed.has(`${status} ${verb}`));
  });

  test('is argued about until the decision, and over after the money or its opener has spoken', () => {
    expect(DISPUTE_STATUSES.filter(isArguing)).toEqual(['OPEN', 'UNDER_REVIEW']);
    expect(DISPUTE_STATUSES.filter(isDisputeOver)).toEqual(['RESOLVED', 'WITHDRAWN']);
  });

  test('goes back to where it was when a decision came to nothing', () => {
    expect(statusBefore({ assignedTo: null })).toBe('OPEN');
    expect(statusBefore({ assignedTo: 'agent:alice' })).toBe('UNDER_REVIEW');
  });

  test('cannot go back once the dispute is open on chain, or a part is paid', () => {
    const part: DisputedPart = {
      index: null,
      ref: null,
      seller_id: 'usr_2',
      amount: '10',
      shares: null,
      approved: true,
      opened: false,
      outcome: null,
      transaction_hash: null,
    };
    expect(isCommitted([part])).toBe(false);
    expect(isCommitted([part, { ...part, opened: true }])).toBe(true);
    expect(isCommitted([part, { ...part, outcome: 'RELEASED' }])).toBe(true);
  });
});

describe('a decision', () => {
  const partsArbitrary = fc
    .array(fc.bigInt({ min: 1n, max: 10n ** 15n }), { minLength: 1, maxLength: 50 })
    .map((amounts) => amounts.map((amount, index) => ({ index, ref: `m${index}`, amount: amount.toString() })));

  test('shares out exactly what is in dispute, whatever it is', () => {
    fc.assert(
      fc.property(
        partsArbitrary,
        fc.constantFrom('FULL_RELEASE', 'FULL_REFUND', 'SPLIT'),
        fc.nat(),
        (parts, decision, seed) => {
          const splits = parts.map(({ ref, amount }, index) => {
            const release = (BigInt(amount) * BigInt((seed + index) % 101)) / 100n;
            return { ref, release, refund: BigInt(amount) - release };
          });
          const shared = sharesOf(parts, decision, decision === 'SPLIT' ? splits : []);
          if (!('shares' in shared)) throw new Error(shared.problem);
          expect(shared.shares.map(({ seller, buyer }) => BigInt(seller) + BigInt(buyer))).toEqual(
            parts.map(({ amount }) => BigInt(amount)),
          );
        },
      ),
    );
  });

  test('gives every milestone its own shares, in whatever order parts and statements come', () => {
    const shuffled = partsArbitrary.chain((parts) =>
      fc.tuple(
        fc.shuffledSubarray(parts, { minLength: parts.length }),
        fc.shuffledSubarray(parts, { minLength: parts.length }),
        fc.shuffledSubarray(parts, { minLength: parts.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([judged, stated, stored]) => {
        const releaseOf = ({ index, amount }: { index: number; amount: string }) => BigInt(amount) / BigInt(index + 2);
        const splits = stated.map((part) => ({
          ref: part.ref,
          release: releaseOf(part),
          refund: BigInt(part.amount) - releaseOf(part),
        }));
        const shared = sharesOf(judged, 'SPLIT', splits);
        if (!('shares' in shared)) throw new Error(shared.problem);
        expect(shareOut(stored, shared.shares)?.map(({ ref, shares }) => ({ ref, seller: shares.seller }))).toEqual(
          stored.map((part) => ({ ref: part.ref, seller: releaseOf(part).toString() })),
        );
        expect(shareOut(stored, shared.shares.slice(1))).toBeNull();
      }),
    );
  });

  test('that is a stroop off, names a foreign milestone or leaves one out is refused', () => {
    const parts = [
      { index: 0, ref: 'm1', amount: '10' },
      { index: 1, ref: 'm2', amount: '20' },
    ];
    const whole = [
      { ref: 'm1', release: 10n, refund: 0n },
      { ref: 'm2', release: 0n, refund: 20n },
    ];
    const [first] = whole;
    expect(sharesOf(parts, 'SPLIT', whole)).toHaveProperty('shares');
    expect(sharesOf(parts, 'SPLIT', [{ ref: 'm1', release: 9n, refund: 0n }, ...whole.slice(1)])).toMatchObject({
      ref: 'm1',
    });
    expect(sharesOf(parts, 'SPLIT', whole.slice(1))).toMatchObject({ ref: 'm1' });
    expect(sharesOf(parts, 'SPLIT', [...whole, ...(first === undefined ? [] : [first])])).toMatchObject({ ref: 'm1' });
    expect(sharesOf(parts, 'SPLIT', [...whole, { ref: 'm9', release: 0n, refund: 0n }])).toMatchObject({ ref: 'm9' });
  });
});
