/** Test clocks: a marketplace's business time, moved forward so that deadlines can be tried out. With the sandbox only. */
import { Duration } from 'luxon';
import { z } from 'zod';
import { openDisputes } from '../../db/resources/dispute.ts';
import { openOrders } from '../../db/resources/order.ts';
import { advanceTestClock, createTestClock } from '../../db/resources/test-clock.ts';
import { pool } from '../../db/sql.ts';
import { Id, Timestamp } from '../../domain/resources/common.ts';
import { DurationText, IdParams } from '../inputs.ts';
import { type Answer, BASE_PATH, found, marketplaceOf, route } from '../route.ts';

const TestClock = z
  .object({ id: Id, now: Timestamp })
  .meta({ id: 'TestClock', description: 'Business time of a marketplace; the chain has its own' });

const answer = (status: number, clock: { id: string; offsetMs: number }): Answer => ({
  status,
  body: { id: clock.id, now: new Date(Date.now() + clock.offsetMs).toISOString() },
  headers: status === 201 ? { Location: `${BASE_PATH}/test-clocks/${clock.id}` } : {},
});

export const TEST_CLOCK_ROUTES = [
  route({
    method: 'post',
    path: '/test-clocks',
    tag: 'sandbox',
    summary: "The marketplace's test clock: one per marketplace, made at the first call",
    access: { keys: 'marketplace', scope: 'write' },
    body: z.strictObject({}),
    answers: { 201: TestClock },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => answer(201, await createTestClock(pool(call.deps.orm), marketplaceOf(call).id)),
  }),
  route({
    method: 'post',
    path: '/test-clocks/:id/advance',
    tag: 'sandbox',
    summary: 'Move it forward; answers when everything that is due now was woken',
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    body: z.strictObject({ by: DurationText }),
    answers: { 200: TestClock },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => {
      const { orm, workflows } = call.deps;
      const marketplaceId = marketplaceOf(call).id;
      const byMs = Duration.fromISO(call.body.by).toMillis();
      const answered = await call.once(async (trx) =>
        answer(200, found(await advanceTestClock(trx, marketplaceId, call.params.id, byMs), 'test clock')),
      );
      // Also for a repeated call: whoever was not told yet is told now.
      const { offsetMs } = await createTestClock(pool(orm), marketplaceId);
      await workflows.clockAdvanced(await openOrders(pool(orm), marketplaceId), offsetMs);
      await workflows.disputeClockAdvanced(await openDisputes(pool(orm), marketplaceId), offsetMs);
      return answered;
    },
  }),
];
