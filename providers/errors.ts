/**
 * How every adapter reports trouble with the outside world. Callers branch on `kind` and read the chain; they never
 * branch on a provider's text (F21), which is kept for operators only.
 *
 * - `UNAVAILABLE`: unreachable, 5xx, 429, time-out: repeat later (after `retryAfterMs` when the provider said so)
 * - `REFUSED`: the provider understood the request and refuses it
 * - `MALFORMED`: an answer that lacks what it must have, or cannot be decoded (F11, F12)
 * - `THROTTLED`: not asked at all: our own share of its requests, or of this attempt's time, is used up
 */
type ProviderErrorKind = 'UNAVAILABLE' | 'REFUSED' | 'MALFORMED' | 'THROTTLED';

export type ProviderName = 'horizon' | 'rpc' | 'trustless-work' | 'aws-kms' | 'sandbox';

export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly kind: ProviderErrorKind;
  readonly provider: ProviderName;
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(
    kind: ProviderErrorKind,
    provider: ProviderName,
    message: string,
    options: { status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.provider = provider;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}
