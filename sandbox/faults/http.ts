/** Faults that strike at the connection, the same for every face. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { networkId } from '../core/envelope.ts';
import { sendJson } from '../core/http.ts';
import type { Face } from '../core/types.ts';
import type { Acts } from './acts.ts';
import { createAnswers } from './answers.ts';
import { type FacedCore, submissionOf } from './core.ts';
import { ACTS, type FaultName, type FaultRequest, type Faults } from './registry.ts';
import { guardStream } from './stream.ts';
import type { Tamper } from './tamper.ts';

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

/** The envelope that a request hands over, or undefined. */
function submitted({ face, path = '', body = '' }: FaultRequest): string | undefined {
  try {
    if (face === 'horizon') {
      const submits = path === '/transactions' || path === '/transactions_async';
      return submits ? (new URLSearchParams(body).get('tx') ?? undefined) : undefined;
    }
    if (face === 'rpc') {
      const call = JSON.parse(body) as { method?: string; params?: { transaction?: string } };
      return call.method === 'sendTransaction' ? call.params?.transaction : undefined;
    }
    const { signedXdr } = JSON.parse(body) as { signedXdr?: string };
    return path === '/helper/send-transaction' ? signedXdr : undefined;
  } catch {
    return undefined;
  }
}

const isStream = (req: IncomingMessage): boolean => req.headers.accept?.includes('text/event-stream') === true;

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

const OUTAGES: Partial<Record<FaultName, readonly [number, string]>> = {
  http_500: [500, 'Internal Server Error'],
  http_502: [502, 'Bad Gateway'],
  http_503: [503, 'Service Temporarily Unavailable'],
  http_504: [504, 'Gateway Time-out'],
};

/** Whether the request was dealt with by a fault before it reached its face. */
function strike(faults: Faults, request: FaultRequest, res: ServerResponse): boolean {
  const silent = faults.check('timeout', request);
  if (silent !== undefined) {
    setTimeout(() => res.destroy(), silent.delayMs).unref();
    return true;
  }
  for (const [name, [status, text]] of Object.entries(OUTAGES)) {
    if (faults.check(name as FaultName, request) === undefined) continue;
    res.writeHead(status, { 'content-type': 'text/html' }).end(`<html><body>${status} ${text}</body></html>`);
    return true;
  }
  const limited = faults.check('http_429', request);
  if (limited === undefined) return false;
  const headers: Record<string, string> =
    limited.retryAfter === null ? {} : { 'retry-after': String(limited.retryAfter) };
  sendJson(res, 429, { status: 429, title: 'Rate Limit Exceeded' }, headers);
  return true;
}

/** How old the answers of a node are that lags, unless the rule says otherwise. */
const STALE_LEDGERS = 5;

/** What the faults need of the network behind the faces. */
interface FaultyNetwork {
  readonly faults: Faults;
  readonly faced: FacedCore;
  readonly acts: Acts;
  readonly tamper: Tamper;
  /** makes the contract call with this hash fail in its ledger */
  readonly doom: (hash: string) => void;
}

/** The face behind the faults that are switched on now. */
export function withFaults(face: Face, network: FaultyNetwork): Face {
  const { faults, faced, acts, doom } = network;
  const name = face.prefix.replace(/^\//, '');
  const passphrase = networkId(faced.core.networkPassphrase);
  const answers = createAnswers(network);

  /** @returns the request with what it submits, if it does */
  const understood = (request: FaultRequest): FaultRequest => {
    const envelope = submitted(request);
    if (envelope === undefined) return request;
    try {
      return { ...request, ...submissionOf(envelope, passphrase) };
    } catch {
      return request;
    }
  };
  const disturb = async (request: FaultRequest): Promise<void> => {
    for (const act of ACTS) {
      const rule = faults.check(act, request);
      if (rule !== undefined) await acts[act](rule);
    }
  };
  const handle = async (
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    given: Awaited<ReturnType<typeof holdBody>>,
  ): Promise<void> => {
    const request = understood({ face: name, method: req.method ?? 'GET', path, body: given.body });
    await disturb(request);
    if (strike(faults, request, res)) return;
    const { hash = '', fn } = request;
    const fails = fn !== undefined && faults.check('success_then_fails', request) !== undefined;
    if (fails) doom(hash);
    answers.rewrite(request, res, fails);
    if (hash !== '' && faults.check('answer_lost_after_accept', request) !== undefined) loseAnswer(res);
    given.release();
    // A stream would stay what it was when it was opened: its own faults are for that.
    const stale = hash === '' && !isStream(req) ? faults.check('stale_index', request) : undefined;
    const work = (): Promise<void> => face.handle(req, res, path);
    return stale === undefined ? work() : faced.behind(stale.ledgers ?? STALE_LEDGERS, work);
  };

  return {
    ...face,
    handle: async (req, res, path) => {
      if (isStream(req)) {
        guardStream(res, (fault) => faults.check(fault, { face: name, method: 'GET', path }) !== undefined);
      }
      // The common case costs nothing; what a build answers is remembered for when its fault is set.
      if (!faults.any()) {
        answers.watch(name, path, res);
        return face.handle(req, res, path);
      }
      return handle(req, res, path, await holdBody(req));
    },
  };
}
