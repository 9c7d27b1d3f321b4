/** Signing requests as the API shows them. Lists and events never hand out an envelope; GET of one does, while it is pending. */
import { sql } from 'kysely';
import type { SigningRequestResource } from '../../domain/resources/signing-request.ts';
import type { SigningRequestStatus } from '../../domain/statuses.ts';
import type { Sql } from '../sql.ts';
import { type Page, type PageRequest, allOf, beyond, iso, newestFirst, only, pageOf } from './select.ts';

export type { SigningRequestResource };

/** What a reader of one request needs besides: where it is driven, who signs, and what was handed out. */
export interface SigningRequestDetail {
  readonly resource: SigningRequestResource;
  readonly orderId: string;
  readonly signer: string;
  /** the transaction that may land now; null when nothing is handed out */
  readonly live: { readonly envelope: string; readonly hash: string } | null;
}

type Row = SigningRequestResource & { created_at: string };

const COLUMNS = sql`s.id, s.user_id, json_build_object('type', 'order', 'id', s.order_id) as resource, s.verb, s.summary,
  null as unsigned_envelope, null as hash, null as sep7_uri, s.status, ${iso('s.expires_at')} as expires_at,
  ${iso('s.created_at')} as created_at`;

/** As events show it. @throws Error when there is no such request */
export async function signingRequestResource(trx: Sql, id: string): Promise<SigningRequestResource> {
  const { rows } = await sql<Row>`select ${COLUMNS} from signing_requests s where s.id = ${id}`.execute(trx);
  if (rows[0] === undefined) throw new Error(`no signing request ${id}`);
  return rows[0];
}

/** The request of this marketplace with this id, or null. */
export async function findSigningRequest(
  db: Sql,
  marketplaceId: string,
  id: string,
): Promise<SigningRequestDetail | null> {
  const { rows } = await sql<
    Row & { order_id: string; signer: string; envelope: string | null; tx_hash: string | null }
  >`
    select ${COLUMNS}, s.order_id, w.address as signer, t.unsigned_envelope as envelope, t.inner_hash as tx_hash
    from signing_requests s join wallets w on w.user_id = s.user_id and w.kind = 'USER'
    left join chain_transactions t on t.id = s.transaction_id and t.status not in ('DEAD', 'FAILED')
    where s.id = ${id} and s.marketplace_id = ${marketplaceId}`.execute(db);
  const row = rows[0];
  if (row === undefined) return null;
  const { order_id: orderId, signer, envelope, tx_hash: hash, created_at: _at, ...resource } = row;
  const live = envelope === null || hash === null ? null : { envelope, hash };
  return { resource, orderId, signer, live };
}

/** The query of the list, by its names on the wire. */
interface SigningRequestQuery extends PageRequest {
  readonly user_id?: string | undefined;
  readonly order_id?: string | undefined;
  readonly status?: readonly SigningRequestStatus[] | undefined;
}

/** Requests of a marketplace, newest first. */
export async function listSigningRequests(
  db: Sql,
  marketplaceId: string,
  query: SigningRequestQuery,
): Promise<Page<Row>> {
  const where = allOf([
    sql`s.marketplace_id = ${marketplaceId}`,
    ...only('s.user_id', query.user_id),
    ...only('s.order_id', query.order_id),
    ...only('s.status', query.status),
    ...beyond('s', query.cursor),
  ]);
  const { rows } = await sql<Row>`select ${COLUMNS} from signing_requests s
    where ${where} ${newestFirst('s', query.limit)}`.execute(db);
  return pageOf(rows, query.limit);
}
