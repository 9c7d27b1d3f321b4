/**
 * The one reader of the network: pages through all payments, keeps what touches our addresses or contracts, and moves its
 * cursor in the same transaction. Wallets read the table; contracts are recorded here.
 */
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import { chainReaderWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import type { HistoryHead } from '../../providers/chain/port.ts';
import { foreignTransactionSignal } from '../../workflows/messages.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import { ownMovements } from '../booking/classify.ts';
import { record, whatIsOurs } from '../booking/movements.ts';
import type { Deps } from '../context.ts';
import { signalIfOpen } from '../wallets/wake.ts';
import { ledgerOf } from './position.ts';

/** Horizon's page limit. */
const PAGE = 200;
/** A provider behind a load balancer may be some ledgers behind the one that was asked before. */
const LAG_LEDGERS = 12;

export interface Position {
  readonly cursor: string;
  /** last ledger of which everything is stored */
  readonly ledger: number;
}

export interface ReadStep {
  readonly position: Position;
  /** nothing more is there now */
  readonly complete: boolean;
  /** something was stored */
  readonly stored: boolean;
}

/** Why nothing may be credited now (F29), or null. */
export function troubleOf(head: HistoryHead, position: Position, passphrase: string): string | null {
  if (head.networkPassphrase !== passphrase) return 'the provider serves another network';
  // Asked for what is older than its history, a provider answers with what it has: the gap would never be noticed. What
  // counts is how far everything is stored: on a quiet network the cursor itself stays behind.
  if (position.ledger + 1 < head.oldestLedger) return 'the history of the provider begins after the cursor';
  if (position.ledger > head.latestLedger + LAG_LEDGERS)
    return 'the cursor is ahead of the provider: it lags, or the network was reset';
  return null;
}

export interface Reader {
  /** The stored position; at the very first start the newest ledger, before any address is handed out (F28). */
  position(): Promise<Position>;
  /** One page. Null while the history is not to be trusted. */
  step(from: Position, signal: AbortSignal): Promise<ReadStep | null>;
}

/** What the reader needs of the process it runs in. */
export type ReaderDeps = Pick<Deps, 'orm' | 'network' | 'history' | 'client' | 'log'>;

export function createReader(deps: ReaderDeps): Reader {
  const { orm, network, history } = deps;
  let reported: string | null | undefined;

  const position = async (): Promise<Position> => {
    const stored = await sql<Position>`
      select cursor, ledger from network_cursors
      where network = ${network.name} and reader = 'payments'`.execute(pool(orm));
    if (stored.rows[0] !== undefined) return stored.rows[0];
    const cursor = await history.nowCursor();
    await sql`
      insert into network_cursors (network, reader, cursor, ledger, updated_at)
      values (${network.name}, 'payments', ${cursor}, ${ledgerOf(cursor)}, now())
      on conflict do nothing`.execute(pool(orm));
    return position();
  };

  const step: Reader['step'] = async (from, signal) => {
    const head = await history.head();
    const trouble = troubleOf(head, from, network.passphrase);
    if (trouble !== reported) await report(deps, trouble, head, from);
    reported = trouble;
    if (trouble !== null) return null;
    const page = await history.movements({ cursor: from.cursor, limit: PAGE, signal });
    // Everything up to the head that was read before the page is in it, unless the page was full.
    const passed = page.complete ? head.latestLedger : ledgerOf(page.cursor) - 1;
    const to = { cursor: page.cursor, ledger: Math.max(from.ledger, passed) };
    if (to.cursor === from.cursor && to.ledger === from.ledger)
      return { position: from, complete: page.complete, stored: false };
    const done = await inTransaction(orm, (trx) => store(trx, network.name, from, to, page.movements));
    // Somebody else reads too (an attempt that was given up still runs): go on from where the row is.
    if (done === null) return { position: await position(), complete: false, stored: false };
    for (const foreign of done.foreign) await reportForeign(deps, foreign);
    return { position: to, complete: page.complete, stored: done.touched > 0 };
  };

  return { position, step };
}

interface Foreign {
  readonly orderId: string;
  readonly hash: string;
}

/** Keeps what is ours and moves the cursor, all or nothing. @returns null when the cursor is not where we came from */
async function store(trx: Sql, network: string, from: Position, to: Position, page: readonly Movement[]) {
  const moved = await sql<{ cursor: string }>`
    update network_cursors set cursor = ${to.cursor}, ledger = ${to.ledger}, updated_at = now()
    where network = ${network} and reader = 'payments' and cursor = ${from.cursor} returning cursor`.execute(trx);
  if (moved.rows.length === 0) return null;
  // Accounts are created with nothing.
  const movements = page.filter(({ amount }) => amount > 0n);
  const addresses = new Set(movements.flatMap(({ from: payer, to: payee }) => [payer, payee]));
  const known = await knownAddresses(
    trx,
    [...addresses].filter((address) => address !== null),
  );
  const touching = movements.filter(({ from: payer, to: payee }) => known.has(payer ?? '') || known.has(payee ?? ''));
  if (touching.length > 0) await insertObserved(trx, network, touching);
  const foreign: Foreign[] = [];
  for (const [address, owner] of known) {
    if (owner.escrow_id === null || owner.order_id === null) continue;
    const own = ownMovements(address, touching);
    const { ours } = await whatIsOurs(trx, own);
    const resource = { type: 'order', id: owner.order_id };
    const recordings = own.map((movement) => ({ movement, kind: 'ESCROW' as const, resource }));
    await record(trx, network, owner.escrow_id, recordings);
    const hashes = new Set(own.map(({ movement }) => movement.transactionHash).filter((hash) => !ours.has(hash)));
    for (const hash of hashes) foreign.push({ orderId: owner.order_id, hash });
  }
  return { touched: touching.length, foreign };
}

interface Owner {
  readonly address: string;
  /** null for a wallet */
  readonly escrow_id: string | null;
  readonly order_id: string | null;
}

/** Which of these addresses are followed: wallets and contracts; not the accounts that only pay fees. */
async function knownAddresses(trx: Sql, addresses: readonly string[]): Promise<Map<string, Owner>> {
  if (addresses.length === 0) return new Map();
  const { rows } = await sql<Owner>`
    select address, null as escrow_id, null as order_id from wallets
    where address = any(${[...addresses]}::text[]) and kind not in ('SPONSOR', 'CHANNEL')
    union all
    select contract_id, id, order_id from escrows where contract_id = any(${[...addresses]}::text[])`.execute(trx);
  return new Map(rows.map((row) => [row.address, row]));
}

/** Tells the order; idempotent there by the hash. What a crash leaves untold, reconcile tells again. */
async function reportForeign(deps: ReaderDeps, { orderId, hash }: Foreign): Promise<void> {
  deps.log.warn({ order_id: orderId, transaction_hash: hash }, 'contract.foreign_transaction');
  const open = await signalIfOpen(deps.client, orderWorkflowId(orderId), foreignTransactionSignal, [
    { transaction_hash: hash },
  ]);
  if (open) return;
  // The order is over: what lies on its contract now has to be paid out by somebody.
  await raiseAttention(pool(deps.orm), {
    marketplaceId: null,
    resource: { type: 'order', id: orderId },
    workflowId: orderWorkflowId(orderId),
    reason: 'BOOKS_DIFFER',
    detail: { transaction_hash: hash },
  });
}

/** Attention while the history is not to be trusted; clears itself. */
async function report(deps: ReaderDeps, trouble: string | null, head: HistoryHead, at: Position): Promise<void> {
  const resource = { type: 'network', id: deps.network.name };
  if (trouble === null) return clearAttention(pool(deps.orm), resource, 'BOOKS_DIFFER');
  const detail = { trouble, cursor: at.cursor, oldest_ledger: head.oldestLedger, latest_ledger: head.latestLedger };
  deps.log.error(detail, 'reader.stopped');
  await raiseAttention(pool(deps.orm), {
    marketplaceId: null,
    resource,
    workflowId: chainReaderWorkflowId(deps.network.name),
    reason: 'BOOKS_DIFFER',
    detail,
  });
}

async function insertObserved(trx: Sql, network: string, movements: readonly Movement[]): Promise<void> {
  const rows = movements.map((movement) => ({
    operation_id: movement.operationId,
    index: movement.index,
    kind: movement.kind,
    from_address: movement.from,
    to_address: movement.to,
    asset_code: movement.asset.code,
    asset_issuer: movement.asset.issuer,
    amount: movement.amount.toString(),
    transaction_hash: movement.transactionHash,
    ledger: movement.ledger,
    closed_at: movement.closedAt,
  }));
  await sql`
    insert into observed_movements (network, operation_id, index, kind, from_address, to_address, asset_code, asset_issuer,
      amount, transaction_hash, ledger, closed_at)
    select ${network}, t.operation_id, t.index, t.kind, t.from_address, t.to_address, t.asset_code, t.asset_issuer,
      t.amount, t.transaction_hash, t.ledger, t.closed_at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as t(operation_id bigint, index int, kind text,
      from_address text, to_address text, asset_code text, asset_issuer text, amount bigint, transaction_hash text,
      ledger int, closed_at timestamptz)
    on conflict do nothing`.execute(trx);
}
