/**
 * JSON whose numbers keep their decimal digits: amounts travel as JSON numbers on this API, and no float may touch them
 * (F26). Incoming number tokens become `JsonNumber`, outgoing amounts are written with `JSON.rawJSON`.
 */
import { STROOPS_PER_UNIT, formatAmount } from '../../domain/money.ts';

const TOKEN = Symbol('number token');

/** A JSON number as the characters it was written with. */
export interface JsonNumber {
  readonly [TOKEN]: string;
}

/** Parses JSON, keeping numbers as tokens. Throws `SyntaxError` like `JSON.parse`. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source: string }) =>
    typeof value === 'number' && context !== undefined ? { [TOKEN]: context.source } : value,
  );
}

export function isJsonNumber(value: unknown): value is JsonNumber {
  return typeof value === 'object' && value !== null && TOKEN in value;
}

/**
 * The number times `10^decimals` as an integer, exactly (`1e-7` is how JavaScript clients write a single stroop);
 * undefined when it has more decimals than that or is absurdly large.
 */
export function scaled(number: JsonNumber, decimals: number): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(number[TOKEN]);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const shift = decimals - fraction.length + Number(exponent);
  if (whole.length + fraction.length > 40 || Math.abs(shift) > 40) return undefined;
  const digits = BigInt(whole + fraction);
  const power = 10n ** BigInt(Math.abs(shift));
  if (shift < 0 && digits % power !== 0n) return undefined;
  const magnitude = shift < 0 ? digits / power : digits * power;
  return sign === '-' ? -magnitude : magnitude;
}

const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };

/** Stroops as a JSON number in units, to be serialised with `JSON.stringify`. */
export const amountNumber = (stroops: bigint): unknown => rawJSON(formatAmount(stroops));

/** Basis points as a percent JSON number: 50 → `0.5`. */
export const percentNumber = (bps: number): unknown => rawJSON(formatAmount((BigInt(bps) * STROOPS_PER_UNIT) / 100n));
