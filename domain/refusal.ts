/** A request that is refused, on its way to the caller. */
import type { Reason } from './reasons.ts';

/** One wrong part of a request: where (JSON pointer), what kind, in words. */
export interface FieldError {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** What a problem may say besides its reason. */
export interface RefusalDetails {
  readonly errors?: readonly FieldError[];
  /** overrides the reason's own */
  readonly retryable?: boolean;
  readonly [field: string]: unknown;
}

/** Nothing changed; the caller is told why. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reason: Reason;
  readonly details: RefusalDetails;

  constructor(reason: Reason, detail: string, details: RefusalDetails = {}) {
    super(detail);
    this.reason = reason;
    this.details = details;
  }
}

/** A part of the service cannot be reached or did not answer in time: what was asked may still happen. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Refuses one field of a body or query. */
export function refuseField(pointer: string, code: string, detail: string): Refusal {
  return new Refusal('VALIDATION_ERROR', detail, { errors: [{ pointer, code, detail }] });
}
