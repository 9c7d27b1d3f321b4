import { describe, expect, test } from '@jest/globals';
import { defaultPayee } from '../../domain/surplus.ts';

describe('what is left goes, unless somebody knows better,', () => {
  const buyer = 'GBUYER';
  const by = (from: string, amount: bigint) => ({ from, amount });

  test.each([
    ['to the one account that paid all of it in', 10n, [by('GANN', 6n), by('GANN', 4n)], 'GANN'],
    ['to the last payer, when what came before was paid out', 6n, [by('GANN', 6n), by('GBOB', 4n)], 'GANN'],
    ['to the buyer, when several paid in', 10n, [by('GANN', 6n), by('GBOB', 4n)], buyer],
    ['to the buyer, when not all of it is explained', 11n, [by('GANN', 10n)], buyer],
    ['to the buyer, when a contract paid it in', 10n, [by('CONTRACT', 10n)], buyer],
    ['to the buyer, when nobody did', 10n, [], buyer],
  ])('%s', (_words, held, paidIn, payee) => {
    expect(defaultPayee(held, paidIn, buyer)).toBe(payee);
  });
});
