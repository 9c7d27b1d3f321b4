/** Faults in what Trustless Work answers: forged envelopes, errors worded wrongly, success that is none. */
import type { ServerResponse } from 'node:http';
import type { FaultRequest, Faults } from './registry.ts';
import type { Forgery, Tamper } from './tamper.ts';

type Body = Record<string, unknown>;

const FORGERIES: readonly Forgery[] = [
  'xdr_wrong_amount',
  'xdr_wrong_destination',
  'xdr_wrong_contract',
  'xdr_extra_operation',
  'xdr_foreign_auth',
];

const SENT = 'The transaction has been successfully sent to the Stellar network.';

/** Texts that mean something else; the second for whoever was to be told the first. */
const WRONG_TEXTS = ['Escrow already in dispute', 'The escrow funds have been released.'] as const;

/** Looks at, or replaces, the one body that the face is going to send. */
function onAnswer(res: ServerResponse, look: (body: string) => string): void {
  const end = res.end.bind(res) as (body: string) => ServerResponse;
  res.end = (body?: unknown): ServerResponse => end(typeof body === 'string' ? look(body) : '');
}

const isBuild = (face: string, path: string): boolean =>
  face === 'trustless-work' && /^\/(deployer|escrow)\//.test(path);

export interface Answers {
  /** Remembers what a build answers. */
  watch(face: string, path: string, res: ServerResponse): void;
  /** Remembers it too, and sends what the faults make of it. @param fails a call that is to fail was taken */
  rewrite(request: FaultRequest, res: ServerResponse, fails: boolean): void;
}

export function createAnswers({ faults, tamper }: { readonly faults: Faults; readonly tamper: Tamper }): Answers {
  /** route → the latest envelope it answered with */
  const latest = new Map<string, string>();

  const forged = (request: FaultRequest, envelope: string): string => {
    const { path = '' } = request;
    const previous = latest.get(path);
    latest.set(path, envelope);
    if (previous !== undefined && faults.check('xdr_duplicate', request) !== undefined) return previous;
    const wanted = faults.list().map(({ name }) => name);
    for (const how of FORGERIES.filter((one) => wanted.includes(one))) {
      const forgery = tamper(how, envelope);
      if (forgery !== undefined && faults.check(how, request) !== undefined) return forgery;
    }
    return envelope;
  };
  const reworded = (request: FaultRequest, body: Body): Body => {
    if (typeof body['message'] !== 'string' || faults.check('wrong_error_text', request) === undefined) return body;
    return { ...body, message: WRONG_TEXTS.find((text) => text !== body['message']) };
  };
  const changed = (request: FaultRequest, fails: boolean, body: Body): Body => {
    const envelope = body['unsignedTransaction'];
    if (typeof envelope === 'string') {
      const unsignedTransaction = forged(request, envelope);
      return unsignedTransaction === envelope ? body : { ...body, unsignedTransaction };
    }
    if (typeof body['statusCode'] === 'number') return reworded(request, body);
    return fails && body['status'] === 'FAILED' ? { status: 'SUCCESS', message: SENT } : body;
  };

  return {
    watch: (face, path, res) => {
      if (!isBuild(face, path)) return;
      onAnswer(res, (text) => {
        const { unsignedTransaction } = JSON.parse(text) as Body;
        if (typeof unsignedTransaction === 'string') latest.set(path, unsignedTransaction);
        return text;
      });
    },
    rewrite: (request, res, fails) => {
      if (request.face !== 'trustless-work') return;
      onAnswer(res, (text) => {
        const body = JSON.parse(text) as unknown;
        // lists are reads
        if (typeof body !== 'object' || body === null || Array.isArray(body)) return text;
        const answer = changed(request, fails, body as Body);
        return answer === body ? text : JSON.stringify(answer);
      });
    },
  };
}
