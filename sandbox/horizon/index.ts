/** The Horizon face: routes and what every request has to pass first. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { SandboxCore } from '../core/core.ts';
import { type OperationEntry, positionAfter } from '../core/history.ts';
import { originOf, queryOf } from '../core/http.ts';
import { endOfLedger, ledgerOf, toid } from '../core/toid.ts';
import type { Face, TransactionRecord } from '../core/types.ts';
import { createLists, joins, type Lists } from './lists.ts';
import { operationResource } from './operations.ts';
import { DEFAULT_HORIZON_OPTIONS, type HorizonOptions } from './options.ts';
import type { Ordered } from './paging.ts';
import { badField, beforeHistory, notFound, Problem, rateLimited, staleHistory } from './problem.ts';
import { createRateLimit } from './rate-limit.ts';
import { accountResource, feeStatsResource, ledgerResource, rootResource } from './resources.ts';
import { answer, type Request, send, sendProblem, wantsStream } from './respond.ts';
import { createStreams, type StreamEvent, type Streams } from './stream.ts';
import { readEnvelopeForm, submitAndWait, submitAsync } from './submit.ts';
import { transactionResource } from './transactions.ts';

interface HorizonDeps {
  readonly core: SandboxCore;
  /** Funds a new account; resolves with the transaction. @throws Problem 400 when it exists already */
  readonly friendbot: (address: string) => Promise<TransactionRecord>;
  readonly submitTimeoutMs: number;
  readonly options?: Partial<HorizonOptions>;
  /** milliseconds, for the rate limit */
  readonly now?: () => number;
}

/** Horizon with its switches. */
export interface Horizon extends Face {
  readonly options: HorizonOptions;
}

function latestLedger(core: SandboxCore): Record<string, string> {
  return { 'latest-ledger': String(core.latest().sequence) };
}

function maxFeeOf({ envelopeXdr }: TransactionRecord): bigint {
  const envelope = xdr.TransactionEnvelope.fromXdr(envelopeXdr, 'base64');
  if (envelope.type === 'envelopeTypeTxFeeBump') return envelope.feeBump.tx.fee;
  return BigInt(envelope.type === 'envelopeTypeTx' ? envelope.v1.tx.fee : envelope.v0.tx.fee);
}

function createAccountRoutes(core: SandboxCore, lists: Lists, streams: Streams) {
  const account = (request: Request, id: string): void => {
    const body = accountResource(core, id, request.base);
    if (body === undefined) throw notFound();
    if (!request.streaming) return answer(request, body, latestLedger(core));
    // The whole object, again whenever it has changed.
    let told = '';
    const changed = (): StreamEvent[] => {
      const data = accountResource(core, id, request.base);
      if (data === undefined) throw notFound();
      const text = JSON.stringify(data);
      if (text === told) return [];
      told = text;
      return [{ data }];
    };
    streams.open(request, changed, 10);
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
    // An account that nothing in the kept history names has no row there, whether it exists or not.
    const newest = history.accountTransactions(id).at(-1);
    if (newest === undefined || newest.transaction.ledger < core.oldest()) throw notFound();
    if (what === 'payments') return lists.operations(request, () => history.accountPayments(id));
    if (what === 'operations') return lists.operations(request, () => history.accountOperations(id));
    if (what === 'transactions') return lists.transactions(request, () => history.accountTransactions(id));
    if (what === 'effects') return lists.effects(request, () => history.accountOperations(id), id);
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
    const [from, to] = [toid(record.ledger, record.order), toid(record.ledger, record.order, 4095)];
    const own = (entries: readonly OperationEntry[]) => () => between(entries, from, to);
    if (what === 'payments') return lists.operations(request, own(history.payments), true);
    if (what === 'operations') return lists.operations(request, own(history.operations), true);
    if (what === 'effects') return lists.effects(request, own(history.operations));
    throw notFound();
  };
  const operation = (request: Request, text: string, what: string | undefined): void => {
    if (!/^\d{1,19}$/.test(text)) throw badField('id', 'Invalid operation id');
    const id = BigInt(text);
    if (ledgerOf(id) < core.oldest()) throw beforeHistory();
    const record = core.ledger(ledgerOf(id))?.transactions[Number((id >> 12n) & 0xfffffn) - 1];
    const found = record?.operations[Number(id & 0xfffn) - 1];
    if (record === undefined || found === undefined) throw notFound();
    const entry = { id, operation: found, transaction: record, payment: false };
    if (what === undefined) return answer(request, operationResource(entry, request.base, joins(request)));
    if (what !== 'effects') throw notFound();
    lists.effects(request, () => [entry]);
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
    if (what === 'payments') return lists.operations(request, () => between(history.payments, from, to));
    if (what === 'operations') return lists.operations(request, () => between(history.operations, from, to));
    if (what === 'transactions') return lists.transactions(request, () => between(history.transactions, from, to));
    if (what === 'effects') return lists.effects(request, () => between(history.operations, from, to));
    throw notFound();
  };
  return { transaction, operation, ledger };
}

/** GET routes that name nothing but a kind. */
function collections(core: SandboxCore, lists: Lists): Record<string, (request: Request) => void> {
  const { history } = core;
  return {
    '': (request) => answer(request, rootResource(core, request.base)),
    health: (request) => answer(request, { database_connected: true, core_up: true, core_synced: true }),
    fee_stats: (request) => answer(request, feeStatsResource(core, maxFeeOf)),
    payments: (request) => lists.operations(request, () => history.payments),
    operations: (request) => lists.operations(request, () => history.operations),
    transactions: (request) => lists.transactions(request, () => history.transactions),
    effects: (request) => lists.effects(request, () => history.operations),
    ledgers: (request) => lists.ledgers(request),
  };
}

function createGets(core: SandboxCore, streams: Streams, options: HorizonOptions) {
  const lists = createLists(core, streams);
  const account = createAccountRoutes(core, lists, streams);
  const history = createHistoryRoutes(core, lists);
  const kinds = collections(core, lists);
  return (request: Request, parts: readonly string[]): void => {
    const [head = '', id, what, name, ...rest] = parts;
    if (rest.length > 0 || (name !== undefined && head !== 'accounts') || parts.slice(1).includes('')) throw notFound();
    if (options.staleHistory && head !== '' && head !== 'health') throw staleHistory();
    if (id === undefined && Object.hasOwn(kinds, head)) return kinds[head]?.(request);
    if (id === undefined) throw notFound();
    if (head === 'accounts') return account(request, id, what, name);
    if (head === 'transactions') return history.transaction(request, id, what);
    if (head === 'ledgers') return history.ledger(request, id, what);
    if (head === 'operations') return history.operation(request, id, what);
    throw notFound();
  };
}

function createPosts({ core, submitTimeoutMs }: HorizonDeps) {
  return async (request: Request, parts: readonly string[]): Promise<void> => {
    const [head, ...rest] = parts;
    if (rest.length > 0) throw notFound();
    if (head === 'transactions') {
      const record = await submitAndWait(core, await readEnvelopeForm(request.req), submitTimeoutMs);
      return send(request, 200, transactionResource(record, request.base));
    }
    if (head === 'transactions_async') {
      const { status, body } = submitAsync(core, await readEnvelopeForm(request.req));
      return send(request, status, body);
    }
    throw notFound();
  };
}

/** What is thrown while a request is answered, as a problem document: a fault of the program is a server error. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  process.stderr.write(`${JSON.stringify({ event: 'sandbox.error', face: 'horizon', error: String(error) })}\n`);
  return new Problem('server_error', 'An error occurred while processing this request.');
}

/** Mounts Horizon's routes under `/horizon`. */
export function createHorizon(deps: HorizonDeps): Horizon {
  const options = { ...DEFAULT_HORIZON_OPTIONS, ...deps.options };
  const streams = createStreams(deps.core, options);
  const get = createGets(deps.core, streams, options);
  const post = createPosts(deps);
  const spend = createRateLimit(options, deps.now ?? Date.now);

  const friendbot = async (request: Request): Promise<void> => {
    const address = request.query.get('addr') ?? '';
    if (!StrKey.isValidEd25519PublicKey(address)) throw badField('addr', 'invalid address');
    send(request, 200, transactionResource(await deps.friendbot(address), request.base));
  };
  const serve = async (req: IncomingMessage, res: ServerResponse, path: string, headers: Record<string, string>) => {
    const origin = originOf(req);
    const client = req.socket.remoteAddress ?? '';
    const credit = (): boolean => spend(client).granted;
    const streaming = wantsStream(req);
    const self = new URL(req.url ?? '/', origin);
    const request = { req, res, query: queryOf(req), base: `${origin}/horizon`, self, streaming, headers, credit };
    const parts = path.replace(/^\//, '').replace(/\/$/, '').split('/');
    if (parts[0] === 'friendbot' && parts.length === 1) return friendbot(request);
    return req.method === 'POST' ? post(request, parts) : get(request, parts);
  };

  return {
    prefix: '/horizon',
    options,
    handle: async (req, res, path) => {
      const { granted, headers } = spend(req.socket.remoteAddress ?? '');
      try {
        if (!granted) throw rateLimited();
        await serve(req, res, path, headers);
      } catch (error) {
        if (res.headersSent) throw error;
        sendProblem(res, problemOf(error), headers);
      }
    },
    close: () => streams.close(),
  };
}
