/** `sendTransaction`, `getTransaction`, `getTransactions`. */
import { xdr } from '@stellar/stellar-sdk/base';
import { ledgerOf, toid } from '../core/toid.ts';
import type { Core, SubmitResult, TransactionRecord } from '../core/types.ts';
import { diagnosticXdr, eventXdr } from '../contracts/events.ts';
import {
  assertFormat,
  countParam,
  INVALID_REQUEST,
  invalidParams,
  type Method,
  type Params,
  recordParam,
  RpcError,
  textParam,
} from './jsonrpc.ts';
import { rangeOf } from './ledgers.ts';
import { knownEvents, type RpcOptions } from './options.ts';

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

const nonEmpty = (name: string, list: readonly unknown[]): object => (list.length === 0 ? {} : { [name]: list });

/** Meta with events and the return value. On failure it carries no Soroban part, or clients parse a missing value. */
function metaXdr(record: TransactionRecord, options: RpcOptions): string {
  const returned =
    record.successful && record.returnValue !== null ? xdr.ScVal.fromXdr(record.returnValue, 'base64') : null;
  const sorobanMeta =
    returned === null
      ? null
      : new xdr.SorobanTransactionMetaV2({ ext: xdr.SorobanTransactionMetaExt.v0(), returnValue: returned });
  const operations = record.operations.map(
    (operation) =>
      new xdr.OperationMetaV2({
        ext: xdr.ExtensionPoint.v0(),
        changes: [],
        events: record.successful ? knownEvents(operation, options).map(eventXdr) : [],
      }),
  );
  const meta = new xdr.TransactionMetaV4({
    ext: xdr.ExtensionPoint.v0(),
    txChangesBefore: [],
    operations,
    txChangesAfter: [],
    sorobanMeta,
    events: [],
    diagnosticEvents: record.diagnostics.map(diagnosticXdr),
  });
  return xdr.TransactionMeta.v4(meta).toXdr('base64');
}

/** What both calls say of a transaction. */
function described(record: TransactionRecord, options: RpcOptions): object {
  const events = record.successful
    ? record.operations.map((one) => knownEvents(one, options).map((event) => eventXdr(event).toXdr('base64')))
    : [];
  return {
    status: record.successful ? 'SUCCESS' : 'FAILED',
    applicationOrder: record.order,
    feeBump: record.innerHash !== null,
    envelopeXdr: record.envelopeXdr,
    resultXdr: record.resultXdr,
    resultMetaXdr: metaXdr(record, options),
    ...nonEmpty(
      'diagnosticEventsXdr',
      record.diagnostics.map((event) => diagnosticXdr(event).toXdr('base64')),
    ),
    events: nonEmpty('contractEventsXdr', events),
    ledger: record.ledger,
  };
}

/** By outer or inner hash; `txHash` is the one that was asked for. */
export function getTransaction(core: Core, options: RpcOptions): Method {
  return (params) => {
    assertFormat(params);
    const hash = textParam(params, 'hash') ?? '';
    if (!/^[0-9a-fA-F]{64}$/.test(hash))
      throw invalidParams('unexpected hash length or encoding: 64 hex digits expected');
    const { oldest, latest } = rangeOf(core);
    const record = core.transaction(hash.toLowerCase());
    const unknown = { status: 'NOT_FOUND', applicationOrder: 0, feeBump: false, ledger: 0, events: {} };
    return {
      latestLedger: latest.sequence,
      latestLedgerCloseTime: String(latest.closedAt),
      oldestLedger: oldest.sequence,
      oldestLedgerCloseTime: String(oldest.closedAt),
      txHash: hash,
      ...(record === undefined ? unknown : described(record, options)),
      createdAt: String(record?.closedAt ?? 0),
    };
  };
}

/** Ids of the first transaction of a page: by ledger, or behind a cursor. */
function pageStart(core: Core, params: Params, cursor: string | undefined): bigint {
  const startLedger = countParam(params, 'startLedger');
  if (cursor !== undefined) {
    if (startLedger !== undefined) throw invalidParams('startLedger and cursor cannot both be set');
    if (!/^\d{1,19}$/.test(cursor)) throw invalidParams('invalid cursor');
    // the cursor names a transaction by its first operation
    return (BigInt(cursor) | 0xfffn) + 1n;
  }
  const { oldest, latest } = rangeOf(core);
  if (startLedger === undefined || startLedger < oldest.sequence || startLedger > latest.sequence) {
    const range = `${oldest.sequence} - ${latest.sequence}`;
    throw new RpcError(
      INVALID_REQUEST,
      `start ledger must be between the oldest ledger and the latest ledger: ${range}`,
    );
  }
  return toid(startLedger);
}

export function getTransactions(core: Core, options: RpcOptions): Method {
  return (params) => {
    assertFormat(params);
    const pagination = recordParam(params, 'pagination') ?? {};
    const limit = countParam(pagination, 'limit') ?? DEFAULT_PAGE;
    if (limit > MAX_PAGE) throw invalidParams(`limit must not exceed ${MAX_PAGE}`);
    const cursor = textParam(pagination, 'cursor');
    const start = pageStart(core, params, cursor === '' ? undefined : cursor);
    const { oldest, latest } = rangeOf(core);
    const records: TransactionRecord[] = [];
    for (let ledger = Math.max(ledgerOf(start), oldest.sequence); ledger <= latest.sequence; ledger += 1) {
      if (records.length >= limit) break;
      const found = core.ledger(ledger)?.transactions ?? [];
      records.push(...found.filter((record) => toid(record.ledger, record.order, 1) >= start));
    }
    const page = records.slice(0, limit);
    const last = page.at(-1);
    const next = last === undefined ? (cursor ?? String(start)) : String(toid(last.ledger, last.order, 1));
    return {
      transactions: page.map((record) => ({
        ...described(record, options),
        txHash: record.hash,
        createdAt: record.closedAt,
      })),
      latestLedger: latest.sequence,
      latestLedgerCloseTimestamp: latest.closedAt,
      oldestLedger: oldest.sequence,
      oldestLedgerCloseTimestamp: oldest.closedAt,
      cursor: next,
    };
  };
}

/** Queues a transaction. All four outcomes are answers; only XDR that cannot be read is an error. */
export function sendTransaction(core: Core): Method {
  return (params) => {
    assertFormat(params);
    let result: SubmitResult;
    try {
      result = core.submit(textParam(params, 'transaction') ?? '');
    } catch {
      throw invalidParams('invalid_xdr');
    }
    const latest = core.latest();
    const rejected =
      result.status === 'ERROR'
        ? {
            errorResultXdr: result.errorResultXdr,
            ...nonEmpty(
              'diagnosticEventsXdr',
              result.diagnostics.map((event) => diagnosticXdr(event).toXdr('base64')),
            ),
          }
        : {};
    return {
      status: result.status,
      hash: result.hash,
      latestLedger: latest.sequence,
      latestLedgerCloseTime: String(latest.closedAt),
      ...rejected,
    };
  };
}
