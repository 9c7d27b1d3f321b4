/** The API as commands call it: a key, JSON in and out, problems as errors. */

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** A problem document that the API answered. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly document: Readonly<Record<string, unknown>>;

  constructor(call: string, status: number, document: Readonly<Record<string, unknown>>) {
    super(
      `${call} answered ${status} ${String(document['code'] ?? '')}: ${String(document['detail'] ?? document['title'] ?? '')}`,
    );
    this.status = status;
    this.code = String(document['code'] ?? '');
    this.document = document;
  }
}

export interface ApiClient {
  get<T>(path: string): Promise<T>;
  /** @param wait seconds to wait for the chain's outcome */
  post<T>(path: string, body?: unknown, wait?: number): Promise<T>;
}

const PATIENCE_MS = 120_000;
const PAUSE_MS = 500;

/**
 * A problem that says `retryable` is asked again, with the same Idempotency-Key, for two minutes.
 * @throws Problem for every other answer that is not 2xx
 */
export function createApiClient(target: { readonly apiUrl: string; readonly apiKey: string }): ApiClient {
  const request = async <T>(method: string, path: string, init: RequestInit): Promise<T> => {
    for (const end = Date.now() + PATIENCE_MS; ; await delay(PAUSE_MS)) {
      const response = await fetch(`${target.apiUrl}${path}`, { ...init, method });
      const answer = (await response.json()) as Record<string, unknown>;
      if (response.ok) return answer as T;
      if (answer['retryable'] !== true || Date.now() > end)
        throw new Problem(`${method} ${path}`, response.status, answer);
    }
  };
  const authorization = `Bearer ${target.apiKey}`;
  return {
    get: (path) => request('GET', path, { headers: { authorization } }),
    post: (path, body, wait) =>
      request('POST', path, {
        headers: {
          authorization,
          'idempotency-key': randomUUID(),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}
