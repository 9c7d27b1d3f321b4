/** Faults that strike at the connection, the same for every face. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { sendJson } from '../core/http.ts';
import type { Face } from '../core/types.ts';
import type { FaultRequest, Faults } from './registry.ts';

/**
 * Holds a request's body back until it is complete, so that a fault can be decided by what the request says; then the
 * face reads it as if it had just arrived.
 */
function holdBody(req: IncomingMessage): Promise<{ body: string; release: () => void }> {
  return new Promise((resolve) => {
    const push = req.push.bind(req);
    const held: Buffer[] = [];
    req.push = (chunk: Buffer | null) => {
      if (chunk !== null) {
        held.push(chunk);
        return true;
      }
      resolve({
        body: Buffer.concat(held).toString('utf8'),
        release: () => {
          req.push = push;
          for (const part of held) push(part);
          push(null);
        },
      });
      return false;
    };
  });
}

/** Requests that hand a transaction over; only their answers can be lost after acceptance. */
function submits({ face, path = '', body = '' }: FaultRequest): boolean {
  if (face === 'horizon') return path === '/transactions' || path === '/transactions_async';
  if (face === 'rpc') return body.includes('"sendTransaction"');
  return path === '/helper/send-transaction';
}

/** Lets the face do its work and cuts the connection instead of answering. */
function loseAnswer(res: ServerResponse): void {
  const lose = (): ServerResponse => {
    res.destroy();
    return res;
  };
  res.writeHead = lose;
  res.write = () => false;
  res.end = lose;
}

/** Whether the request was dealt with by a fault before it reached its face. */
function strike(faults: Faults, request: FaultRequest, res: ServerResponse): boolean {
  const silent = faults.check('timeout', request);
  if (silent !== undefined) {
    setTimeout(() => res.destroy(), silent.delayMs).unref();
    return true;
  }
  if (faults.check('http_503', request) !== undefined) {
    res
      .writeHead(503, { 'content-type': 'text/html' })
      .end('<html><body>503 Service Temporarily Unavailable</body></html>');
    return true;
  }
  const limited = faults.check('http_429', request);
  if (limited === undefined) return false;
  const headers: Record<string, string> =
    limited.retryAfter === null ? {} : { 'retry-after': String(limited.retryAfter) };
  sendJson(res, 429, { status: 429, title: 'Rate Limit Exceeded' }, headers);
  return true;
}

/** The face behind the faults that are switched on now. */
export function withFaults(face: Face, faults: Faults): Face {
  const name = face.prefix.replace(/^\//, '');
  return {
    ...face,
    handle: async (req, res, path) => {
      if (faults.list().length === 0) return face.handle(req, res, path);
      const { body, release } = await holdBody(req);
      const request: FaultRequest = { face: name, method: req.method ?? 'GET', path, body };
      if (strike(faults, request, res)) return;
      if (submits(request) && faults.check('answer_lost_after_accept', request) !== undefined) loseAnswer(res);
      release();
      return face.handle(req, res, path);
    },
  };
}
