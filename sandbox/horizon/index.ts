/** The Horizon face: routes, content negotiation, problem documents. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { SandboxCore } from '../core/core.ts';
import { type OperationEntry, positionAfter, type TransactionEntry } from '../core/history.ts';
import { originOf, queryOf } from '../core/http.ts';
import { endOfLedger, ledgerOf, toid } from '../core/toid.ts';
import type { Face, TransactionRecord } from '../core/types.ts';
import { operationResource } from './operations.ts';
import { type Ordered, type Page, pageDocument, readPage, slicePage } from './paging.ts';
import { badField, beforeHistory, notFound, Problem } from './problem.ts';
import { accountResource, feeStatsResource, ledgerResource, rootResource } from './resources.ts';
import { createStreams, type StreamEvent, type Streams } from './stream.ts';
import { readEnvelopeForm, submitAndWait, submitAsync } from './submit.ts';
import { transactionResource } from './transactions.ts';

export interface HorizonDeps {
  readonly core: SandboxCore;
  /** Funds a new account; resolves with the transaction. @throws Problem 400 when it exists already */
  readonly friendbot: (address: string) => Promise<TransactionRecord>;
  readonly submitTimeoutMs: number;
}

interface Request {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly query: URLSearchParams;
  readonly base: string;
  /** the request's own URL */
  readonly self: URL;
  readonly streaming: boolean;
}

/** A list route: entries in total order and how each is written. */
interface Listing<T extends Ordered> {
  readonly entries: readonly T[];
  readonly keep: (entry: T) => boolean;
  readonly render: (entry: T) => object;
}

const TITLES = { 'access-control-allow-origin': '*', 'cache-control': 'no-cache, no-store, max-age=0' };

/** Go's JSON writes these characters escaped. */
function goJson(body: object, indent: number): string {
  const text = JSON.stringify(body, null, indent);
  return text.replace(/[&<>\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function send(res: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  const type = { 'content-type': 'application/hal+json; charset=utf-8', 'content-disposition': 'inline' };
  res.writeHead(status, { ...TITLES, ...type, ...headers });
  res.end(goJson(body, 2));
}

/** Answers a GET with a document; whoever asked for a stream of it asked for what there is not. */
function answer(request: Request, body: object, headers: Record<string, string> = {}): void {
  if (request.streaming) throw new Problem('not_acceptable');
  send(request.res, 200, body, headers);
}

function sendProblem(res: ServerResponse, problem: Problem): void {
  const headers = { ...TITLES, 'content-type': 'application/problem+json; charset=utf-8', ...problem.headers };
  res.writeHead(problem.status, headers);
  res.end(goJson(problem.body, 2));
}

/** Whether the client wants a stream. @throws Problem 406 when it accepts nothing we have */
function wantsStream(req: IncomingMessage): boolean {
  const accept = req.headers.accept ?? '';
  if (accept.includes('text/event-stream')) return true;
  if (accept === '' || /\*\/\*|application\/\*|application\/(hal\+)?json/.test(accept)) return false;
  throw new Problem('not_acceptable');
}

function createLists(core: SandboxCore, streams: Streams) {
  const list = <T extends Ordered>(request: Request, { entries, keep, render }: Listing<T>): void => {
    const { req, res, query, self } = request;
    const lastEventId = req.headers['last-event-id'];
    const page: Page = readPage(
      query,
      typeof lastEventId === 'string' ? lastEventId : undefined,
      core.latest().sequence,
    );
    if (!request.streaming) {
      const found = slicePage(entries, page, core.oldest(), keep);
      send(
        res,
        200,
        pageDocument(
          self,
          page,
          found.map(({ id }) => id),
          found.map(render),
        ),
        latestLedger(core),
      );
      return;
    }
    let { cursor } = page;
    streams.open(
      res,
      (room): StreamEvent[] => {
        const found = slicePage(entries, { ...page, cursor, order: 'asc', limit: room }, core.oldest(), keep);
        cursor = found.at(-1)?.id ?? cursor;
        return found.map((entry) => ({ id: String(entry.id), data: render(entry) }));
      },
      page.limit,
    );
  };
  const join = ({ query }: Request): boolean => query.get('join') === 'transactions';
  const withFailed = ({ query }: Request): boolean => query.get('include_failed') === 'true';
  const operations = (request: Request, entries: readonly OperationEntry[], failed = withFailed(request)): void =>
    list(request, {
      entries,
      keep: ({ transaction }) => failed || transaction.successful,
      render: (entry) => operationResource(entry, request.base, join(request)),
    });
  const transactions = (request: Request, entries: readonly TransactionEntry[]): void => {
    const failed = withFailed(request);
    list(request, {
      entries,
      keep: ({ transaction }) => failed || transaction.successful,
      render: ({ transaction }) => transactionResource(transaction, request.base),
    });
  };
  const ledgers = (request: Request): void =>
    list(request, {
      entries: core.history.ledgers,
      keep: () => true,
      render: ({ ledger }) => ledgerResource(core, ledger, request.base),
    });
  return { operations, transactions, ledgers };
}

function latestLedger(core: SandboxCore): Record<string, string> {
  return { 'latest-ledger': String(core.latest().sequence) };
}

function maxFeeOf({ envelopeXdr }: TransactionRecord): bigint {
  const envelope = xdr.TransactionEnvelope.fromXdr(envelopeXdr, 'base64');
  if (envelope.type === 'envelopeTypeTxFeeBump') return envelope.feeBump.tx.fee;
  return BigInt(envelope.type === 'envelopeTypeTx' ? envelope.v1.tx.fee : envelope.v0.tx.fee);
}

type Lists = ReturnType<typeof createLists>;

function createAccountRoutes(core: SandboxCore, lists: Lists, streams: Streams) {
  const account = (request: Request, id: string): void => {
    const body = accountResource(core, id, request.base);
    if (body === undefined) throw notFound();
    if (!request.streaming) return answer(request, body, latestLedger(core));
    // The whole object, again whenever it has changed.
    let told = '';
    const changed = (): StreamEvent[] => {
      const data = accountResource(core, id, request.base) ?? body;
      const text = JSON.stringify(data);
      if (text === told) return [];
      told = text;
      return [{ data }];
    };
    streams.open(request.res, changed, 10);
  };
  const data = (request: Request, id: string, what: string, name: string): void => {
    const found = what === 'data' ? core.view().account(id)?.data[decodeURIComponent(name)] : undefined;
    if (found === undefined) throw notFound();
    answer(request, { value: found.value, ...(found.sponsor === null ? {} : { sponsor: found.sponsor }) });
  };
  return (request: Request, id: string, what: string | undefined, name: string | undefined): void => {
    if (!StrKey.isValidEd25519PublicKey(id))
      throw badField('account_id', 'Account ID must start with `G` and contain 56 alphanum characters');
    if (what === undefined) return account(request, id);
    if (name !== undefined) return data(request, id, what, name);
    const { history } = core;
    // An account without a history row: never created, as far as this server knows.
    if (history.accountTransactions(id).length === 0 && core.view().account(id) === undefined) throw notFound();
    if (what === 'payments') return lists.operations(request, history.accountPayments(id));
    if (what === 'operations') return lists.operations(request, history.accountOperations(id));
    if (what === 'transactions') return lists.transactions(request, history.accountTransactions(id));
    throw notFound();
  };
}

/** Entries of one ledger or one transaction, out of a longer list. */
function between<T extends Ordered>(entries: readonly T[], from: bigint, to: bigint): T[] {
  return entries.slice(positionAfter(entries, from - 1n), positionAfter(entries, to));
}

function createHistoryRoutes(core: SandboxCore, lists: Lists) {
  const { history } = core;
  const transaction = (request: Request, hash: string, what: string | undefined): void => {
    if (!/^[0-9a-f]{64}$/.test(hash))
      throw badField('tx_id', 'Transaction hash must be a hex-encoded, lowercase SHA-256 hash');
    const record = core.transaction(hash);
    if (record === undefined) throw notFound();
    if (what === undefined) return answer(request, transactionResource(record, request.base));
    const payments = what === 'payments';
    if (!payments && what !== 'operations') throw notFound();
    const entries = record.operations.map((operation) => ({
      id: operation.id,
      operation,
      transaction: record,
      payment: payments,
    }));
    const paid = new Set(
      payments
        ? between(history.payments, toid(record.ledger, record.order), toid(record.ledger, record.order, 4095)).map(
            ({ id }) => id,
          )
        : [],
    );
    return lists.operations(request, payments ? entries.filter(({ id }) => paid.has(id)) : entries, true);
  };
  const operation = (request: Request, text: string): void => {
    if (!/^\d{1,19}$/.test(text)) throw badField('id', 'Invalid operation id');
    const id = BigInt(text);
    if (ledgerOf(id) < core.oldest()) throw beforeHistory();
    const record = core.ledger(ledgerOf(id))?.transactions[Number((id >> 12n) & 0xfffffn) - 1];
    const found = record?.operations[Number(id & 0xfffn) - 1];
    if (record === undefined || found === undefined) throw notFound();
    const entry = { id, operation: found, transaction: record, payment: false };
    answer(request, operationResource(entry, request.base, request.query.get('join') === 'transactions'));
  };
  const ledger = (request: Request, text: string, what: string | undefined): void => {
    if (!/^\d{1,10}$/.test(text) || Number(text) < 1)
      throw badField('ledger_id', 'Ledger ID must be an integer higher than 0');
    const sequence = Number(text);
    if (sequence < core.oldest()) throw beforeHistory();
    const record = core.ledger(sequence);
    if (record === undefined) throw notFound();
    if (what === undefined) return answer(request, ledgerResource(core, record, request.base));
    const [from, to] = [toid(sequence), endOfLedger(sequence)];
    if (what === 'payments') return lists.operations(request, between(history.payments, from, to));
    if (what === 'operations') return lists.operations(request, between(history.operations, from, to));
    if (what === 'transactions') return lists.transactions(request, between(history.transactions, from, to));
    throw notFound();
  };
  return { transaction, operation, ledger };
}

/** Mounts Horizon's routes under `/horizon`. */
export function createHorizon(deps: HorizonDeps): Face {
  const { core, submitTimeoutMs } = deps;
  const streams = createStreams(core);
  const lists = createLists(core, streams);
  const account = createAccountRoutes(core, lists, streams);
  const history = createHistoryRoutes(core, lists);

  const get = async (request: Request, parts: readonly string[]): Promise<void> => {
    const [head = '', id, what, name, ...rest] = parts;
    if (rest.length > 0 || (name !== undefined && head !== 'accounts') || parts.slice(1).includes('')) throw notFound();
    const { base } = request;
    if (id === undefined) {
      if (head === '') return answer(request, rootResource(core, base));
      if (head === 'health') return answer(request, { database_connected: true, core_up: true, core_synced: true });
      if (head === 'fee_stats') return answer(request, feeStatsResource(core, maxFeeOf));
      if (head === 'payments') return lists.operations(request, core.history.payments);
      if (head === 'operations') return lists.operations(request, core.history.operations);
      if (head === 'transactions') return lists.transactions(request, core.history.transactions);
      if (head === 'ledgers') return lists.ledgers(request);
      throw notFound();
    }
    if (head === 'accounts') return account(request, id, what, name);
    if (head === 'transactions') return history.transaction(request, id, what);
    if (head === 'ledgers') return history.ledger(request, id, what);
    if (head === 'operations' && what === undefined) return history.operation(request, id);
    throw notFound();
  };

  const post = async (request: Request, parts: readonly string[]): Promise<void> => {
    const { req, res, base } = request;
    const [head, ...rest] = parts;
    if (rest.length > 0) throw notFound();
    if (head === 'transactions') {
      const record = await submitAndWait(core, await readEnvelopeForm(req), submitTimeoutMs);
      return send(res, 200, transactionResource(record, base));
    }
    if (head === 'transactions_async') {
      const { status, body } = submitAsync(core, await readEnvelopeForm(req));
      return send(res, status, body);
    }
    throw notFound();
  };

  const friendbot = async ({ res, query, base }: Request): Promise<void> => {
    const address = query.get('addr') ?? '';
    if (!StrKey.isValidEd25519PublicKey(address)) throw badField('addr', 'invalid address');
    send(res, 200, transactionResource(await deps.friendbot(address), base));
  };

  return {
    prefix: '/horizon',
    handle: async (req, res, path) => {
      try {
        const origin = originOf(req);
        const base = `${origin}/horizon`;
        const streaming = wantsStream(req);
        const request = { req, res, query: queryOf(req), base, self: new URL(req.url ?? '/', origin), streaming };
        const parts = path.replace(/^\//, '').replace(/\/$/, '').split('/');
        if (parts[0] === 'friendbot' && parts.length === 1) return await friendbot(request);
        return await (req.method === 'POST' ? post(request, parts) : get(request, parts));
      } catch (error) {
        if (!(error instanceof Problem) || res.headersSent) throw error;
        return sendProblem(res, error);
      }
    },
    close: () => streams.close(),
  };
}
