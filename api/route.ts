/**
 * A route is data: what it takes, who may call it, what it answers. The router, the validation, the shaping of answers and
 * the OpenAPI document all read the same object, so that they cannot disagree.
 */
import type { z } from 'zod';
import type { Authenticated } from '../db/resources/api-key.ts';
import type { Sql } from '../db/sql.ts';
import type { IdKind } from '../domain/ids.ts';
import type { Reason } from '../domain/reasons.ts';
import { Refusal } from '../domain/refusal.ts';
import type { Scope } from '../domain/statuses.ts';
import type { Origin } from '../workflows/messages.ts';
import type { ApiDeps } from './deps.ts';
import type { IdempotencyHandle } from './idempotency.ts';

export const BASE_PATH = '/api/v1';

export interface Answer {
  readonly status: number;
  /** JSON, or text with the content type given in `headers` */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request on its way through its route. */
export interface Call<P = unknown, Q = unknown, B = unknown> {
  readonly deps: ApiDeps;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** null on public routes */
  readonly auth: Authenticated | null;
  readonly origin: Origin;
  readonly ifNoneMatch: string | null;
  /** seconds the caller is ready to wait (`Prefer: wait=N`), null without the header */
  readonly wait: number | null;
  /** null when the caller sent no Idempotency-Key */
  readonly idempotency: IdempotencyHandle | null;
  /** Runs work of the database alone in one transaction with its idempotency row: once, whatever happens. */
  once(work: (trx: Sql) => Promise<Answer>): Promise<Answer>;
}

/** `marketplace`: keys of a marketplace; `platform`: platform keys; `any`: both; `public`: no key. */
export type Access =
  | { readonly keys: 'marketplace' | 'platform' | 'any'; readonly scope: Scope }
  | { readonly keys: 'public' };

/** Schema of a JSON answer; a media type for anything else; null for no content. */
export type AnswerShape = z.ZodType | string | null;

export interface Route {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** below the base path, parameters as `:name` */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly access: Access;
  readonly params?: z.ZodObject | undefined;
  readonly query?: z.ZodObject | undefined;
  readonly body?: z.ZodObject | undefined;
  /** the call honours `Prefer: wait=N` */
  readonly waits?: boolean;
  /** kind of the resource whose id is allotted before the work begins, so that a repeat finds it */
  readonly allots?: IdKind;
  /** it moves money outward: a call without Idempotency-Key is refused */
  readonly needsKey?: boolean;
  /** the answer holds a secret: it is stored sealed (F42) */
  readonly secret?: boolean;
  readonly answers: Readonly<Record<number, AnswerShape>>;
  /** what it may be refused for, besides what every route is refused for */
  readonly reasons: readonly Reason[];
  handle(call: Call): Promise<Answer>;
}

type Output<S> = S extends z.ZodType ? z.output<S> : Record<never, never>;

/** Declares a route; its handler sees parameters, query and body as their schemas have read them. */
export function route<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodObject | undefined = undefined,
>(
  definition: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    handle(call: Call<Output<P>, Output<Q>, Output<B>>): Promise<Answer>;
  },
): Route {
  // The pipeline calls `handle` with what these very schemas have parsed.
  return definition as unknown as Route;
}

/** The wall: everything a marketplace's key sees is looked up with this id. */
export function marketplaceOf(call: Call): NonNullable<Authenticated['marketplace']> {
  const marketplace = call.auth?.marketplace ?? null;
  if (marketplace === null) throw new Refusal('INSUFFICIENT_SCOPE', 'this call needs a key of a marketplace');
  return marketplace;
}

/** Not there, or not yours: the same answer. */
export function found<T>(resource: T | null, what: string): T {
  if (resource === null) throw new Refusal('NOT_FOUND', `there is no such ${what}`);
  return resource;
}
