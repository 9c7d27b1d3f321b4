/** How an event type is described: its resource, that resource as it was, and what the type adds. */
import { z } from 'zod';
import type { ResourceType } from '../statuses.ts';
import { DisputeSchema } from '../resources/dispute.ts';
import { OrderSchema } from '../resources/order.ts';
import { AdjustmentSchema, WithdrawalSchema } from '../resources/payment.ts';
import { SigningRequestSchema } from '../resources/signing-request.ts';
import { UserSchema, WalletSchema } from '../resources/user.ts';

export interface EventDefinition<T extends string = string> {
  readonly type: T;
  readonly resource: ResourceType;
  /** the whole resource, as GET showed it at that moment */
  readonly object: z.ZodType;
  readonly change: z.ZodType;
}

const definition =
  (resource: ResourceType, object: z.ZodType) =>
  <T extends string>(type: T, change: z.ZodRawShape = {}): EventDefinition<T> => ({
    type,
    resource,
    object,
    change: z.strictObject(change),
  });

export const orderEvent = definition('order', OrderSchema);
/** Balances and deposits are a user's: their events carry the user and are numbered with the user's other events. */
export const userEvent = definition('user', UserSchema);
export const walletEvent = definition('wallet', WalletSchema);
export const withdrawalEvent = definition('withdrawal', WithdrawalSchema);
export const disputeEvent = definition('dispute', DisputeSchema);
export const adjustmentEvent = definition('adjustment', AdjustmentSchema);
/** Never hands out: the envelope, its hash and its URI are null in events. */
export const signingEvent = definition('signing_request', SigningRequestSchema);
