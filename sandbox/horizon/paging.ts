/** Cursor paging over lists in total order. */
import { positionAfter } from '../core/history.ts';
import { endOfLedger, toid } from '../core/toid.ts';
import { badField, beforeHistory } from './problem.ts';

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 10;
const MAX_CURSOR = 9_223_372_036_854_775_807n;

/** The second half of a cursor that has none: behind everything of the operation it names. */
const ALL_PARTS = MAX_CURSOR;

export interface Page {
  /** exclusive; undefined is the near end of the list */
  readonly cursor: bigint | undefined;
  /** position within the operation, for lists whose cursors have two halves */
  readonly part: bigint;
  /** as it was asked for, to be kept in an empty page's links */
  readonly cursorText: string;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
}

function readCursor(text: string, latest: number, halves: boolean): Pick<Page, 'cursor' | 'part'> {
  if (text === '') return { cursor: undefined, part: ALL_PARTS };
  if (text === 'now') return { cursor: endOfLedger(latest), part: ALL_PARTS };
  const [, id = '', part] = /^(\d{1,19})(?:-(\d{1,19}))?$/.exec(text) ?? [];
  const valid = id !== '' && BigInt(id) <= MAX_CURSOR && (part === undefined || halves);
  if (!valid) throw badField('cursor', 'cursor must contain exactly one non-negative integer');
  return { cursor: BigInt(id), part: part === undefined ? ALL_PARTS : BigInt(part) };
}

/**
 * Reads `cursor`, `order` and `limit`; `Last-Event-ID` overrides the cursor.
 * @param halves whether the list's cursors have two, `<operation>-<n>`
 * @throws Problem 400 naming the field
 */
export function readPage(
  query: URLSearchParams,
  lastEventId: string | undefined,
  latest: number,
  halves = false,
): Page {
  const cursorText = lastEventId ?? query.get('cursor') ?? '';
  const order = query.get('order') ?? '';
  if (order !== '' && order !== 'asc' && order !== 'desc') throw badField('order', 'order: invalid value');
  const limitText = query.get('limit') ?? '';
  const limit = limitText === '' ? DEFAULT_LIMIT : Number(limitText);
  if (!/^-?\d*$/.test(limitText) || limit < 1) throw badField('limit', 'limit must be greater than 0');
  if (limit > MAX_LIMIT) throw badField('limit', `limit ${limitText} is greater than limit max of ${MAX_LIMIT}`);
  const cursor = readCursor(cursorText, latest, halves);
  return { ...cursor, cursorText, order: order === 'desc' ? 'desc' : 'asc', limit };
}

/** An ascending list with random access by id. */
export interface Ordered {
  readonly id: bigint;
}

/**
 * Entries behind the cursor in the order asked for. Below the retention an ascending cursor jumps silently to the oldest
 * ledger kept, as Horizon's does; a descending one is refused.
 * @param inclusive begins with what the cursor itself names
 * @throws Problem 410
 */
export function* behindCursor<T extends Ordered>(
  list: readonly T[],
  { order, cursor = order === 'asc' ? 0n : MAX_CURSOR }: Page,
  oldest: number,
  inclusive = false,
): Generator<T> {
  const floor = toid(oldest) - 1n;
  const ascending = order === 'asc';
  if (!ascending && cursor <= floor + 1n) throw beforeHistory();
  const from = cursor < floor ? floor : cursor;
  const position = positionAfter(list, ascending === inclusive ? from - 1n : from);
  for (let index = ascending ? position : position - 1; ; index += ascending ? 1 : -1) {
    const entry = list[index];
    if (entry === undefined || entry.id <= floor) return;
    yield entry;
  }
}

/** One page of a list. @throws Problem 410 */
export function slicePage<T extends Ordered>(
  list: readonly T[],
  page: Page,
  oldest: number,
  keep: (entry: T) => boolean,
): T[] {
  const found: T[] = [];
  for (const entry of behindCursor(list, page, oldest)) {
    if (keep(entry)) found.push(entry);
    if (found.length === page.limit) break;
  }
  return found;
}

/** The page document with its three links. `self` is the request's own URL. */
export function pageDocument(self: URL, page: Page, tokens: readonly string[], records: readonly object[]): object {
  const link = (cursor: string, order: string): { href: string } => {
    const url = new URL(self);
    url.searchParams.set('cursor', cursor);
    url.searchParams.set('limit', String(page.limit));
    url.searchParams.set('order', order);
    return { href: url.toString() };
  };
  const inverted = page.order === 'asc' ? 'desc' : 'asc';
  const first = tokens[0];
  const last = tokens.at(-1);
  return {
    _links: {
      self: link(page.cursorText, page.order),
      next: link(last ?? page.cursorText, page.order),
      prev: link(first ?? page.cursorText, inverted),
    },
    _embedded: { records },
  };
}
