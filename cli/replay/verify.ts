/** The check that stands before every signature, once more, on an envelope as it was stored. */
import { resolveTarget } from '../../activities/chain/target.ts';
import type { Deps } from '../../activities/context.ts';
import { pool } from '../../db/sql.ts';
import type { Verdict } from '../../providers/escrow/port.ts';
import { type Unavailable, looked } from '../why/looks.ts';
import { readTransactions } from '../why/rows.ts';
import { subjectOf } from '../why/subject.ts';

export interface Verified {
  readonly transaction_id: string;
  readonly step: string;
  readonly status: string;
  /** against rows and chain as they are now: what has landed is out of date by now, and says so */
  readonly verdict: Verdict | Unavailable;
}

/** The newest envelope of the workflow that is a call on an escrow; null without one. Reads only. */
export async function verifyAgain(deps: Deps, workflowId: string): Promise<Verified | null> {
  const db = pool(deps.orm);
  const transaction = (await readTransactions(db, subjectOf(workflowId))).findLast(({ intent }) => 'orderId' in intent);
  if (transaction === undefined) return null;
  const { id, step, status, intent, unsigned_envelope: envelope } = transaction;
  const verdict = await looked(async (): Promise<Verdict> => {
    const target = await resolveTarget(deps, intent, `${workflowId}/${step}`);
    if (target === null) throw new Error('a wallet that plays a role is not ready');
    return (await target.verify(envelope)).verdict;
  });
  return { transaction_id: id, step, status, verdict };
}
