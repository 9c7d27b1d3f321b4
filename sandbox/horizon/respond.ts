/** How this Horizon reads a request's wishes and writes its answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Problem } from './problem.ts';

export interface Request {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly query: URLSearchParams;
  /** where this Horizon is reached, without a slash at the end */
  readonly base: string;
  /** the request's own URL */
  readonly self: URL;
  readonly streaming: boolean;
  /** headers that go with whatever is answered */
  readonly headers: Record<string, string>;
  /** Takes one credit of the client's rate limit; false when none is left. */
  readonly credit: () => boolean;
}

const COMMON = { 'access-control-allow-origin': '*', 'cache-control': 'no-cache, no-store, max-age=0' };

/** Go's JSON writes these characters escaped. */
export function goJson(body: object, indent = 0): string {
  const text = JSON.stringify(body, null, indent);
  return text.replace(/[&<>\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function send({ res, headers }: Request, status: number, body: object, more: Record<string, string> = {}): void {
  const type = { 'content-type': 'application/hal+json; charset=utf-8', 'content-disposition': 'inline' };
  res.writeHead(status, { ...COMMON, ...type, ...headers, ...more });
  res.end(goJson(body, 2));
}

/** Answers a GET with a document; whoever asked for a stream of it asked for what there is not. */
export function answer(request: Request, body: object, headers: Record<string, string> = {}): void {
  if (request.streaming) throw new Problem('not_acceptable');
  send(request, 200, body, headers);
}

export function sendProblem(res: ServerResponse, problem: Problem, headers: Record<string, string>): void {
  const type = { 'content-type': 'application/problem+json; charset=utf-8' };
  res.writeHead(problem.status, { ...COMMON, ...headers, ...type, ...problem.headers });
  res.end(goJson(problem.body, 2));
}

/** Whether the client wants a stream. @throws Problem 406 when it accepts nothing we have */
export function wantsStream(req: IncomingMessage): boolean {
  const accept = req.headers.accept ?? '';
  if (accept.includes('text/event-stream')) return true;
  if (accept === '' || /\*\/\*|application\/\*|application\/(hal\+)?json/.test(accept)) return false;
  throw new Problem('not_acceptable');
}
