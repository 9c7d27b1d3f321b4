/**
 * History through Horizon: pages of balance changes, and a hint when new ones may be there. The SDK's stream is not
 * used: it loses events around reconnects and dies on a throwing handler. Here the pages are the truth and the stream
 * only saves waiting.
 */
import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import type { Asset, Movement } from '../../domain/chain.ts';
import { parseAmount } from '../../domain/money.ts';
import { ProviderError } from '../errors.ts';
import { json, open, statusError } from '../http.ts';
import { namesIn } from './names.ts';
import type { ChainHistory, HistoryHead, SourceTransaction, TransactionOutcome } from './port.ts';

/** Below the limit of an attempt. */
const DEFAULT_TIMEOUT_MS = 8_000;
/** Horizon's own page limit. */
const MAX_PAGE = 200;

const text = z.string();
const assetShape = z.object({ asset_type: text, asset_code: text.optional(), asset_issuer: text.optional() });
const changeShape = assetShape.extend({
  type: z.enum(['transfer', 'mint', 'burn', 'clawback']),
  from: text.optional(),
  to: text.optional(),
  amount: text,
});
const operationShape = z.object({
  id: text.regex(/^\d+$/),
  paging_token: text.regex(/^\d+$/),
  transaction_successful: z.boolean(),
  transaction_hash: text,
  created_at: text,
});
const paymentShape = assetShape.extend({ from: text, to: text, amount: text });
const createdShape = z.object({ funder: text, account: text, starting_balance: text });
const invokedShape = z.object({ asset_balance_changes: z.array(changeShape).nullish() });
const paymentsShape = z.object({ _embedded: z.object({ records: z.array(z.looseObject({ type: text })) }) });
const ledgersShape = z.object({ _embedded: z.object({ records: z.array(z.object({ paging_token: text })) }) });
const rootShape = z.object({
  network_passphrase: text,
  history_latest_ledger: z.number().int(),
  history_latest_ledger_closed_at: text,
  history_elder_ledger: z.number().int(),
});

const transactionShape = z.object({
  hash: text,
  fee_bump_transaction: z.object({ hash: text }).optional(),
  successful: z.boolean(),
  ledger: z.number().int(),
  created_at: text,
  fee_charged: text.regex(/^\d+$/),
  result_xdr: text,
  envelope_xdr: text,
});

const sourceTransactionShape = z.object({
  paging_token: text,
  hash: text,
  inner_transaction: z.object({ hash: text }).optional(),
  source_account: text,
  source_account_sequence: text.regex(/^\d+$/),
  successful: z.boolean(),
  ledger: z.number().int(),
  created_at: text,
  envelope_xdr: text,
});
const transactionsShape = z.object({ _embedded: z.object({ records: z.array(sourceTransactionShape) }) });

type Change = Pick<Movement, 'kind' | 'from' | 'to' | 'asset' | 'amount'>;

const KINDS = { transfer: 'TRANSFER', mint: 'MINT', burn: 'BURN', clawback: 'CLAWBACK' } as const;

function shaped<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ProviderError('MALFORMED', 'horizon', `${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

function assetOf({ asset_type, asset_code, asset_issuer }: z.infer<typeof assetShape>): Asset {
  if (asset_type === 'native') return { code: 'XLM', issuer: null };
  if (asset_code !== undefined && asset_issuer !== undefined) return { code: asset_code, issuer: asset_issuer };
  throw new ProviderError('MALFORMED', 'horizon', `an asset of type ${asset_type} without code and issuer`);
}

/** Changes of one operation record. Account merges name no amount and concern XLM only: left out. */
function changesOf(record: { readonly type: string }): Change[] {
  switch (record.type) {
    // For path payments `amount` and `asset` are what arrived, never what was sent.
    case 'payment':
    case 'path_payment_strict_receive':
    case 'path_payment_strict_send': {
      const { from, to, amount, ...asset } = shaped(paymentShape, record, record.type);
      return [{ kind: 'PAYMENT', from, to, asset: assetOf(asset), amount: parseAmount(amount) }];
    }
    case 'create_account': {
      const { funder, account, starting_balance } = shaped(createdShape, record, record.type);
      const asset: Asset = { code: 'XLM', issuer: null };
      return [{ kind: 'CREATE_ACCOUNT', from: funder, to: account, asset, amount: parseAmount(starting_balance) }];
    }
    case 'invoke_host_function':
      return (shaped(invokedShape, record, record.type).asset_balance_changes ?? []).map((change) => ({
        kind: KINDS[change.type],
        from: change.from ?? null,
        to: change.to ?? null,
        asset: assetOf(change),
        amount: parseAmount(change.amount),
      }));
    default:
      return [];
  }
}

/** Movements of one operation record; the position in the record is the index that tells them apart (F27). */
function movementsOf(record: { readonly type: string }): { cursor: string; movements: Movement[] } {
  const operation = shaped(operationShape, record, 'operation');
  const position = {
    operationId: operation.id,
    transactionHash: operation.transaction_hash,
    ledger: Number(BigInt(operation.id) >> 32n),
    closedAt: operation.created_at,
  };
  const changes = operation.transaction_successful ? changesOf(record) : [];
  return {
    cursor: operation.paging_token,
    movements: changes.map((change, index) => ({ ...position, ...change, index })),
  };
}

function landedOutcome(
  transaction: z.infer<typeof transactionShape>,
  operations: z.infer<typeof paymentsShape>,
): TransactionOutcome {
  const { successful, ledger, created_at: closedAt, result_xdr: resultXdr, fee_charged } = transaction;
  return {
    status: 'LANDED',
    successful,
    hash: transaction.fee_bump_transaction?.hash ?? transaction.hash,
    ledger,
    closedAt,
    resultXdr,
    feeCharged: BigInt(fee_charged),
    movements: operations._embedded.records.flatMap((record) => movementsOf(record).movements),
    returnValue: null,
    envelope: transaction.envelope_xdr,
  };
}

function sourceTransaction(record: z.infer<typeof sourceTransactionShape>): SourceTransaction {
  return {
    hash: record.inner_transaction?.hash ?? record.hash,
    sequence: BigInt(record.source_account_sequence),
    ledger: record.ledger,
    successful: record.successful,
    closedAt: record.created_at,
    names: namesIn(record.envelope_xdr),
  };
}

/** Reads the stream until something with an id comes (true), Horizon says goodbye (false), or it breaks (throws). */
async function firstEvent(body: ReadableStream<Uint8Array>): Promise<boolean> {
  let seen: boolean | undefined;
  const parser = createParser({
    onEvent: ({ id, event }) => {
      if (id !== undefined) seen = true;
      else if (event === 'close') seen ??= false;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (seen !== undefined) return seen;
  }
  throw new ProviderError('UNAVAILABLE', 'horizon', 'the stream broke off');
}

/** Rejects when the signal aborts, and never otherwise. */
function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** One connection: true when something came, false after a goodbye. Only the hold limits how long it stays open. */
async function streamOnce(url: string, holdMs: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const headers = { accept: 'text/event-stream' };
  const response = await open({ provider: 'horizon', url, headers, timeoutMs: holdMs + timeoutMs, signal });
  // An account without any payment has no history to stream yet.
  if (response.status === 404) return forever(signal);
  if (!response.ok || response.body === null) {
    throw statusError('horizon', response.status, response.headers, await response.text());
  }
  return firstEvent(response.body);
}

function headOf(answer: unknown): HistoryHead {
  const root = shaped(rootShape, answer, 'root');
  return {
    networkPassphrase: root.network_passphrase,
    latestLedger: root.history_latest_ledger,
    latestClosedAt: Math.floor(Date.parse(root.history_latest_ledger_closed_at) / 1000),
    oldestLedger: root.history_elder_ledger,
  };
}

/** One provider's Horizon. @throws ProviderError from every method */
export function createChainHistory(deps: { readonly url: string; readonly timeoutMs?: number }): ChainHistory {
  const base = deps.url.replace(/\/+$/, '');
  const timeoutMs = deps.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const get = (path: string, signal?: AbortSignal, accept: readonly number[] = []) =>
    json(
      { provider: 'horizon', url: `${base}${path}`, timeoutMs, ...(signal === undefined ? {} : { signal }) },
      accept,
    );
  const paymentsPath = (account: string | undefined, cursor: string, limit: number): string =>
    `${account === undefined ? '' : `/accounts/${account}`}/payments?cursor=${cursor}&limit=${limit}&order=asc`;

  const head = async () => headOf(await get('/'));

  return {
    head,
    transaction: async (hash) => {
      // Read first: what is absent afterwards was absent up to there.
      const { latestLedger, latestClosedAt, oldestLedger } = await head();
      const answer = await get(`/transactions/${hash}`, undefined, [404]);
      if (answer === null) return { status: 'ABSENT', latestLedger, latestClosedAt, oldestLedger };
      const page = await get(`/transactions/${hash}/operations?limit=${MAX_PAGE}&order=asc`);
      return landedOutcome(shaped(transactionShape, answer, 'transaction'), shaped(paymentsShape, page, 'operations'));
    },
    transactionsOf: async (source, after) => {
      const found: SourceTransaction[] = [];
      for (let cursor = ''; ; ) {
        const path = `/accounts/${source}/transactions?order=desc&limit=${MAX_PAGE}&include_failed=true&cursor=${cursor}`;
        const { records } = shaped(transactionsShape, await get(path), 'transactions')._embedded;
        // The list holds all that touched the account; only the account's own use its sequence numbers.
        const own = records.filter(({ source_account }) => source_account === source);
        const newer = own.filter((record) => BigInt(record.source_account_sequence) > after);
        found.push(...newer.map(sourceTransaction));
        cursor = records.at(-1)?.paging_token ?? '';
        if (newer.length < own.length || records.length < MAX_PAGE) return found;
      }
    },
    nowCursor: async () => {
      const page = shaped(ledgersShape, await get('/ledgers?order=desc&limit=1'), 'ledgers');
      const newest = page._embedded.records[0];
      if (newest === undefined) throw new ProviderError('UNAVAILABLE', 'horizon', 'no ledger ingested yet');
      return newest.paging_token;
    },
    movements: async ({ account, cursor, limit, signal }) => {
      const asked = Math.min(limit, MAX_PAGE);
      // 404: an account that no payment has touched within the history; nothing to read, not an error.
      const answer = await get(paymentsPath(account, cursor, asked), signal, account === undefined ? [] : [404]);
      if (answer === null) return { movements: [], cursor, complete: true };
      const { records } = shaped(paymentsShape, answer, 'payments')._embedded;
      const read = records.map(movementsOf);
      return {
        movements: read.flatMap(({ movements }) => movements),
        cursor: read.at(-1)?.cursor ?? cursor,
        complete: records.length < asked,
      };
    },
    waitForMovement: async ({ account, cursor, holdMs, signal }) => {
      const held = AbortSignal.timeout(holdMs);
      const until = AbortSignal.any([held, signal]);
      const url = `${base}${paymentsPath(account, cursor, 1)}`;
      try {
        // A goodbye is how Horizon ends every stream after a while: ask again from the same cursor.
        for (let came = false; !came; ) came = await streamOnce(url, holdMs, timeoutMs, until);
      } catch (error) {
        signal.throwIfAborted();
        if (!held.aborted) throw error;
      }
    },
  };
}
