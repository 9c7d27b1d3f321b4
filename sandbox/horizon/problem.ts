/** Horizon's problem documents. */

export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, string>;

  constructor(slug: Slug, detail?: string, extras?: Record<string, unknown>, headers: Record<string, string> = {}) {
    const [status, title] = PROBLEMS[slug];
    super(title);
    this.status = status;
    this.headers = headers;
    this.body = {
      type: `https://stellar.org/horizon-errors/${slug}`,
      title,
      status,
      ...(detail === undefined ? {} : { detail }),
      ...(extras === undefined ? {} : { extras }),
    };
  }
}

const PROBLEMS = {
  not_found: [404, 'Resource Missing'],
  bad_request: [400, 'Bad Request'],
  before_history: [410, 'Data Requested Is Before Recorded History'],
  not_acceptable: [406, 'An acceptable response content-type could not be provided for this request'],
  unsupported_media_type: [415, 'Unsupported Media Type'],
  rate_limit_exceeded: [429, 'Rate Limit Exceeded'],
  transaction_malformed: [400, 'Transaction Malformed'],
  transaction_failed: [400, 'Transaction Failed'],
  transaction_submission_timeout: [504, 'Transaction Submission Timeout'],
  stale_history: [503, 'Historical DB Is Too Stale'],
  service_unavailable: [503, 'Service Unavailable'],
  server_error: [500, 'Internal Server Error'],
} as const satisfies Record<string, readonly [number, string]>;

type Slug = keyof typeof PROBLEMS;

export function notFound(): Problem {
  return new Problem('not_found', 'The resource at the url requested was not found. Check the url and its parameters.');
}

export function badField(field: string, reason: string): Problem {
  return new Problem('bad_request', 'The request you sent was invalid in some way.', { invalid_field: field, reason });
}

export function rateLimited(): Problem {
  return new Problem(
    'rate_limit_exceeded',
    'This client has used up its credits for now: see the X-RateLimit headers.',
  );
}

export function staleHistory(): Problem {
  return new Problem('stale_history', 'The history of this server is behind the network: ask again later.');
}

export function beforeHistory(): Problem {
  return new Problem('before_history', 'This server keeps only part of the history, and what was asked for is older.');
}
