import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Page, pageDocument, readPage, slicePage } from '../../sandbox/horizon/paging.ts';
import { ledgerOf, toid } from '../../sandbox/core/toid.ts';

const LEDGERS = 40;
const position = fc.record({
  ledger: fc.integer({ min: 1, max: LEDGERS }),
  order: fc.integer({ min: 1, max: 1_000 }),
  operation: fc.integer({ min: 1, max: 100 }),
});

/** A list in total order, as the ledger writes it. */
const list = fc
  .uniqueArray(position, {
    selector: ({ ledger, order, operation }) => String(toid(ledger, order, operation)),
    maxLength: 40,
  })
  .map((positions) => {
    const byOrder = positions.toSorted((a, b) => a.ledger - b.ledger || a.order - b.order || a.operation - b.operation);
    return byOrder.map(({ ledger, order, operation }) => ({ id: toid(ledger, order, operation) }));
  });
const limit = fc.integer({ min: 1, max: 7 });
const oldest = fc.integer({ min: 1, max: LEDGERS });
const all = (): boolean => true;

interface Links {
  readonly _links: Record<'next' | 'prev' | 'self', { readonly href: string }>;
}

/** A page over HTTP's words only: the query of a link in, records and links out. */
function read(entries: readonly { id: bigint }[], url: URL, from = 1) {
  const page: Page = readPage(url.searchParams, undefined, LEDGERS);
  const found = slicePage(entries, page, from, all);
  const tokens = found.map(({ id }) => String(id));
  const { _links: links } = pageDocument(url, page, tokens, found) as Links;
  return { tokens, next: new URL(links.next.href), prev: new URL(links.prev.href), self: new URL(links.self.href) };
}

const start = (query: string) => new URL(`http://horizon.invalid/payments?${query}`);

describe('ids and pages', () => {
  test('total order ids rise with ledger, transaction and operation, and are the network’s numbers', () => {
    fc.assert(
      fc.property(list, (entries) => {
        entries.forEach(({ id }, index) => {
          expect(id > (entries[index - 1]?.id ?? 0n)).toBe(true);
          expect(toid(ledgerOf(id), Number((id >> 12n) & 0xfffffn), Number(id & 0xfffn))).toBe(id);
        });
      }),
      { numRuns: 50 },
    );
    expect(toid(100, 1, 1)).toBe(429_496_733_697n);
    expect(toid(100)).toBe(429_496_729_600n);
  });

  test('next pages together are the list, whatever the limit and the order', () => {
    fc.assert(
      fc.property(list, limit, fc.constantFrom('asc', 'desc'), (entries, size, order) => {
        const walked: string[] = [];
        for (
          let page = read(entries, start(`limit=${size}&order=${order}`));
          page.tokens.length > 0;
          page = read(entries, page.next)
        ) {
          walked.push(...page.tokens);
        }
        const whole = entries.map(({ id }) => String(id));
        expect(walked).toEqual(order === 'asc' ? whole : whole.toReversed());
      }),
      { numRuns: 60 },
    );
  });

  test('prev is next’s inverse: from a page, on and back again is the same page turned round', () => {
    fc.assert(
      fc.property(list, limit, fc.constantFrom('asc', 'desc'), (entries, size, order) => {
        const first = read(entries, start(`limit=${size}&order=${order}`));
        const second = read(entries, first.next);
        if (second.tokens.length === 0) return;
        expect(read(entries, second.prev).tokens).toEqual(first.tokens.toReversed());
        expect(read(entries, second.self).tokens).toEqual(second.tokens);
      }),
      { numRuns: 60 },
    );
  });

  test('whatever was pruned, an ascending page begins with the oldest kept, and no page shows what is gone', () => {
    fc.assert(
      fc.property(list, limit, oldest, fc.bigInt({ min: 0n, max: toid(LEDGERS) }), (entries, size, from, cursor) => {
        const kept = entries.filter(({ id }) => ledgerOf(id) >= from && id > cursor).map(({ id }) => String(id));
        expect(read(entries, start(`limit=${size}&cursor=${cursor}`), from).tokens).toEqual(kept.slice(0, size));
        const newest = read(entries, start(`limit=${size}&order=desc`), from).tokens;
        expect(newest.every((id) => ledgerOf(BigInt(id)) >= from)).toBe(true);
        const backwards = () => read(entries, start(`order=desc&cursor=${cursor}`), from);
        if (cursor <= toid(from)) expect(backwards).toThrow('Before Recorded History');
        else backwards();
      }),
      { numRuns: 80 },
    );
  });
});
