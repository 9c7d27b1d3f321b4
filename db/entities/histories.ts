/** What workflows did, kept beyond the time for which Temporal knows. */
import { defineEntity, p } from '@mikro-orm/core';
import { HISTORY_REASONS } from '../../domain/statuses.ts';

/** The newest copy for each reason. */
export const WorkflowHistory = defineEntity({
  name: 'WorkflowHistory',
  tableName: 'workflow_histories',
  properties: {
    workflowId: p.text().primary(),
    runId: p.text().primary(),
    /** PARKED: it waited for an operator; CLOSED: it was over */
    reason: p.enum(HISTORY_REASONS).primary(),
    /** the matter for which it was parked */
    attentionId: p.text().nullable(),
    events: p.integer(),
    /** gzip of the JSON that `temporal workflow show --output json` prints */
    history: p.blob(),
    storedAt: p.datetime(3),
  },
});
