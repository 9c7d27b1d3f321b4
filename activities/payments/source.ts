/** Where a wallet's payments come from. Two sources behind one contract; which one, the configuration says. */
import { sql } from 'kysely';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';
import type { ChainHistory, Pooled } from '../../providers/chain/port.ts';
import { ledgerOf } from './position.ts';
import type { ReaderPulse } from './pulse.ts';

interface PaymentQuery {
  readonly address: string;
  /** position behind the last movement that is recorded */
  readonly cursor: string;
  /** answer with an empty page after this long */
  readonly holdMs: number;
  readonly signal: AbortSignal;
}

export interface PaymentPage {
  /** in order, whole operations only: an operation is never cut in two */
  readonly movements: readonly Movement[];
  /** behind everything in the page, and behind everything the source has looked at when the page is empty */
  readonly cursor: string;
}

export interface PaymentSource {
  /** Waits for the first movements of the address behind the cursor. @throws when aborted */
  next(query: PaymentQuery): Promise<PaymentPage>;
}

/** Operations in a page: a booking transaction stays short. */
const PAGE_OPERATIONS = 50;

/** The literal stream: each wallet reads its own history. */
export function createStreamSource(deps: { history: Pooled<ChainHistory>; orm: Orm; network: string }): PaymentSource {
  const { history } = deps;
  return {
    next: async ({ address, cursor, holdMs, signal }) => {
      const deadline = performance.now() + holdMs;
      for (;;) {
        // Read before the page, from the same provider: when the page is empty, there was nothing up to here.
        const provider = await history.pinned(ledgerOf(cursor) + 1);
        const head = await provider.head();
        // A wallet that slept longer than the provider remembers would jump over the gap (F29): the reader's table has it.
        if (ledgerOf(cursor) + 1 < head.oldestLedger) return readObserved(deps.orm, deps.network, address, cursor);
        const page = await provider.movements({ account: address, cursor, limit: PAGE_OPERATIONS, signal });
        if (page.movements.length > 0) return page;
        const left = deadline - performance.now();
        if (!page.complete) cursor = page.cursor;
        else if (left <= 0) return { movements: [], cursor: later(endOf(head.latestLedger), page.cursor) };
        else await history.waitForMovement({ account: address, cursor: page.cursor, holdMs: Math.ceil(left), signal });
      }
    },
  };
}

/** One upstream for all: reads the table that the chain reader fills, and listens for what it stores. */
export function createSharedSource(deps: { orm: Orm; network: string; pulse: ReaderPulse }): PaymentSource {
  return {
    next: async ({ address, cursor, holdMs, signal }) => {
      const deadline = performance.now() + holdMs;
      const listener = deps.pulse.listen(address);
      try {
        for (;;) {
          const page = await readObserved(deps.orm, deps.network, address, cursor);
          const left = deadline - performance.now();
          if (page.movements.length > 0 || left <= 0) return page;
          await listener.next(left, signal);
        }
      } finally {
        listener.close();
      }
    },
  };
}

interface ObservedRow {
  operation_id: string;
  index: number;
  kind: Movement['kind'];
  from_address: string | null;
  to_address: string | null;
  asset_code: string;
  asset_issuer: string | null;
  amount: string;
  transaction_hash: string;
  ledger: number;
  closed_at: Date | string;
}

/** One statement, one snapshot: what is not in the table up to the reader's cursor did not happen. */
async function readObserved(orm: Orm, network: string, address: string, cursor: string): Promise<PaymentPage> {
  const { rows } = await sql<{ reader: string | null; movements: ObservedRow[] }>`
    select (select cursor from network_cursors where network = ${network} and reader = 'payments') as reader,
      coalesce(json_agg(json_build_object('operation_id', o.operation_id::text, 'index', o.index, 'kind', o.kind,
        'from_address', o.from_address, 'to_address', o.to_address, 'asset_code', o.asset_code,
        'asset_issuer', o.asset_issuer, 'amount', o.amount::text, 'transaction_hash', o.transaction_hash,
        'ledger', o.ledger, 'closed_at', o.closed_at) order by o.operation_id, o.index), '[]') as movements
    from observed_movements o
    where o.network = ${network} and o.operation_id in (
      select distinct p.operation_id from observed_movements p
      where p.network = ${network} and p.operation_id > ${cursor}::bigint and ${address} in (p.from_address, p.to_address)
      order by p.operation_id limit ${PAGE_OPERATIONS})
      and ${address} in (o.from_address, o.to_address)`.execute(pool(orm));
  const movements = (rows[0]?.movements ?? []).map(fromRow);
  const last = movements.at(-1)?.operationId;
  return { movements, cursor: last ?? later(rows[0]?.reader ?? cursor, cursor) };
}

const fromRow = (row: ObservedRow): Movement => ({
  operationId: row.operation_id,
  index: row.index,
  kind: row.kind,
  from: row.from_address,
  to: row.to_address,
  asset: { code: row.asset_code, issuer: row.asset_issuer },
  amount: BigInt(row.amount),
  transactionHash: row.transaction_hash,
  ledger: row.ledger,
  closedAt: new Date(row.closed_at).toISOString(),
});

/** Position behind everything in a ledger. */
const endOf = (ledger: number): string => ((BigInt(ledger + 1) << 32n) - 1n).toString();

/** The later of two positions. */
const later = (one: string, other: string): string => (BigInt(one) > BigInt(other) ? one : other);
