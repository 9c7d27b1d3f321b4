/** Payloads in a history as JSON (protobuf JSON: bytes are base64). What this project sends is `json/plain`, or nothing. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

interface Payload {
  readonly metadata: { readonly encoding: string };
  readonly data?: string;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isPayload = (value: unknown): value is JsonObject & Payload =>
  isObject(value) && isObject(value['metadata']) && typeof value['metadata']['encoding'] === 'string';

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** Its value; what no reader here knows stays as it is. */
function decodePayload(payload: Payload): Json {
  const encoding = text(payload.metadata.encoding);
  if (encoding === 'binary/null') return null;
  if (encoding !== 'json/plain' || payload.data === undefined) return `[${encoding}]`;
  return JSON.parse(text(payload.data)) as Json;
}

/** @param history as `temporal workflow show --output json` prints it. @throws Error when it is none */
export function eventsOf(history: unknown): JsonObject[] {
  const events = isObject(history) ? history['events'] : undefined;
  if (!Array.isArray(events)) throw new Error('not a history: it has no events');
  return events.filter(isObject);
}

/** What an event says, whatever its type. */
export function attributesOf(event: JsonObject): JsonObject {
  const [, attributes] = Object.entries(event).find(([key]) => key.endsWith('EventAttributes')) ?? [];
  return isObject(attributes) ? attributes : {};
}

/** All payloads of a field of an event, in order; none where the field is absent. */
export function payloadsOf(field: Json | undefined): Json[] {
  const payloads = isObject(field) ? field['payloads'] : undefined;
  return Array.isArray(payloads) ? payloads.filter(isPayload).map(decodePayload) : [];
}

/** The same JSON with every `json/plain` payload's value replaced by what `change` makes of it. */
export function mapPayloads(value: Json, change: (decoded: Json) => Json): Json {
  if (isPayload(value)) {
    if (text(value.metadata.encoding) !== 'json/plain' || value.data === undefined) return value;
    const data = Buffer.from(JSON.stringify(change(decodePayload(value)))).toString('base64');
    return { ...(value as JsonObject), data };
  }
  if (Array.isArray(value)) return value.map((item: Json) => mapPayloads(item, change));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapPayloads(item, change)]));
}
