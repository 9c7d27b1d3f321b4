/** What an order waits for, shown on it. */
import { sql } from 'kysely';
import { bumpVersion } from '../../db/events.ts';
import type { Orm } from '../../db/orm.ts';
import { inTransaction } from '../../db/sql.ts';
import type { WaitingFor } from '../../domain/statuses.ts';

/** No event, but a new version: whoever asks whether the order changed is told. Shown already: nothing is written. */
export async function showWait(orm: Orm, orderId: string, waitingFor: WaitingFor): Promise<void> {
  await inTransaction(orm, async (trx) => {
    const { rows } = await sql<{ id: string }>`
      update orders set waiting_for = ${waitingFor}
      where id = ${orderId} and waiting_for is distinct from ${waitingFor} and status <> 'CLOSED' returning id`.execute(
      trx,
    );
    if (rows.length > 0) await bumpVersion(trx, orderId);
  });
}
