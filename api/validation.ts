/** From a schema's findings to `errors[]` of a problem: a JSON pointer, a code and a sentence for each. */
import type { z } from 'zod';
import { type FieldError, Refusal } from '../domain/refusal.ts';

/** A schema's message may begin with its code: `AMOUNT_FORMAT: a decimal string`. */
const CODED = /^([A-Z][A-Z_]+): (.+)$/s;

const CODES: Readonly<Record<string, string>> = {
  invalid_type: 'TYPE',
  invalid_value: 'VALUE',
  invalid_format: 'FORMAT',
  too_big: 'TOO_LARGE',
  too_small: 'TOO_SMALL',
};

/** Pointer to a part of the body (RFC 6901). */
const pointerTo = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/**
 * Reads a body or query with its schema.
 * @throws Refusal VALIDATION_ERROR naming every wrong part
 */
export function validate<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const strange = unstorable(input, []);
  if (strange !== null) throw invalid([strange]);
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw invalid(result.error.issues.flatMap((issue) => fieldErrors(issue, input)));
}

function invalid(errors: readonly FieldError[]): Refusal {
  const [first] = errors;
  const detail =
    errors.length === 1 && first !== undefined
      ? `${first.pointer}: ${first.detail}`
      : `${errors.length} parts of the request are not valid`;
  return new Refusal('VALIDATION_ERROR', detail, { errors });
}

function fieldErrors(issue: z.core.$ZodIssue, input: unknown): FieldError[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      pointer: pointerTo([...issue.path, key]),
      code: 'UNKNOWN_FIELD',
      detail: 'this field is not known',
    }));
  const pointer = pointerTo(issue.path);
  if (issue.code === 'invalid_type' && valueAt(input, issue.path) === undefined)
    return [{ pointer, code: 'REQUIRED', detail: 'this field is required' }];
  const coded = CODED.exec(issue.message);
  const [, code = CODES[issue.code] ?? 'INVALID', detail = issue.message] = coded ?? [];
  return [{ pointer, code, detail }];
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    input,
  );
}

/** Text that Postgres cannot hold: NUL, and halves of surrogate pairs. Refused here, or it would be a 500 there (F53). */
function unstorable(value: unknown, path: readonly PropertyKey[]): FieldError | null {
  if (typeof value === 'string') return isStorable(value) ? null : unstorableAt(path);
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, part] of Object.entries(value)) {
    const found = isStorable(key) ? unstorable(part, [...path, key]) : unstorableAt(path);
    if (found !== null) return found;
  }
  return null;
}

export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

const unstorableAt = (path: readonly PropertyKey[]): FieldError => ({
  pointer: pointerTo(path),
  code: 'TEXT',
  detail: 'text must be well-formed Unicode without NUL',
});
