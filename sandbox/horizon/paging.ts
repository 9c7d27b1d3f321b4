/** Cursor paging over lists in total order. */
import { positionAfter } from '../core/history.ts';
import { endOfLedger, toid } from '../core/toid.ts';
import { badField, beforeHistory } from './problem.ts';

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 10;
const MAX_CURSOR = 9_223_372_036_854_775_807n;

export interface Page {
  /** exclusive; undefined is the near end of the list */
  readonly cursor: bigint | undefined;
  /** as it was asked for, to be kept in an empty page's links */
  readonly cursorText: string;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
}

function readCursor(text: string, latest: number): bigint | undefined {
  if (text === '') return undefined;
  if (text === 'now') return endOfLedger(latest);
  if (!/^\d{1,19}$/.test(text) || BigInt(text) > MAX_CURSOR)
    throw badField('cursor', 'cursor must contain exactly one non-negative integer');
  return BigInt(text);
}

/**
 * Reads `cursor`, `order` and `limit`; `Last-Event-ID` overrides the cursor.
 * @throws Problem 400 naming the field
 */
export function readPage(query: URLSearchParams, lastEventId: string | undefined, latest: number): Page {
  const cursorText = lastEventId ?? query.get('cursor') ?? '';
  const order = query.get('order') ?? '';
  if (order !== '' && order !== 'asc' && order !== 'desc') throw badField('order', 'order: invalid value');
  const limitText = query.get('limit') ?? '';
  const limit = limitText === '' ? DEFAULT_LIMIT : Number(limitText);
  if (!/^-?\d*$/.test(limitText) || limit < 1) throw badField('limit', 'limit must be greater than 0');
  if (limit > MAX_LIMIT) throw badField('limit', `limit ${limitText} is greater than limit max of ${MAX_LIMIT}`);
  return { cursor: readCursor(cursorText, latest), cursorText, order: order === 'desc' ? 'desc' : 'asc', limit };
}

/** An ascending list with random access by id. */
export interface Ordered {
  readonly id: bigint;
}

/**
 * One page of a list: strictly behind the cursor in the order asked for. Below the retention an ascending cursor jumps
 * silently to the oldest ledger kept, as Horizon's does; a descending one is refused.
 * @throws Problem 410
 */
export function slicePage<T extends Ordered>(
  list: readonly T[],
  page: Page,
  oldest: number,
  keep: (entry: T) => boolean,
): T[] {
  const floor = toid(oldest) - 1n;
  const found: T[] = [];
  if (page.order === 'asc') {
    const from = page.cursor === undefined || page.cursor < floor ? floor : page.cursor;
    for (let index = positionAfter(list, from); found.length < page.limit; index += 1) {
      const entry = list[index];
      if (entry === undefined) break;
      if (keep(entry)) found.push(entry);
    }
    return found;
  }
  if (page.cursor !== undefined && page.cursor < floor) throw beforeHistory();
  for (
    let index = page.cursor === undefined ? list.length - 1 : positionAfter(list, page.cursor - 1n) - 1;
    found.length < page.limit;
    index -= 1
  ) {
    const entry = list[index];
    if (entry === undefined || entry.id <= floor) break;
    if (keep(entry)) found.push(entry);
  }
  return found;
}

/** The page document with its three links. `self` is the request's own URL. */
export function pageDocument(self: URL, page: Page, ids: readonly bigint[], records: readonly object[]): object {
  const link = (cursor: string, order: string): { href: string } => {
    const url = new URL(self);
    url.searchParams.set('cursor', cursor);
    url.searchParams.set('limit', String(page.limit));
    url.searchParams.set('order', order);
    return { href: url.toString() };
  };
  const inverted = page.order === 'asc' ? 'desc' : 'asc';
  const first = ids[0];
  const last = ids.at(-1);
  return {
    _links: {
      self: link(page.cursorText, page.order),
      next: link(last === undefined ? page.cursorText : String(last), page.order),
      prev: link(first === undefined ? page.cursorText : String(first), inverted),
    },
    _embedded: { records },
  };
}
