/** One HTTP exchange with an outside service, with a time limit and errors classified by status, never by text (F21). */
import { timeLeft } from './attempt.ts';
import { ProviderError, type ProviderName } from './errors.ts';

/** Statuses that say "not now" (or "not until an operator fixed the key"): the same call may succeed later. */
const LATER = new Set([401, 403, 408, 425, 429]);

interface Exchange {
  readonly provider: ProviderName;
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** less when the attempt it belongs to ends before */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** `Retry-After` in milliseconds: delta seconds or an HTTP date; null when absent or unreadable. */
export function retryAfterMs(headers: Headers, now: number = Date.now()): number | null {
  const value = headers.get('retry-after');
  if (value === null) return null;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** The error an unwelcome answer amounts to: `UNAVAILABLE` for 5xx and 429 and their kin, else `REFUSED`. */
export function statusError(provider: ProviderName, status: number, headers: Headers, text: string): ProviderError {
  const later = status >= 500 || LATER.has(status);
  const wait = later ? retryAfterMs(headers) : null;
  return new ProviderError(later ? 'UNAVAILABLE' : 'REFUSED', provider, `HTTP ${status}: ${text.slice(0, 500)}`, {
    status,
    ...(wait === null ? {} : { retryAfterMs: wait }),
  });
}

/**
 * Opens the exchange and returns the response.
 * @throws ProviderError UNAVAILABLE when nothing came back in time, THROTTLED when no time is left to ask
 */
export async function open(exchange: Exchange): Promise<Response> {
  const { provider, url, method = 'GET', headers = {}, body, timeoutMs, signal } = exchange;
  const limitMs = timeLeft(timeoutMs);
  if (limitMs <= 0) throw new ProviderError('THROTTLED', provider, 'no time left in this attempt');
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw unreachable(provider, cause);
  }
}

const unreachable = (provider: ProviderName, cause: unknown): ProviderError => {
  const reason = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : '';
  return new ProviderError('UNAVAILABLE', provider, `no answer: ${reason}`, { cause });
};

/**
 * The whole exchange as JSON. A 2xx without a JSON object is `MALFORMED`; other statuses are `statusError`, except
 * those listed in `accept`, which are answered as null.
 */
export async function json(
  exchange: Exchange,
  accept: readonly number[] = [],
): Promise<Record<string, unknown> | null> {
  const response = await open(exchange);
  let text: string;
  try {
    text = await response.text();
  } catch (cause) {
    exchange.signal?.throwIfAborted();
    throw unreachable(exchange.provider, cause);
  }
  if (accept.includes(response.status)) return null;
  if (!response.ok) throw statusError(exchange.provider, response.status, response.headers, text);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // falls through: not JSON at all
  }
  const { status } = response;
  throw new ProviderError('MALFORMED', exchange.provider, `not a JSON object: ${text.slice(0, 200)}`, { status });
}
