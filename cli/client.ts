/** The API as commands call it: a key, JSON in and out, problems as errors. */

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

/** @throws Problem for every answer that is not 2xx */
export function createApiClient(target: { readonly apiUrl: string; readonly apiKey: string }): ApiClient {
  const request = async <T>(method: string, path: string, body?: unknown, wait?: number): Promise<T> => {
    const response = await fetch(`${target.apiUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${target.apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Problem(`${method} ${path}`, response.status, answer as Record<string, unknown>);
    return answer as T;
  };
  return {
    get: (path) => request('GET', path),
    post: (path, body, wait) => request('POST', path, body, wait),
  };
}
