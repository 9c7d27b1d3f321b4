/** What streams made of a transaction of ours that the rows did not know: a deposit, somebody's top-up, a loss. */
import { sql } from 'kysely';
import { type Misread, isBooked, mirror } from '../../db/ledger/mirror.ts';
import type { Sql } from '../../db/sql.ts';
import type { Intent } from '../../domain/intents.ts';
import type { MovementKind } from '../../domain/statuses.ts';
import type { Landed } from './look.ts';
import type { StoredTransaction } from './store.ts';

/**
 * On whose accounts it may be booked. Locks the wallets: what their streams record from now on, they record as ours.
 */
export async function movedBy(
  trx: Sql,
  { transactionId, hashes, landed }: Pick<Misread, 'transactionId' | 'hashes'> & { readonly landed: Landed },
): Promise<Omit<Misread, 'codes'>> {
  const addresses = landed.movements.flatMap(({ from, to }) => [from, to]).filter((address) => address !== null);
  const { rows: wallets } = await sql<{ id: string }>`
    select id from wallets where address = any(${addresses}::text[]) order by id for update`.execute(trx);
  const { rows: escrows } = await sql<{ id: string; orderId: string }>`
    select id, order_id as "orderId" from escrows where contract_id = any(${addresses}::text[])`.execute(trx);
  const owners = [...wallets.map(({ id }) => id), ...escrows.flatMap(({ id, orderId }) => [id, orderId])];
  return { transactionId, hashes, owners };
}

/** The movements belong to what it was for; what was to be explained about them is. */
export async function movedInTheNameOf(trx: Sql, hashes: readonly string[], intent: Intent): Promise<void> {
  const kind: MovementKind =
    intent.kind !== 'PAY' ? 'ESCROW' : intent.payment.type === 'withdrawal' ? 'WITHDRAWAL' : 'ADJUSTMENT';
  const resource =
    intent.kind === 'PAY' ? intent.payment : 'orderId' in intent ? { type: 'order', id: intent.orderId } : null;
  await sql`
    with explained as (
      update movements set kind = ${kind}, resource_type = ${resource?.type ?? null}, resource_id = ${resource?.id ?? null}
      where transaction_hash = any(${[...hashes]}::text[]) and kind in ('DEPOSIT', 'UNEXPLAINED') returning id
    )
    update attention set cleared_at = clock_timestamp()
    where resource_type = 'movement' and resource_id in (select id from explained) and cleared_at is null`.execute(trx);
}

type Ours = Pick<StoredTransaction, 'id' | 'innerHash'>;

async function movedByOurs(trx: Sql, { id, innerHash }: Ours, landed: Landed): Promise<Omit<Misread, 'codes'>> {
  const { rows } = await sql<{ hash: string }>`
    select outer_hash as hash from chain_envelopes where transaction_id = ${id}`.execute(trx);
  return movedBy(trx, { transactionId: id, hashes: [innerHash, ...rows.map(({ hash }) => hash)], landed });
}

/** After it was booked as ours: what came in with it was nobody's deposit and nobody's top-up. */
export async function unbookMisread(trx: Sql, ours: Ours, landed: Landed): Promise<void> {
  await mirror(trx, { ...(await movedByOurs(trx, ours, landed)), codes: ['DEPOSIT', 'TOP_UP'] });
}

/** What a contract pays is booked from the chain alike, whoever's transaction it was: then nothing is left to be posted. */
export const isPaidOut = async (trx: Sql, ours: Ours, landed: Landed): Promise<boolean> =>
  isBooked(trx, { ...(await movedByOurs(trx, ours, landed)), codes: ['PAYOUT'] });

/** Whether one of the hashes, inner or outer, is a transaction that our rows know to be under way or landed. */
export async function isOurs(trx: Sql, hashes: readonly string[]): Promise<boolean> {
  const { rows } = await sql<{ ours: boolean }>`
    select exists (select from chain_transactions where status not in ('PREPARED', 'DEAD')
      and (inner_hash = any(${[...hashes]}::text[])
        or id in (select transaction_id from chain_envelopes where outer_hash = any(${[...hashes]}::text[])))) as ours`.execute(
    trx,
  );
  return rows[0]?.ours === true;
}
