/** Every event type there is; `checkEvent` is the gate in front of the outbox. */
import type { EventDefinition } from './define.ts';
import { DISPUTE_EVENTS } from './dispute.ts';
import { ORDER_EVENTS } from './order.ts';
import { PAYMENT_EVENTS } from './payment.ts';
import { SIGNING_EVENTS } from './signing-request.ts';
import { USER_EVENTS } from './user.ts';

export const EVENTS = [
  ...ORDER_EVENTS,
  ...USER_EVENTS,
  ...SIGNING_EVENTS,
  ...PAYMENT_EVENTS,
  ...DISPUTE_EVENTS,
] as const;
export type EventType = (typeof EVENTS)[number]['type'];
export const EVENT_TYPES: readonly EventType[] = EVENTS.map((event) => event.type);

const BY_TYPE = new Map<string, EventDefinition>(EVENTS.map((event) => [event.type, event]));

/**
 * @returns `object` and `change` without fields that the type does not have
 * @throws Error when the event is not what its type says: a bug of the writer
 */
export function checkEvent(event: { type: EventType; resource: { type: string }; object: unknown; change: unknown }): {
  object: unknown;
  change: unknown;
} {
  const definition = BY_TYPE.get(event.type);
  if (definition === undefined) throw new Error(`unknown event type ${event.type}`);
  if (definition.resource !== event.resource.type)
    throw new Error(`${event.type} is about a ${definition.resource}, not a ${event.resource.type}`);
  const object = definition.object.safeParse(event.object);
  const change = definition.change.safeParse(event.change);
  const wrong = object.error ?? change.error;
  if (wrong !== undefined) throw new Error(`${event.type} is not valid: ${wrong.message}`);
  return { object: object.data, change: change.data };
}
