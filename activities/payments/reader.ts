/**
 * The one reader of the network: pages through all payments, keeps what touches our addresses or contracts, and moves its
 * cursor in the same transaction. Wallets read the table; contracts are recorded here.
 */
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import { chainReaderWorkflowId } from '../../domain/workflow-ids.ts';
import type { HistoryHead } from '../../providers/chain/port.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import { ownMovements } from '../booking/classify.ts';
import { type Recording, record } from '../booking/movements.ts';
import type { Deps, NetworkSettings } from '../context.ts';
import { openSurplus } from '../surplus/opening.ts';
import { tellOfForeign } from '../surplus/wake.ts';
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

interface ReadStep {
  readonly position: Position;
  /** nothing more is there now */
  readonly complete: boolean;
  /** addresses of ours for which something was stored */
  readonly stored: readonly string[];
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
type ReaderDeps = Pick<Deps, 'orm' | 'network' | 'history' | 'client' | 'taskQueuePrefix' | 'log'>;

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
    // Head and page of one provider: another one may not have read up to that head yet.
    const provider = await history.pinned(from.ledger + 1);
    const head = await provider.head();
    const trouble = troubleOf(head, from, network.passphrase);
    if (trouble !== reported) await report(deps, trouble, head, from);
    reported = trouble;
    if (trouble !== null) return null;
    const page = await provider.movements({ cursor: from.cursor, limit: PAGE, signal });
    // Everything up to the head that was read before the page is in it, unless the page was full.
    const passed = page.complete ? head.latestLedger : ledgerOf(page.cursor) - 1;
    const to = { cursor: page.cursor, ledger: Math.max(from.ledger, passed) };
    if (to.cursor === from.cursor && to.ledger === from.ledger)
      return { position: from, complete: page.complete, stored: [] };
    const done = await inTransaction(orm, (trx) => store(trx, network, from, to, page.movements));
    // Somebody else reads too (an attempt that was given up still runs): go on from where the row is.
    if (done === null) return { position: await position(), complete: false, stored: [] };
    for (const foreign of done.foreign) await reportForeign(deps, foreign);
    return { position: to, complete: page.complete, stored: done.addresses };
  };

  return { position, step };
}

interface Foreign {
  readonly orderId: string;
  readonly hash: string;
}

interface Owner {
  readonly address: string;
  /** null for a wallet */
  readonly escrow_id: string | null;
  readonly order_id: string | null;
}

/** Keeps what is ours and moves the cursor, all or nothing. @returns null when the cursor is not where we came from */
async function store(trx: Sql, network: NetworkSettings, from: Position, to: Position, page: readonly Movement[]) {
  // Accounts are created with nothing.
  const movements = page.filter(({ amount }) => amount > 0n);
  const { moved, owners, ours } = await storeObserved(trx, network.name, from, to, movements);
  if (!moved) return null;
  const foreign: Foreign[] = [];
  const recordings: Recording[] = [];
  for (const { address, escrow_id, order_id } of owners) {
    if (escrow_id === null || order_id === null) continue;
    const own = ownMovements(address, movements).filter(({ movement }) => settles(network, movement));
    const resource = { type: 'order', id: order_id };
    recordings.push(...own.map((movement) => ({ ownerId: escrow_id, movement, kind: 'ESCROW' as const, resource })));
    const strange = own.map(({ movement }) => movement.transactionHash).filter((hash) => !ours.includes(hash));
    for (const hash of new Set(strange)) foreign.push({ orderId: order_id, hash });
  }
  await record(trx, network.name, recordings);
  await openSurpluses(trx, foreign);
  return { addresses: owners.map(({ address }) => address), foreign };
}

/** A contract's other tokens, worthless ones among them, are nobody's matter (F40). */
const settles = ({ assets }: NetworkSettings, { asset }: Movement): boolean =>
  assets.some(({ code, issuer }) => code === asset.code && issuer === asset.issuer);

/** An order that is being closed now is waited for: either it sees the movement, or its closing is seen here. */
async function openSurpluses(trx: Sql, foreign: readonly Foreign[]): Promise<void> {
  const orderIds = [...new Set(foreign.map(({ orderId }) => orderId))].sort();
  if (orderIds.length === 0) return;
  await sql`select id from orders where id = any(${orderIds}::text[]) order by id for share`.execute(trx);
  for (const orderId of orderIds) await openSurplus(trx, orderId, 'SEEN');
}

/**
 * One statement per page: compare and set the cursor, keep the movements that touch a followed address (wallets and
 * contracts; not the accounts that only pay fees), and say whose they are and which transactions we sent.
 */
async function storeObserved(trx: Sql, network: string, from: Position, to: Position, movements: readonly Movement[]) {
  const page = JSON.stringify(movements.map(observedRow));
  const { rows } = await sql<{ moved: boolean; owners: Owner[]; ours: string[] }>`
    with moved as (
      update network_cursors set cursor = ${to.cursor}, ledger = ${to.ledger}, updated_at = now()
      where network = ${network} and reader = 'payments' and cursor = ${from.cursor} returning 1
    ), page as (
      select * from jsonb_to_recordset(${page}::jsonb) as t(operation_id bigint, index int, kind text,
        from_address text, to_address text, asset_code text, asset_issuer text, amount bigint, transaction_hash text,
        ledger int, closed_at timestamptz)
    ), touched as (
      select from_address as address from page union select to_address from page
    ), owners as (
      select address, null as escrow_id, null as order_id from wallets
      where address in (select address from touched) and kind not in ('SPONSOR', 'CHANNEL')
      union all
      select contract_id, id, order_id from escrows where contract_id in (select address from touched)
    ), stored as (
      insert into observed_movements (network, operation_id, index, kind, from_address, to_address, asset_code,
        asset_issuer, amount, transaction_hash, ledger, closed_at)
      select ${network}, p.* from page p
      where exists (select from moved)
        and exists (select from owners o where o.address in (p.from_address, p.to_address))
      on conflict do nothing
    )
    select exists (select from moved) as moved,
      coalesce((select json_agg(o) from owners o), '[]') as owners,
      array(select inner_hash from chain_transactions where inner_hash in (select transaction_hash from page)
        union select outer_hash from chain_envelopes where outer_hash in (select transaction_hash from page)) as ours`.execute(
    trx,
  );
  return rows[0] ?? { moved: false, owners: [], ours: [] };
}

const observedRow = (movement: Movement) => ({
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
});

/** Tells whose it is to book; idempotent there by the hash. What a crash leaves untold, reconcile tells again. */
async function reportForeign(deps: ReaderDeps, { orderId, hash }: Foreign): Promise<void> {
  deps.log.warn({ order_id: orderId, transaction_hash: hash }, 'contract.foreign_transaction');
  await tellOfForeign(deps, orderId, hash);
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
