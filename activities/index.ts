/** All activities by the task queue that serves them; the types are what workflows see. */
import { createOrderDeadlines } from './booking/order-deadlines.ts';
import { createOrderOperationActivities } from './booking/order-operation.ts';
import { createForeignBooking } from './booking/foreign.ts';
import { createOrderParking } from './booking/order-parking.ts';
import { createOwnFunds } from './booking/order-own-funds.ts';
import { createOrderVerbs } from './booking/order-verbs.ts';
import { createAdoptActivity } from './chain/adopt.ts';
import { createPrepareActivity } from './chain/prepare.ts';
import { createSettleActivity } from './chain/settle.ts';
import type { Deps } from './context.ts';
import { createDisputeActivities } from './disputes/index.ts';
import { createRaiseFeeActivity } from './signing/raise-fee.ts';
import { createAcceptSignatureActivity, createOpenRequestActivity } from './signing/requests-open.ts';
import { createWatchRequestActivity } from './signing/requests-watch.ts';
import { createSignActivity } from './signing/sign.ts';
import { createSurplusActivities } from './surplus/index.ts';
import { createPaymentRowActivities } from './withdrawals/index.ts';

/** Queue `orders`: short database work, most of it as local activities. */
export const createOrderActivities = (deps: Deps) => ({
  ...createOrderVerbs(deps),
  ...createOrderDeadlines(deps),
  ...createOrderOperationActivities(deps),
  ...createOrderParking(deps),
  ...createForeignBooking(deps),
  ...createPaymentRowActivities(deps),
  ...createDisputeActivities(deps),
  ...createSurplusActivities(deps),
});
/** Queue `escrow-api`: what calls the escrow gateway's REST API. */
export const createEscrowApiActivities = (deps: Deps) => ({
  ...createPrepareActivity(deps),
  ...createOpenRequestActivity(deps),
});
/** Queue `chain`: own envelopes, submission, confirmation, booking. */
export const createChainActivities = (deps: Deps) => ({
  ...createAdoptActivity(deps),
  ...createPrepareActivity(deps),
  ...createSettleActivity(deps),
  ...createOpenRequestActivity(deps),
  ...createWatchRequestActivity(deps),
  ...createOwnFunds(deps),
});
/** Queue `signing`: the only one whose worker opens keys. */
export const createSigningActivities = (deps: Deps) => ({
  ...createSignActivity(deps),
  ...createAcceptSignatureActivity(deps),
  ...createRaiseFeeActivity(deps),
});

export type OrderActivities = ReturnType<typeof createOrderActivities>;
export type EscrowApiActivities = ReturnType<typeof createEscrowApiActivities>;
export type ChainActivities = ReturnType<typeof createChainActivities>;
export type SigningActivities = ReturnType<typeof createSigningActivities>;
