/** The Soroban RPC face: JSON-RPC over the ledger core, in the shapes of the public server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { originOf, readBody, sendJson } from '../core/http.ts';
import type { Core, Face } from '../core/types.ts';
import { getLedgerEntries } from './entries.ts';
import { getEvents } from './events.ts';
import { answerBody, type Method } from './jsonrpc.ts';
import { getFeeStats, getHealth, getLatestLedger, getLedgers, getNetwork, getVersionInfo } from './network.ts';
import { DEFAULT_RPC_OPTIONS, type RpcOptions } from './options.ts';
import { simulateTransaction } from './simulate.ts';
import { getTransaction, getTransactions, sendTransaction } from './transactions.ts';

interface RpcDeps {
  readonly core: Core;
  /** as clients reach it, or how it follows from the origin they used; without it clients cannot find friendbot */
  readonly friendbotUrl?: string | ((origin: string) => string) | undefined;
}

interface Rpc extends Face {
  readonly options: RpcOptions;
}

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': '*',
  'access-control-allow-methods': 'POST, OPTIONS',
} as const;

function plain(res: ServerResponse, status: number, text: string): void {
  res.writeHead(status, { ...CORS, 'content-type': 'text/plain; charset=utf-8' }).end(text);
}

/** The decoded body; undefined once the request was refused. */
async function bodyOf(req: IncomingMessage, res: ServerResponse): Promise<{ readonly json: unknown } | undefined> {
  const type = (req.headers['content-type'] ?? '').split(';')[0]?.trim();
  if (req.method !== 'POST') plain(res, 405, 'method not allowed');
  else if (type !== 'application/json') plain(res, 415, 'unsupported media type');
  else {
    try {
      return { json: JSON.parse((await readBody(req)).toString('utf8')) as unknown };
    } catch {
      plain(res, 500, 'parse error');
    }
  }
  return undefined;
}

/** Mounts on `/rpc`. */
export function createRpc({ core, friendbotUrl }: RpcDeps): Rpc {
  const options = { ...DEFAULT_RPC_OPTIONS };
  const methods: Readonly<Record<string, Method>> = {
    getHealth: getHealth(core),
    getVersionInfo: getVersionInfo(),
    getLatestLedger: getLatestLedger(core),
    getLedgers: getLedgers(core),
    getFeeStats: getFeeStats(core),
    getLedgerEntries: getLedgerEntries(core),
    simulateTransaction: simulateTransaction(core),
    sendTransaction: sendTransaction(core),
    getTransaction: getTransaction(core, options),
    getTransactions: getTransactions(core, options),
    getEvents: getEvents(core, options),
  };
  return {
    prefix: '/rpc',
    options,
    async handle(req, res) {
      if (req.method === 'OPTIONS') {
        res.writeHead(204, CORS).end();
        return;
      }
      const body = await bodyOf(req, res);
      if (body === undefined) return;
      const friendbot = typeof friendbotUrl === 'function' ? friendbotUrl(originOf(req)) : friendbotUrl;
      const answer = answerBody(body.json, { ...methods, getNetwork: getNetwork(core, friendbot) });
      if (answer === undefined) res.writeHead(204, CORS).end();
      else sendJson(res, 200, answer, CORS);
    },
  };
}
