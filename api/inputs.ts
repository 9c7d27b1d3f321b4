/** Schemas of what callers send, shared by several resources. Optional inputs may be absent or null. */
import { Duration } from 'luxon';
import { z } from 'zod';
import type { Page, PageCursor } from '../db/resources/select.ts';
import { METADATA_BYTES_MAX, METADATA_KEYS_MAX, MILESTONES_MAX, PAGE_DEFAULT, PAGE_MAX } from '../domain/limits.ts';
import { AMOUNT_PATTERN, AmountError, parseAmount } from '../domain/money.ts';
import { EVIDENCE_TYPES } from '../domain/statuses.ts';
import type { Answer } from './route.ts';

const AMOUNT_FORMAT = 'AMOUNT_FORMAT: a decimal string greater than zero with at most 7 decimals, e.g. "12.5"';

/** Decimal string on the wire, stroops after reading. */
export const AmountInput = z
  .string({ error: (issue) => (issue.input === undefined ? undefined : AMOUNT_FORMAT) })
  .regex(AMOUNT_PATTERN, AMOUNT_FORMAT)
  .transform((text, context) => {
    const stroops = stroopsOf(text);
    if (stroops !== null && stroops > 0n) return stroops;
    context.addIssue(AMOUNT_FORMAT);
    return z.NEVER;
  })
  .meta({ description: 'Decimal amount, at most 7 decimals', example: '250' });

/** One side of a split: zero is a share, too. */
export const ShareInput = z
  .string()
  .regex(AMOUNT_PATTERN, 'AMOUNT_FORMAT: a decimal string with at most 7 decimals, e.g. "0" or "12.5"')
  .transform((text) => stroopsOf(text) ?? 0n)
  .meta({ description: 'Decimal amount before fees, at most 7 decimals; zero is allowed', example: '100' });

function stroopsOf(text: string): bigint | null {
  try {
    return parseAmount(text);
  } catch (error) {
    if (error instanceof AmountError) return null;
    throw error;
  }
}

/** Text of a bounded length, at least one character. */
export const text = (max: number) => z.string().min(1).max(max);

export const MetadataInput = z
  .record(z.string().min(1).max(128), z.string())
  .refine((value) => Object.keys(value).length <= METADATA_KEYS_MAX, `TOO_LARGE: at most ${METADATA_KEYS_MAX} keys`)
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= METADATA_BYTES_MAX,
    `TOO_LARGE: at most ${METADATA_BYTES_MAX} bytes`,
  );

export const AssetInput = z.string().min(1).max(12).meta({ example: 'USDC' });
export const ReasonInput = text(500).nullish();

/** In the document: this instead of what the schema that reads the text would say. */
const as =
  (documented: Record<string, unknown>) =>
  ({ jsonSchema }: { jsonSchema: object }): void => {
    for (const name of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, name);
    Object.assign(jsonSchema, documented);
  };
const time = { type: 'string', format: 'date-time', example: '2026-11-22T14:00:00.000Z' };
export const TimeInput = z.iso
  .datetime({ offset: true })
  // Postgres knows neither a year 0 nor offsets of a day: what it gets is UTC.
  .refine((text) => new Date(text).getUTCFullYear() >= 1, 'FORMAT: a time from the year 1 on')
  .transform((text) => new Date(text).toISOString())
  .meta({ override: as(time) });

/** Longer than any business wants to wait, and short enough for every timer. */
const DURATION_DAYS_MAX = 3_650;
export const DurationText = z
  .string()
  .refine((value) => {
    const duration = Duration.fromISO(value);
    const days = duration.isValid ? duration.as('days') : 0;
    return days > 0 && days <= DURATION_DAYS_MAX;
  }, `DURATION_FORMAT: an ISO 8601 duration greater than zero and at most P${DURATION_DAYS_MAX}D, e.g. "P7D"`)
  .meta({ example: 'P7D' });
const DurationInput = DurationText.nullish();

/** What is absent comes from the marketplace; null turns a deadline off. */
export const DeadlinesInput = z.strictObject({
  funding: DurationInput,
  delivery: DurationInput,
  inspection: DurationInput,
  dispute: DurationInput,
  dispute_default: z.enum(['FULL_RELEASE', 'FULL_REFUND']).nullish(),
});

export const NoQuery = z.strictObject({});
export const IdParams = z.object({ id: z.string() });
export const ReasonBody = z.strictObject({ reason: ReasonInput });

/** Exactly as it was given out: a 30th of February is no time. */
const isTime = (text: string): boolean => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text;

const CURSOR = 'CURSOR: not a cursor of this list';
const CursorInput = z
  .string()
  .transform((text, context): PageCursor => {
    const [, at, id] = /^([0-9TZ:.-]{24}) (\S+)$/.exec(Buffer.from(text, 'base64url').toString('utf8')) ?? [];
    if (at !== undefined && id !== undefined && isTime(at)) return { at, id };
    context.addIssue(CURSOR);
    return z.NEVER;
  })
  .optional()
  .transform((cursor) => cursor ?? null);

const limit = z
  .string()
  .regex(/^[1-9]\d{0,2}$/, 'RANGE: a whole number')
  .transform((digits) => Number.parseInt(digits, 10))
  .pipe(z.int().max(PAGE_MAX, `RANGE: at most ${PAGE_MAX}`))
  .default(PAGE_DEFAULT)
  .meta({ override: as({ type: 'integer', minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT }) });

/** Query of every list. */
export const pageQuery = { limit, cursor: CursorInput.meta({ override: { type: 'string' } }) };
export const limitQuery = { limit };
export const createdQuery = { created_after: TimeInput.optional(), created_before: TimeInput.optional() };

/** `a,b`: a comma list of allowed values. */
export const commaList = <const T extends readonly [string, ...string[]]>(values: T) =>
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(values)))
    .optional()
    .meta({ override: { type: 'string', description: `Comma list of ${values.join(', ')}` } });

export const flagQuery = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional()
  .meta({ override: as({ type: 'boolean' }) });

export const metadataQuery = z
  .record(z.string(), z.string())
  .optional()
  .meta({ param: { style: 'deepObject', explode: true } });

/** A list as every endpoint answers it. */
export const listOf = (item: z.ZodType) =>
  z.object({ data: z.array(item), has_more: z.boolean(), next_cursor: z.string().nullable() });

/** The answer of a list that is paged by creation time and id. */
export function listAnswer(page: Page<{ readonly id: string; readonly created_at: string }>): Answer {
  const last = page.items.at(-1);
  const next = page.hasMore && last !== undefined ? `${last.created_at} ${last.id}` : null;
  return listBody(page, next === null ? null : Buffer.from(next).toString('base64url'));
}

export function listBody(page: Page<unknown>, nextCursor: string | null): Answer {
  return { status: 200, body: { data: page.items, has_more: page.hasMore, next_cursor: nextCursor } };
}

/** What an optional input means when it is null. */
export const given = <T>(value: T | null | undefined): T | null => value ?? null;

/** What somebody hands over as proof. */
export const EvidenceInput = z
  .array(
    z.strictObject({
      type: z.enum(EVIDENCE_TYPES),
      value: text(2_000),
      note: text(500).nullish(),
    }),
  )
  .max(20);

export const MilestoneRef = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'FORMAT: 1 to 64 letters, digits, "_" or "-"')
  .meta({ example: 'm1' });
/** Milestones of an order, by their references, each once. */
export const MilestoneRefs = z
  .array(MilestoneRef)
  .min(1)
  .max(MILESTONES_MAX)
  .refine((refs) => new Set(refs).size === refs.length, 'DUPLICATE: each milestone once');
