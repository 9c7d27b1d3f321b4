/** The history that a life would have had if the first worker of every task had died with it. */
import { type Json, type JsonObject, isObject } from '../../cli/replay/payloads.ts';

const typeOf = (event: JsonObject | undefined): string =>
  String(event?.['eventType'] ?? '').replace('EVENT_TYPE_WORKFLOW_TASK_', '');

/** @param history as `temporal workflow show --output json` prints it */
export function withLostTasks(history: Json): Json {
  const events = (isObject(history) && Array.isArray(history['events']) ? history['events'] : []).filter(isObject);
  const written: Json[] = [];
  // Events refer to earlier ones: by their old numbers to those that were written last.
  const numbers = new Map<string, string>();
  const write = (event: JsonObject): void => {
    const eventId = String(written.length + 1);
    written.push({ ...(renumbered(event, numbers) as JsonObject), eventId });
    if (typeof event['eventId'] === 'string') numbers.set(event['eventId'], eventId);
  };
  for (const [at, event] of events.entries()) {
    if (typeOf(event) === 'STARTED' && typeOf(events[at + 1]) === 'COMPLETED') {
      const { eventId = null, eventTime = null } = event;
      const { scheduledEventId = null } = event['workflowTaskStartedEventAttributes'] as JsonObject;
      write(event);
      write({
        eventTime,
        eventType: 'EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT',
        workflowTaskTimedOutEventAttributes: {
          scheduledEventId,
          startedEventId: eventId,
          timeoutType: 'TIMEOUT_TYPE_START_TO_CLOSE',
        },
      });
      const scheduled = events.find((one) => one['eventId'] === scheduledEventId);
      if (scheduled !== undefined) write(scheduled);
    }
    write(event);
  }
  return { events: written };
}

function renumbered(value: Json, numbers: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((item: Json) => renumbered(item, numbers));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key.endsWith('EventId') && typeof item === 'string' ? (numbers.get(item) ?? item) : renumbered(item, numbers),
    ]),
  );
}
