/**
 * Idempotency keys: one row per tenant and key, written before anything else happens. It holds the hash of the request
 * (F43), the id that a new resource will have, and in the end the answer. The row's id with the attempt is the id of the
 * workflow update, so a repeat that comes while the first call runs, or after a crash, attaches to it (F44, F60).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type Sql, inTransaction } from '../db/sql.ts';
import type { Orm } from '../db/orm.ts';
import { type IdKind, newId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import { isFinal } from './problem.ts';
import type { Answer } from './route.ts';

export interface IdempotencyHandle {
  readonly id: string;
  readonly tenant: string;
  readonly key: string;
  readonly attempt: number;
  /** id allotted to the resource that the call creates */
  readonly resourceId: string | null;
  /** an earlier call was answered 202: its operation exists */
  readonly accepted: boolean;
  /** an earlier call with it has no final answer: it was accepted, or its outcome is not known */
  readonly repeated: boolean;
  /** seals the stored answer; only of routes whose answer holds a secret */
  readonly secret: string | null;
}

/** Operation and update ids of this attempt. */
export const updateIdOf = (handle: IdempotencyHandle): string => `${handle.id}/${handle.attempt}`;
export const operationIdOf = (handle: IdempotencyHandle): string =>
  handle.attempt === 1 ? handle.id : `${handle.id}x${handle.attempt}`;

interface Row {
  request_hash: string;
  resource_id: string | null;
  id: string;
  attempt: number;
  response_status: number | null;
  response_body: unknown;
  response_headers: Record<string, string> | null;
  finished: boolean;
}

const COLUMNS = sql`request_hash, resource_id, id, attempt, response_status, response_body, response_headers,
  finished_at is not null as finished`;

interface KeyedRequest {
  readonly tenant: string;
  readonly key: string;
  readonly hash: string;
  readonly allots: IdKind | null;
  readonly secret: string | null;
}

/**
 * Takes the key, or finds who has it.
 * @returns the stored answer, or a handle with which to go on
 * @throws Refusal IDEMPOTENCY_KEY_REUSED
 */
export async function begin(
  db: Sql,
  request: KeyedRequest,
): Promise<{ stored: Answer } | { handle: IdempotencyHandle }> {
  const { row, isNew } = await takeRow(db, request);
  if (row.request_hash !== request.hash)
    throw new Refusal('IDEMPOTENCY_KEY_REUSED', 'the key belongs to a request with another method, path or body');
  const handle: IdempotencyHandle = {
    id: row.id,
    tenant: request.tenant,
    key: request.key,
    attempt: row.attempt,
    resourceId: row.resource_id,
    accepted: row.response_status === 202,
    repeated: row.response_status === 202 || (!isNew && row.attempt === 1),
    secret: request.secret,
  };
  return row.finished ? { stored: storedAnswer(row, handle) } : { handle };
}

async function takeRow(db: Sql, { tenant, key, hash, allots }: KeyedRequest): Promise<{ row: Row; isNew: boolean }> {
  const resourceId = allots === null ? null : newId(allots);
  const { rows } = await sql<Row>`
    insert into idempotency_keys (tenant, key, request_hash, resource_id, id, attempt, created_at)
    values (${tenant}, ${key}, ${hash}, ${resourceId}, ${newId('operation')}, 1, now())
    on conflict (tenant, key) do nothing
    returning ${COLUMNS}`.execute(db);
  const row = rows[0] ?? (await readRow(db, tenant, key));
  if (row === undefined) throw new Error('an idempotency row vanished');
  return { row, isNew: rows.length > 0 };
}

async function readRow(db: Sql, tenant: string, key: string, lock = sql``): Promise<Row | undefined> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from idempotency_keys where tenant = ${tenant} and key = ${key} ${lock}`.execute(db);
  return rows[0];
}

/**
 * Keeps what the call led to: a final answer for ever; of a 202 only that there is an operation to attach to; after a
 * refusal that may be repeated, the next call is a new attempt. Nothing after an error whose outcome is unknown.
 */
export async function conclude(db: Sql, handle: IdempotencyHandle, answer: Answer): Promise<void> {
  const mine = sql`tenant = ${handle.tenant} and key = ${handle.key} and finished_at is null`;
  if (isFinal(answer)) {
    const text = JSON.stringify(answer.body ?? null);
    const body = handle.secret === null ? text : JSON.stringify({ sealed: seal(handle.secret, handle.id, text) });
    await sql`update idempotency_keys set response_status = ${answer.status}, response_body = ${body}::jsonb,
      response_headers = ${JSON.stringify(answer.headers ?? {})}::jsonb, finished_at = now() where ${mine}`.execute(db);
  } else if (answer.status === 202) {
    if (!handle.accepted) await sql`update idempotency_keys set response_status = 202 where ${mine}`.execute(db);
  } else if (answer.status < 500) {
    await sql`update idempotency_keys set attempt = attempt + 1 where ${mine} and attempt = ${handle.attempt}`.execute(
      db,
    );
  }
}

/** Runs database work and keeps its answer in one transaction; who comes second waits for the first and gets its answer. */
export async function runOnce(
  orm: Orm,
  handle: IdempotencyHandle | null,
  work: (trx: Sql) => Promise<Answer>,
): Promise<Answer> {
  return inTransaction(orm, async (trx) => {
    if (handle === null) return work(trx);
    const row = await readRow(trx, handle.tenant, handle.key, sql`for update`);
    if (row?.finished === true) return storedAnswer(row, handle);
    const answer = await work(trx);
    await conclude(trx, handle, answer);
    return answer;
  });
}

function storedAnswer(row: Row, handle: IdempotencyHandle): Answer {
  const body = handle.secret === null ? row.response_body : open(handle.secret, handle.id, row.response_body);
  return {
    status: row.response_status ?? 200,
    body,
    headers: { ...row.response_headers, 'idempotent-replayed': 'true' },
  };
}

/** Sealed with the caller's own API key, which is stored nowhere: only who may repeat the request can read the answer. */
function sealingKey(secret: string, salt: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, 'stored answer', 32));
}

function seal(secret: string, salt: string, plain: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret, salt), nonce);
  return Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function open(secret: string, salt: string, stored: unknown): unknown {
  const sealed = typeof stored === 'object' && stored !== null && 'sealed' in stored ? String(stored.sealed) : '';
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret, salt), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  const text = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
  return JSON.parse(text) as unknown;
}
