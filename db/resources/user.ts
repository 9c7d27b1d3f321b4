/** Users as the API shows them. */
import { type RawBuilder, sql } from 'kysely';
import type { UserResource } from '../../domain/resources/user.ts';
import type { Sql } from '../sql.ts';
import {
  type CreatedBetween,
  type Page,
  type PageRequest,
  allOf,
  beyond,
  createdBetween,
  iso,
  metadataHas,
  newestFirst,
  only,
  pageOf,
} from './select.ts';

export type { UserResource };

/** The address is known to us from key creation on; it is shown when the wallet can receive (F39). */
export const shownAddress = sql.raw(`case when w.status = 'PROVISIONING' then null else w.address end`);

const select = (where: RawBuilder<unknown>, rest: RawBuilder<unknown> = sql``) => sql<UserResource>`
  select u.id, u.external_user_id, u.email, u.status,
    json_build_object('id', w.id, 'provider', w.provider, 'status', w.status, 'address', ${shownAddress}) as wallet,
    u.metadata, coalesce(c.version, 0) as version,
    ${iso('u.created_at')} as created_at, ${iso('u.updated_at')} as updated_at
  from users u
  join wallets w on w.user_id = u.id and w.kind = 'USER'
  left join resource_counters c on c.resource_id = u.id
  where ${where} ${rest}`;

/** The users with these ids, by id, as GET shows them now in this transaction; for writers of events. */
async function userResources(trx: Sql, ids: readonly string[]): Promise<Map<string, UserResource>> {
  const { rows } = await select(sql`u.id = any(${[...ids]}::text[])`).execute(trx);
  return new Map(rows.map((row) => [row.id, row]));
}

/** @throws Error when there is no such user */
export async function userResource(trx: Sql, userId: string): Promise<UserResource> {
  const user = (await userResources(trx, [userId])).get(userId);
  if (user === undefined) throw new Error(`no user ${userId}`);
  return user;
}

/** The user of this marketplace with this id, or null. */
export async function findUser(db: Sql, marketplaceId: string, userId: string): Promise<UserResource | null> {
  return (await select(sql`u.id = ${userId} and u.marketplace_id = ${marketplaceId}`).execute(db)).rows[0] ?? null;
}

/** The statuses of those of these users that this marketplace has, by id. */
export async function userStatuses(
  db: Sql,
  marketplaceId: string,
  ids: readonly string[],
): Promise<Map<string, UserResource['status']>> {
  const { rows } = await sql<{ id: string; status: UserResource['status'] }>`select id, status from users
    where marketplace_id = ${marketplaceId} and id = any(${[...ids]}::text[])`.execute(db);
  return new Map(rows.map(({ id, status }) => [id, status]));
}

/** The user whom this marketplace knows by this id of its own, or null. */
export async function findUserByExternalId(
  db: Sql,
  marketplaceId: string,
  externalUserId: string,
): Promise<UserResource | null> {
  const where = sql`u.external_user_id = ${externalUserId} and u.marketplace_id = ${marketplaceId}`;
  return (await select(where).execute(db)).rows[0] ?? null;
}

/** The query of the list, by its names on the wire. */
interface UserQuery extends PageRequest, CreatedBetween {
  readonly external_user_id?: string | undefined;
  readonly status?: readonly UserResource['status'][] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Users of a marketplace, newest first. */
export async function listUsers(db: Sql, marketplaceId: string, query: UserQuery): Promise<Page<UserResource>> {
  const where = allOf([
    sql`u.marketplace_id = ${marketplaceId}`,
    ...only('u.external_user_id', query.external_user_id),
    ...only('u.status', query.status),
    ...metadataHas('u', query.metadata),
    ...createdBetween('u', query),
    ...beyond('u', query.cursor),
  ]);
  const { rows } = await select(where, newestFirst('u', query.limit)).execute(db);
  return pageOf(rows, query.limit);
}
