/** `getEvents`: contract events and classic movements, filtered and paged. */
import { isoTime } from '../core/http.ts';
import { endOfLedger, ledgerOf } from '../core/toid.ts';
import type { Core } from '../core/types.ts';
import {
  assertFormat,
  countParam,
  INVALID_REQUEST,
  invalidParams,
  listParam,
  type Method,
  type Params,
  recordParam,
  RpcError,
  textParam,
} from './jsonrpc.ts';
import { rangeOf } from './ledgers.ts';
import { eventId, eventsOf, type Located } from './located.ts';
import type { RpcOptions } from './options.ts';

const MAX_PAGE = 10_000;
const DEFAULT_PAGE = 100;
/** ledgers that one request looks through */
const MAX_SCAN = 10_000;
const MAX_FILTERS = 5;
const MAX_SEGMENTS = 4;
const ANY = '*';
const REST = '**';

interface Filter {
  readonly contracts: readonly string[];
  readonly topics: readonly (readonly string[])[];
}

const asRecord = (value: unknown): Params => recordParam({ filter: value }, 'filter') ?? {};

function topicFilter(value: unknown): readonly string[] {
  const segments = listParam({ topic: value }, 'topic').map(String);
  const fixed = segments.at(-1) === REST ? segments.slice(0, -1) : segments;
  if (fixed.length > MAX_SEGMENTS || segments.length === 0)
    throw invalidParams('topic filter must have 1 to 4 segments');
  if (fixed.includes(REST)) throw invalidParams('** is only allowed at the end of a topic filter');
  return segments;
}

function filtersOf(params: Params): Filter[] {
  const filters = listParam(params, 'filters').map(asRecord);
  if (filters.length > MAX_FILTERS) throw invalidParams(`maximum ${MAX_FILTERS} filters per request`);
  return filters.flatMap((filter): Filter[] => {
    const types = (textParam(filter, 'type') ?? 'contract').split(',');
    if (types.some((type) => type !== 'contract' && type !== 'system')) throw invalidParams('filter type invalid');
    const contracts = listParam(filter, 'contractIds').map(String);
    const topics = listParam(filter, 'topics').map(topicFilter);
    if (contracts.length > MAX_FILTERS) throw invalidParams(`maximum ${MAX_FILTERS} contract IDs per filter`);
    if (topics.length > MAX_FILTERS) throw invalidParams(`maximum ${MAX_FILTERS} topics per filter`);
    // the sandbox's ledger has no system events
    return types.includes('contract') ? [{ contracts, topics }] : [];
  });
}

function topicMatches(filter: readonly string[], topics: readonly string[]): boolean {
  const open = filter.at(-1) === REST;
  const segments = open ? filter.slice(0, -1) : filter;
  const fits = open ? topics.length >= segments.length : topics.length === segments.length;
  return fits && segments.every((segment, index) => segment === ANY || segment === topics[index]);
}

function matches(filters: readonly Filter[], all: boolean, { event }: Located): boolean {
  if (all) return true;
  const topics = event.topics.map((topic) => topic.toXdr('base64'));
  return filters.some(
    (filter) =>
      (filter.contracts.length === 0 || filter.contracts.includes(event.contract)) &&
      (filter.topics.length === 0 || filter.topics.some((one) => topicMatches(one, topics))),
  );
}

interface Window {
  /** first ledger to look at */
  readonly from: number;
  /** first ledger not to look at */
  readonly to: number;
  /** ids up to this one were seen before */
  readonly after: string;
}

/** @throws RpcError(-32600) when the position is outside of what is kept: nothing is skipped silently */
function windowOf(core: Core, params: Params, cursor: string | undefined): Window {
  const { oldest, latest } = rangeOf(core);
  const start = countParam(params, 'startLedger');
  const end = countParam(params, 'endLedger');
  if (cursor !== undefined && (start !== undefined || end !== undefined)) {
    throw invalidParams('ledger ranges and cursor cannot both be set');
  }
  if (cursor !== undefined && !/^\d{19}-\d{10}$/.test(cursor)) throw invalidParams('invalid cursor');
  if (cursor === undefined && (start === undefined || start === 0)) throw invalidParams('startLedger must be positive');
  const from = cursor === undefined ? (start ?? 0) : ledgerOf(BigInt(cursor.slice(0, 19)));
  if (from < oldest.sequence || from > latest.sequence) {
    const range = `${oldest.sequence} - ${latest.sequence}`;
    throw new RpcError(INVALID_REQUEST, `startLedger must be within the ledger range: ${range}`);
  }
  const to = Math.min(end ?? Number.MAX_SAFE_INTEGER, latest.sequence + 1, from + MAX_SCAN);
  return { from, to, after: cursor ?? '' };
}

function shown({ id, event, transaction, order, operation }: Located): object {
  return {
    type: 'contract',
    ledger: transaction.ledger,
    ledgerClosedAt: isoTime(transaction.closedAt),
    contractId: event.contract,
    id,
    transactionIndex: order,
    operationIndex: operation,
    txHash: transaction.hash,
    inSuccessfulContractCall: transaction.successful,
    topic: event.topics.map((topic) => topic.toXdr('base64')),
    value: event.data.toXdr('base64'),
  };
}

/** The cursor of a page that is not full stands behind the last ledger it covered. */
export function getEvents(core: Core, options: RpcOptions): Method {
  return (params) => {
    assertFormat(params);
    const pagination = recordParam(params, 'pagination') ?? {};
    const limit = countParam(pagination, 'limit') ?? DEFAULT_PAGE;
    if (limit > MAX_PAGE) throw invalidParams(`limit must not exceed ${MAX_PAGE}`);
    const all = listParam(params, 'filters').length === 0;
    const filters = filtersOf(params);
    const given = textParam(pagination, 'cursor');
    const window = windowOf(core, params, given === '' ? undefined : given);
    const found: Located[] = [];
    for (let ledger = window.from; ledger < window.to && found.length < limit; ledger += 1) {
      found.push(
        ...eventsOf(core, ledger, options).filter((one) => one.id > window.after && matches(filters, all, one)),
      );
    }
    const page = found.slice(0, limit);
    const end = eventId(endOfLedger(window.to - 1), 0xffffffffn);
    const full = page.length === limit ? page.at(-1)?.id : undefined;
    const { oldest, latest } = rangeOf(core);
    return {
      events: page.map(shown),
      cursor: full ?? end,
      latestLedger: latest.sequence,
      oldestLedger: oldest.sequence,
      latestLedgerCloseTime: String(latest.closedAt),
      oldestLedgerCloseTime: String(oldest.closedAt),
    };
  };
}
