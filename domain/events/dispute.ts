/** Events of disputes. */
import { z } from 'zod';
import { DisputeComment, DisputeEvidence } from '../resources/dispute.ts';
import { Settlement } from '../resources/order.ts';
import { DISPUTE_DECISIONS, DISPUTE_REASONS, PARTIES } from '../statuses.ts';
import { disputeEvent } from './define.ts';

export const DISPUTE_EVENTS = [
  disputeEvent('dispute.opened', { opened_by: z.enum(PARTIES), reason: z.enum(DISPUTE_REASONS) }),
  disputeEvent('dispute.assigned', { assigned_to: z.string() }),
  disputeEvent('dispute.evidence_added', { evidence: z.array(DisputeEvidence) }),
  disputeEvent('dispute.commented', { comment: DisputeComment }),
  disputeEvent('dispute.withdrawn', { by: z.enum(PARTIES) }),
  disputeEvent('dispute.resolved', { decision: z.enum(DISPUTE_DECISIONS), settlements: z.array(Settlement) }),
] as const;
