/** What an order's workflow makes of states of its row that reach it in any order. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isOutdated } from '../../workflows/order-operations.ts';

const heard = <T extends { readonly as_of?: number }>(states: readonly T[]): T | null =>
  states.reduce<T | null>((last, next) => (isOutdated(next, last) ? last : next), null);

test('the latest state of the row counts, in whatever order they are heard of', () => {
  const times = fc.uniqueArray(fc.double({ min: 1, max: 2_000_000_000, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(times, (seconds) => {
      expect(heard(seconds.map((as_of) => ({ as_of })))).toEqual({ as_of: Math.max(...seconds) });
    }),
  );
});

test('of states of one moment, or of histories that know no times, the one that is heard of last counts', () => {
  expect(
    heard([
      { as_of: 1, name: 'a' },
      { as_of: 1, name: 'b' },
    ]),
  ).toMatchObject({ name: 'b' });
  expect(heard([{ name: 'a' }, { as_of: 2, name: 'b' }, { name: 'c' }])).toEqual({ name: 'c' });
});
