/** The list routes: pages and streams of operations, transactions, effects and ledgers. */
import type { SandboxCore } from '../core/core.ts';
import type { OperationEntry, TransactionEntry } from '../core/history.ts';
import { type Effect, effectResource, effectsOf } from './effects.ts';
import { operationResource } from './operations.ts';
import { behindCursor, type Ordered, type Page, pageDocument, readPage, slicePage } from './paging.ts';
import { badField } from './problem.ts';
import { ledgerResource } from './resources.ts';
import { type Request, send } from './respond.ts';
import type { Streams } from './stream.ts';
import { transactionResource } from './transactions.ts';

/** One record of a page. */
interface Item {
  readonly cursor: bigint;
  readonly part: bigint;
  /** its paging token */
  readonly token: string;
  readonly body: () => object;
}

interface Listing {
  /** whether paging tokens have two halves */
  readonly halves?: boolean;
  readonly slice: (page: Page) => Item[];
}

/** Asked again for every look of a stream: a list may begin to exist while it is streamed. */
type Entries<T> = () => readonly T[];

export interface Lists {
  /** @param failed whether those of failed transactions are among them; default: as the request asks */
  operations(request: Request, entries: Entries<OperationEntry>, failed?: boolean): void;
  transactions(request: Request, entries: Entries<TransactionEntry>): void;
  /** @param account only the effects on this one */
  effects(request: Request, entries: Entries<OperationEntry>, account?: string): void;
  ledgers(request: Request): void;
}

/** A `true` or `false` of the query. @throws Problem 400 */
function flag({ query }: Request, name: string): boolean {
  const text = query.get(name) ?? '';
  if (!['', 'true', 'false'].includes(text)) throw badField(name, 'invalid bool value');
  return text === 'true';
}

/** Whether operations come with their transactions. @throws Problem 400 */
export function joins({ query }: Request): boolean {
  const text = query.get('join') ?? '';
  if (text !== '' && text !== 'transactions') throw badField('join', 'it is not possible to join this');
  return text === 'transactions';
}

interface Numbered {
  readonly entry: OperationEntry;
  readonly part: number;
  readonly effect: Effect;
}

/** A page of effects: the cursor's own operation may have more behind the effect it names. */
function sliceEffects(
  entries: readonly OperationEntry[],
  page: Page,
  oldest: number,
  account: string | undefined,
): Numbered[] {
  const ascending = page.order === 'asc';
  const expand = (entry: OperationEntry): Numbered[] => {
    const all = effectsOf(entry).map((effect, index) => ({ entry, part: index + 1, effect }));
    const own = all.filter(({ effect, part }) => {
      if (account !== undefined && effect.account !== account) return false;
      if (entry.id !== page.cursor) return true;
      return ascending ? BigInt(part) > page.part : BigInt(part) < page.part;
    });
    return ascending ? own : own.toReversed();
  };
  const found: Numbered[] = [];
  for (const entry of behindCursor(entries, page, oldest, true)) {
    found.push(...expand(entry));
    if (found.length >= page.limit) break;
  }
  return found.slice(0, page.limit);
}

function serve(core: SandboxCore, streams: Streams, request: Request, { halves = false, slice }: Listing): void {
  const { req, query, self } = request;
  const given = req.headers['last-event-id'];
  const lastEventId = typeof given === 'string' ? given : undefined;
  const page = readPage(query, lastEventId, core.latest().sequence, halves);
  if (!request.streaming) {
    const items = slice(page);
    const tokens = items.map(({ token }) => token);
    const records = items.map(({ body }) => body());
    return send(request, 200, pageDocument(self, page, tokens, records));
  }
  // A position that nothing has matched yet stays the connection's own, also that of `now`.
  let { cursor, part } = page;
  const next = (room: number) => {
    const items = slice({ ...page, cursor, part, order: 'asc', limit: room });
    ({ cursor, part } = items.at(-1) ?? { cursor, part });
    return items.map(({ token, body }) => ({ id: token, data: body() }));
  };
  streams.open(request, next, page.limit);
}

function items<T extends Ordered>(entries: readonly T[], body: (entry: T) => object): Item[] {
  return entries.map((entry) => ({ cursor: entry.id, part: 0n, token: String(entry.id), body: () => body(entry) }));
}

export function createLists(core: SandboxCore, streams: Streams): Lists {
  return {
    operations: (request, entries, failed = flag(request, 'include_failed')) => {
      const join = joins(request);
      const keep = ({ transaction }: OperationEntry): boolean => failed || transaction.successful;
      const body = (entry: OperationEntry): object => operationResource(entry, request.base, join);
      serve(core, streams, request, { slice: (page) => items(slicePage(entries(), page, core.oldest(), keep), body) });
    },
    transactions: (request, entries) => {
      const failed = flag(request, 'include_failed');
      const keep = ({ transaction }: TransactionEntry): boolean => failed || transaction.successful;
      const body = ({ transaction }: TransactionEntry): object => transactionResource(transaction, request.base);
      serve(core, streams, request, { slice: (page) => items(slicePage(entries(), page, core.oldest(), keep), body) });
    },
    effects: (request, entries, account) => {
      const slice = (page: Page): Item[] =>
        sliceEffects(entries(), page, core.oldest(), account).map(({ entry, part, effect }) => ({
          cursor: entry.id,
          part: BigInt(part),
          token: `${entry.id}-${part}`,
          body: () => effectResource(entry, part, effect, request.base),
        }));
      serve(core, streams, request, { halves: true, slice });
    },
    ledgers: (request) => {
      const slice = (page: Page): Item[] =>
        items(
          slicePage(core.history.ledgers, page, core.oldest(), () => true),
          ({ ledger }) => ledgerResource(core, ledger, request.base),
        );
      serve(core, streams, request, { slice });
    },
  };
}
