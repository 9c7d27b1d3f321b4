/** JSON-RPC 2.0 as the Stellar RPC speaks it: HTTP 200 for every call that is one, errors inside. */

export type Params = Readonly<Record<string, unknown>>;
export type Method = (params: Params) => unknown;

interface RpcFailure {
  readonly code: number;
  readonly message: string;
}

/** Thrown by a method to answer with an error object. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;

export const invalidParams = (message: string): RpcError => new RpcError(INVALID_PARAMS, message);

const isRecord = (value: unknown): value is Params =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const REQUEST_KEYS = new Set(['jsonrpc', 'id', 'method', 'params']);

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params: Params;
}

/** @throws RpcError when it is not a request */
function callOf(request: unknown): Call {
  const shaped = isRecord(request) && request['jsonrpc'] === '2.0' && typeof request['method'] === 'string';
  if (!shaped || Object.keys(request).some((key) => !REQUEST_KEYS.has(key))) {
    throw new RpcError(INVALID_REQUEST, 'invalid request');
  }
  const params = request['params'] ?? {};
  if (!isRecord(params)) throw invalidParams('parameters must be an object');
  return { id: request['id'], method: String(request['method']), params };
}

/** Answer to one request; undefined for a notification. */
function answer(request: unknown, methods: Readonly<Record<string, Method>>): object | undefined {
  const id = isRecord(request) ? (request['id'] ?? null) : null;
  try {
    const call = callOf(request);
    const method = Object.hasOwn(methods, call.method) ? methods[call.method] : undefined;
    if (method === undefined) throw new RpcError(METHOD_NOT_FOUND, 'method not found');
    const result = method(call.params);
    return call.id === undefined ? undefined : { jsonrpc: '2.0', id: call.id, result };
  } catch (error) {
    const known = error instanceof RpcError;
    const failure: RpcFailure = known ? error : { code: INTERNAL_ERROR, message: 'internal error' };
    return { jsonrpc: '2.0', id, error: { code: failure.code, message: failure.message } };
  }
}

/** Answers a decoded body: one request or a batch. Undefined when nothing wants an answer. */
export function answerBody(body: unknown, methods: Readonly<Record<string, Method>>): object | undefined {
  if (!Array.isArray(body)) return answer(body, methods);
  const answers = body.map((request) => answer(request, methods)).filter((one) => one !== undefined);
  return answers.length === 0 ? undefined : answers;
}

/** @throws RpcError(-32602) when the parameter is there and of another type */
export function textParam(params: Params, name: string): string | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalidParams(`invalid parameters: ${name} must be a string`);
  return value;
}

/** @throws RpcError(-32602) when the parameter is there and no whole number ≥ 0 */
export function countParam(params: Params, name: string): number | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalidParams(`invalid parameters: ${name} must be a whole number`);
  }
  return value;
}

export function recordParam(params: Params, name: string): Params | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) throw invalidParams(`invalid parameters: ${name} must be an object`);
  return value;
}

export function listParam(params: Params, name: string): readonly unknown[] {
  const value = params[name] ?? [];
  if (!Array.isArray(value)) throw invalidParams(`invalid parameters: ${name} must be a list`);
  return value as unknown[];
}

/** The sandbox answers in base64 XDR only. */
export function assertFormat(params: Params): void {
  const format = textParam(params, 'xdrFormat') ?? '';
  if (format !== '' && format !== 'base64') throw invalidParams('unsupported xdrFormat: only base64 is served');
}
