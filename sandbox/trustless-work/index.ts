/**
 * The Trustless Work V1 REST API over the local network: every action answers with an unsigned, already simulated
 * envelope that the acting wallet signs; the API never holds a key or money.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Deployment } from '../contracts/index.ts';
import { readBody, sendJson } from '../core/http.ts';
import type { Core, Face } from '../core/types.ts';
import { ACTIONS } from './actions.ts';
import { createBuilder } from './build.ts';
import { ApiError, errorBody } from './errors.ts';
import { parseJson } from './json.ts';
import { createRateLimit } from './rate-limit.ts';
import { createReadModel } from './read-model.ts';
import { createReads } from './reads.ts';
import { label, validate } from './schema.ts';
import { createSend } from './send.ts';

/** Switches; all may change while it runs. */
interface TrustlessWorkOptions {
  /** ledgers after which the read model shows a change */
  indexLagLedgers: number;
  /** contract errors worded by number alone, whoever raised them, as the live API does */
  misMapping: boolean;
  /** 50 requests per 60 s and key */
  rateLimit: boolean;
  /** whether a 429 carries `Retry-After`; the live API does not promise it */
  retryAfter: boolean;
  /** how long `send-transaction` waits for the ledger */
  patienceMs: number;
}

const DEFAULT_OPTIONS: TrustlessWorkOptions = {
  indexLagLedgers: 1,
  misMapping: true,
  rateLimit: false,
  retryAfter: true,
  patienceMs: 25_000,
};

export interface TrustlessWork extends Face {
  readonly options: TrustlessWorkOptions;
}

async function bodyOf(req: IncomingMessage): Promise<unknown> {
  const text = (await readBody(req)).toString('utf8');
  try {
    return parseJson(text);
  } catch {
    throw new ApiError(400, 'Unexpected token in JSON');
  }
}

/** A key is `<id>.<secret>`; any well-formed one opens the local network. */
function clientOf(req: IncomingMessage): string {
  const key = req.headers['x-api-key'];
  if (typeof key !== 'string' || !/^[^.\s]+\.\S+$/.test(key)) throw new ApiError(401, 'Unauthorized');
  return key;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}
type Handler = (req: IncomingMessage, url: URL) => Answer | Promise<Answer>;

const forceBody = z.strictObject({ txHash: label });

/**
 * The face under `/trustless-work`. Rejections are V1 error bodies.
 * `deployment` names factories, WASM hashes and the fee wallet.
 */
export function createTrustlessWork(deps: {
  readonly core: Core;
  readonly deployment: Deployment;
  readonly options?: Partial<TrustlessWorkOptions>;
  readonly now?: () => number;
}): TrustlessWork {
  const { core } = deps;
  const options = { ...DEFAULT_OPTIONS, ...deps.options };
  const model = createReadModel(core, () => options.indexLagLedgers);
  const build = createBuilder({ ...deps, model, misMapping: () => options.misMapping });
  const send = createSend(core, () => options.patienceMs);
  const limit = createRateLimit(deps.now ?? Date.now);

  const routes = new Map<string, Handler>();
  for (const action of ACTIONS) {
    routes.set(`${action.method} ${action.path}`, async (req) => {
      const unsignedTransaction = build(action, await bodyOf(req));
      return { status: 201, body: { status: 'SUCCESS', unsignedTransaction } };
    });
  }
  for (const [path, read] of Object.entries(createReads(core, model))) {
    routes.set(`GET ${path}`, (_req, url) => ({ status: 200, body: read(url) }));
  }
  routes.set('POST /helper/send-transaction', async (req) => ({ status: 200, body: await send(await bodyOf(req)) }));
  routes.set('POST /indexer/update-from-txHash', async (req) => {
    const { txHash } = validate(forceBody, await bodyOf(req));
    if (!model.force(txHash)) throw new ApiError(404, 'Transaction not found');
    return { status: 201, body: { status: 'SUCCESS', message: 'The escrow has been updated from the transaction.' } };
  });

  const serve = async (req: IncomingMessage, res: ServerResponse, path: string): Promise<void> => {
    const client = clientOf(req);
    const wait = options.rateLimit ? limit(client) : 0;
    if (wait > 0) {
      const headers: Record<string, string> = options.retryAfter ? { 'retry-after': String(wait) } : {};
      return sendJson(res, 429, errorBody(new ApiError(429, 'ThrottlerException: Too Many Requests'), path), headers);
    }
    const handler = routes.get(`${req.method ?? 'GET'} ${path}`);
    if (handler === undefined) throw new ApiError(404, `Cannot ${req.method ?? 'GET'} ${path}`);
    const { status, body } = await handler(req, new URL(req.url ?? '/', 'http://localhost'));
    sendJson(res, status, body);
  };

  return {
    prefix: '/trustless-work',
    options,
    handle: async (req, res, path) => {
      try {
        await serve(req, res, path);
      } catch (error) {
        const known = error instanceof ApiError ? error : new ApiError(500, 'An unexpected error occurred');
        sendJson(res, known.status, errorBody(known, path));
      }
    },
    close: () => model.close(),
  };
}
