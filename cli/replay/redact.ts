/** A history without what belongs to people: it still replays, and what it says about them is gone everywhere. */
import { type Json, isObject, mapPayloads } from './payloads.ts';

export const REDACTED = '[redacted]';

/** Names of fields that people fill in. Their texts go, wherever in the history they appear again. */
const PERSONAL = new Set([
  'actor_name',
  'client_order_ref',
  'client_ref',
  'comment',
  'comments',
  'description',
  'email',
  'evidence',
  'external_user_id',
  'memo',
  'metadata',
  'name',
  'note',
  'person',
  'reason',
  'reference',
  'text',
  'title',
]);
/** Of the program's own making, although they stand in such a field. */
const CODE = /^[A-Z][A-Z0-9_]*$/;
const EMAIL = /[^\s"'<>@]+@[^\s"'<>@]+\.[^\s"'<>@]+/g;
/** Anything shorter would be found inside of other words. */
const SHORTEST = 4;
/** A lone word of the language may be a word of the program elsewhere; without its field it tells nobody anything. */
const WORD = /^[a-z_]+$/;

/** @param history as `temporal workflow show --output json` prints it */
export function redactHistory(history: Json): Json {
  const texts = new Set<string>();
  const collect = (value: Json): Json => {
    collectTexts(value, false, texts);
    return value;
  };
  mapPayloads(history, collect);
  const long = [...texts].filter((text) => text.length >= SHORTEST).sort((one, other) => other.length - one.length);
  const clean = (value: Json): Json => redactValue(value, false, long);
  return cleanEvents(mapPayloads(history, clean), long);
}

function collectTexts(value: Json, personal: boolean, texts: Set<string>): void {
  if (typeof value === 'string') {
    if (personal && !CODE.test(value) && !WORD.test(value)) texts.add(value);
  } else if (Array.isArray(value)) for (const item of value as readonly Json[]) collectTexts(item, personal, texts);
  else if (isObject(value))
    for (const [key, item] of Object.entries(value)) collectTexts(item, personal || PERSONAL.has(key), texts);
}

function redactValue(value: Json, personal: boolean, texts: readonly string[]): Json {
  if (typeof value === 'string') return personal && !CODE.test(value) ? REDACTED : redactText(value, texts);
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => redactValue(item, personal, texts));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, redactValue(item, personal || PERSONAL.has(key), texts)]),
  );
}

function redactText(text: string, texts: readonly string[]): string {
  // Ids and codes hold no prose: a title that happens to be part of one must not break it.
  const prose = /\s/.test(text) || texts.includes(text);
  const left = prose ? texts.reduce((rest, personal) => rest.replaceAll(personal, REDACTED), text) : text;
  return left.replaceAll(EMAIL, REDACTED);
}

/** Fields of the events themselves: words of failures may repeat a text; machines and stacks are nobody's business. */
function cleanEvents(value: Json, texts: readonly string[]): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => cleanEvents(item, texts));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (key === 'identity') return [key, REDACTED];
      if (key === 'stackTrace') return [key, ''];
      return [key, key === 'message' && typeof item === 'string' ? redactText(item, texts) : cleanEvents(item, texts)];
    }),
  );
}
