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
import { ourTransactions, record } from '../booking/movements.ts';
import type { Deps } from '../context.ts';
import { ledgerOf } from '../wallets/provisioning.ts';
import { signalIfOpen } from '../wallets/wake.ts';

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
  const at = ledgerOf(position.cursor);
  // Asked for what is older than its history, a provider answers with what it has: the gap would never be noticed.
  if (at + 1 < head.oldestLedger) return 'the history of the provider begins after the cursor';
  if (at > head.latestLedger + LAG_LEDGERS)
    return 'the cursor is ahead of the provider: it lags, or the network was reset';
  return null;
}

export function createReader(deps: Deps) {
  const { orm, network, history, log } = deps;
  const workflowId = chainReaderWorkflowId(network.name);

  /** The stored position; at the very first start the newest ledger, before any address is handed out (F28). */
  const position = async (): Promise<Position> => {
    const stored = await sql<Position>`
      select cursor, ledger from network_cursors where network = ${network.name} and reader = 'payments'`.execute(
      pool(orm),
    );
    if (stored.rows[0] !== undefined) return stored.rows[0];
    const cursor = await history.nowCursor();
    await sql`
      insert into network_cursors (network, reader, cursor, ledger, updated_at)
      values (${network.name}, 'payments', ${cursor}, ${ledgerOf(cursor)}, now())
      on conflict do nothing`.execute(pool(orm));
    return position();
  };

  /** One page. @returns null while the history is not to be trusted */
  const step = async (from: Position, signal: AbortSignal): Promise<ReadStep | null> => {
    const head = await history.head();
    const trouble = troubleOf(head, from, network.passphrase);
    await report(trouble, head, from);
    if (trouble !== null) return null;
    const page = await history.movements({ cursor: from.cursor, limit: PAGE, signal });
    // Everything up to the head that was read before the page is in it, unless the page was full.
    const passed = page.complete ? head.latestLedger : ledgerOf(page.cursor) - 1;
    const to = { cursor: page.cursor, ledger: Math.max(from.ledger, passed) };
    if (to.cursor === from.cursor && to.ledger === from.ledger)
      return { position: from, complete: page.complete, stored: false };
    const done = await inTransaction(orm, (trx) => store(trx, from, to, page.movements));
    // Somebody else reads too (an attempt that was given up still runs): go on from where the row is.
    if (done === null) return { position: await position(), complete: false, stored: false };
    for (const { orderId, hash } of done.foreign) await reportForeign(orderId, hash);
    return { position: to, complete: page.complete, stored: done.touched > 0 };
  };

  async function store(trx: Sql, from: Position, to: Position, page: readonly Movement[]) {
    // Accounts are created with nothing.
    const movements = page.filter(({ amount }) => amount > 0n);
    const moved = await sql<{ cursor: string }>`
      update network_cursors set cursor = ${to.cursor}, ledger = ${to.ledger}, updated_at = now()
      where network = ${network.name} and reader = 'payments' and cursor = ${from.cursor}
      returning cursor`.execute(trx);
    if (moved.rows.length === 0) return null;
    if (movements.length === 0) return { touched: 0, foreign: [] };
    const addresses = [...new Set(movements.flatMap(({ from: payer, to: payee }) => [payer, payee]))].filter(
      (address) => address !== null,
    );
    const { rows } = await sql<{ address: string; escrow_id: string | null; order_id: string | null }>`
      select address, null as escrow_id, null as order_id from wallets
      where address = any(${addresses}::text[]) and kind not in ('SPONSOR', 'CHANNEL')
      union all
      select contract_id, id, order_id from escrows where contract_id = any(${addresses}::text[])`.execute(trx);
    const known = new Set(rows.map(({ address }) => address));
    const touching = movements.filter(({ from: payer, to: payee }) => known.has(payer ?? '') || known.has(payee ?? ''));
    if (touching.length > 0) await insertObserved(trx, network.name, touching);
    const foreign: { orderId: string; hash: string }[] = [];
    for (const { address, escrow_id, order_id } of rows)
      if (escrow_id !== null && order_id !== null)
        for (const hash of await recordContract(trx, escrow_id, order_id, address, touching))
          foreign.push({ orderId: order_id, hash });
    return { touched: touching.length, foreign };
  }

  /** @returns hashes of transactions on this contract that are not ours */
  async function recordContract(trx: Sql, escrowId: string, orderId: string, address: string, touching: Movement[]) {
    const own = ownMovements(address, touching);
    const ours = await ourTransactions(trx, own);
    const foreign = new Set<string>();
    for (const movement of own) {
      await record(trx, network.name, escrowId, movement, 'ESCROW', { type: 'order', id: orderId });
      if (!ours.has(movement.movement.transactionHash)) foreign.add(movement.movement.transactionHash);
    }
    return foreign;
  }

  async function reportForeign(orderId: string, hash: string): Promise<void> {
    log.warn({ order_id: orderId, transaction_hash: hash }, 'contract.foreign_transaction');
    const open = await signalIfOpen(deps.client, orderWorkflowId(orderId), foreignTransactionSignal, [
      { transaction_hash: hash },
    ]);
    if (open) return;
    // The order is over: what lies on its contract now has to be paid out by somebody.
    await raiseAttention(pool(orm), {
      marketplaceId: null,
      resource: { type: 'order', id: orderId },
      workflowId: orderWorkflowId(orderId),
      reason: 'BOOKS_DIFFER',
      detail: { transaction_hash: hash },
    });
  }

  let reported: string | null | undefined;
  /** Attention while history is not to be trusted; clears itself. */
  async function report(trouble: string | null, head: HistoryHead, at: Position): Promise<void> {
    if (trouble === reported) return;
    const resource = { type: 'network', id: network.name };
    const detail = { trouble, cursor: at.cursor, oldest_ledger: head.oldestLedger, latest_ledger: head.latestLedger };
    if (trouble === null) await clearAttention(pool(orm), resource, 'BOOKS_DIFFER');
    else {
      log.error(detail, 'reader.stopped');
      await raiseAttention(pool(orm), { marketplaceId: null, resource, workflowId, reason: 'BOOKS_DIFFER', detail });
    }
    reported = trouble;
  }

  return { position, step, reportForeign };
}

export type Reader = ReturnType<typeof createReader>;

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
