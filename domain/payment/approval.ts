/** The second person: whoever asked for a payment does not approve it. */
import type { PaymentKind } from '../statuses.ts';

/** Whether somebody else has to approve: always for a correction, for a withdrawal from the marketplace's threshold on. */
export const needsApproval = (kind: PaymentKind, amount: bigint, threshold: bigint | null): boolean =>
  kind === 'ADJUSTMENT' || (threshold !== null && amount >= threshold);

/** Persons as the API keys name them. A key that names nobody may ask; it cannot be the second person. */
export const isSecondPerson = (approver: string | null, requester: string | null): boolean =>
  approver !== null && approver !== requester;
