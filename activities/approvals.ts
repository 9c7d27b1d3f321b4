/** What two persons approved, as whoever carries it out has to ask for it. */
import { type Approval, useApproval } from '../db/repair-approvals.ts';
import type { Sql } from '../db/sql.ts';
import { refuse } from './failure.ts';

/**
 * Uses an approval, once, for the open matter that it is about.
 * @throws ApplicationFailure INVALID_STATE when two persons have not approved exactly this, or it was used
 */
export async function takeApproval(
  trx: Sql,
  approvalId: string,
  matter: { readonly attention_id: string | null },
): Promise<Approval> {
  const approval = await useApproval(trx, approvalId, matter);
  if (approval === null) throw refuse('INVALID_STATE', 'two persons have not approved this, or it is settled');
  return approval;
}
