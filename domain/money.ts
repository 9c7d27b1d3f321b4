/**
 * Money: the only place with arithmetic on amounts.
 *
 * An amount is a `bigint` of stroops (1 unit = 10 000 000 stroops, as on Stellar) in code and database, and a decimal
 * string of at most seven decimals on the wire. No floating point touches either form.
 */

/** Stroops in one unit of any Stellar asset. */
export const STROOPS_PER_UNIT = 10_000_000n;

/** The largest amount the network can express: a signed 64-bit count of stroops. */
export const MAX_STROOPS = 9_223_372_036_854_775_807n;

/** Basis points in a whole. */
const BPS = 10_000n;

/** Decimal amount as it is accepted on the wire: digits, no sign, no exponent, no leading zeros, ≤ 7 decimals. */
export const AMOUNT_PATTERN = /^(0|[1-9]\d{0,11})(\.\d{1,7})?$/;

export class AmountError extends Error {
  override readonly name = 'AmountError';
}

/**
 * Reads a decimal string (`"12.5"`) into stroops (`125000000n`). Zero is allowed.
 * @throws AmountError when the text is not a plain decimal, has more than seven decimals or exceeds the network's range
 */
export function parseAmount(text: string): bigint {
  if (!AMOUNT_PATTERN.test(text)) throw new AmountError(`not an amount: ${JSON.stringify(text)}`);
  const [whole = '0', fraction = ''] = text.split('.');
  const stroops = BigInt(whole) * STROOPS_PER_UNIT + BigInt(fraction.padEnd(7, '0'));
  if (stroops > MAX_STROOPS) throw new AmountError(`amount out of range: ${text}`);
  return stroops;
}

/** Writes stroops in shortest decimal form: `125000000n` → `"12.5"`, `0n` → `"0"`; a leading `-` for debts. */
export function formatAmount(stroops: bigint): string {
  const sign = stroops < 0n ? '-' : '';
  const magnitude = stroops < 0n ? -stroops : stroops;
  const whole = magnitude / STROOPS_PER_UNIT;
  const fraction = (magnitude % STROOPS_PER_UNIT).toString().padStart(7, '0').replace(/0+$/, '');
  return fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}

/** Writes stroops with exactly seven decimals, as Horizon does: `125000000n` → `"12.5000000"`. */
export function formatFixed(stroops: bigint): string {
  const sign = stroops < 0n ? '-' : '';
  const magnitude = stroops < 0n ? -stroops : stroops;
  return `${sign}${magnitude / STROOPS_PER_UNIT}.${(magnitude % STROOPS_PER_UNIT).toString().padStart(7, '0')}`;
}

/** `⌊amount · bps / 10000⌋`, the rounding of the escrow contract. */
export function bpsOf(amount: bigint, bps: number): bigint {
  return (amount * BigInt(bps)) / BPS;
}

/** `⌊amount · numerator / denominator⌋` without overflow. */
export function mulDiv(amount: bigint, numerator: bigint, denominator: bigint): bigint {
  if (denominator <= 0n) throw new AmountError('denominator must be positive');
  return (amount * numerator) / denominator;
}

/**
 * Splits a whole pro rata by weights. Every part is floored; what is left over is returned as dust, so that
 * Σ parts + dust = whole always.
 */
export function splitByWeights(whole: bigint, weights: readonly bigint[]): { parts: bigint[]; dust: bigint } {
  const total = weights.reduce((sum, weight) => sum + weight, 0n);
  if (total <= 0n || weights.some((weight) => weight < 0n)) throw new AmountError('weights must be ≥ 0 and sum to > 0');
  const parts = weights.map((weight) => mulDiv(whole, weight, total));
  return { parts, dust: whole - parts.reduce((sum, part) => sum + part, 0n) };
}
