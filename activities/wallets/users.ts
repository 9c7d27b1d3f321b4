/** Users and their wallet rows, as the wallet workflow writes them: one transaction each, safe to run twice. */
import { sql } from 'kysely';
import { appendEvents, recordChange } from '../../db/events.ts';
import { userResource } from '../../db/resources/user.ts';
import { walletResource } from '../../db/resources/wallet.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { EventType } from '../../domain/events/index.ts';
import type { ChangeUser, CreateUser, Origin, UserAnswer } from '../../workflows/messages.ts';
import { correlation } from '../booking/order-row.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';

export function createUserActivities({ orm, history, network }: Pick<Deps, 'orm' | 'history' | 'network'>) {
  return {
    /**
     * Inserts the user and the wallet. A known external id is answered with the user it belongs to.
     * @throws ApplicationFailure USER_ALREADY_EXISTS (`user_id`) when a given field differs; VALIDATION_ERROR when the
     *   address belongs to another wallet
     */
    async createUser(request: CreateUser): Promise<UserAnswer> {
      const cursor = request.wallet?.status === 'READY' ? await birthCursor() : null;
      return inTransaction(orm, async (trx) => {
        const { rows } = await sql<{ id: string }>`
          insert into users (id, marketplace_id, external_user_id, email, status, metadata, created_at, updated_at)
          values (${request.user_id}, ${request.marketplace_id}, ${request.external_user_id}, ${request.email}, 'ACTIVE',
            ${JSON.stringify(request.metadata)}::jsonb, now(), now())
          on conflict do nothing returning id`.execute(trx);
        if (rows.length === 0) return existing(trx, request);
        await insertWallet(trx, request, cursor);
        await recordUserEvent(trx, request.user_id, request.marketplace_id, request, 'user.created', {});
        if (request.wallet?.status === 'READY') await recordReady(trx, request);
        return { user_id: request.user_id, created: true };
      });
    },

    /** Changes the user of a wallet. What is not given stays; a change that changes nothing leaves no event. */
    async changeUser({ wallet_id, ...change }: ChangeUser & { wallet_id: string }): Promise<UserAnswer> {
      return inTransaction(orm, async (trx) => {
        const { rows } = await sql<StoredUser>`
          select u.id, u.marketplace_id, u.email, u.metadata, u.status from users u
          join wallets w on w.user_id = u.id where w.id = ${wallet_id} for update of u`.execute(trx);
        const user = rows[0];
        if (user === undefined) throw refuse('NOT_FOUND', `wallet ${wallet_id} has no user`);
        const fields = (['email', 'metadata', 'status'] as const).filter(
          (field) => change[field] !== undefined && !same(change[field], user[field]),
        );
        if (fields.length === 0) return { user_id: user.id, created: false };
        const next = { ...user, ...Object.fromEntries(fields.map((field) => [field, change[field]])) };
        await sql`
          update users set email = ${next.email}, metadata = ${JSON.stringify(next.metadata)}::jsonb,
            status = ${next.status}, updated_at = now() where id = ${user.id}`.execute(trx);
        const [type, detail] = fields.includes('status')
          ? ([next.status === 'SUSPENDED' ? 'user.suspended' : 'user.activated', {}] as const)
          : (['user.updated', { fields }] as const);
        await recordUserEvent(trx, user.id, user.marketplace_id, change, type, detail);
        return { user_id: user.id, created: false };
      });
    },
  };

  /** Where the stream of a wallet that exists already begins: where the reader is, which is never later than now (F28). */
  async function birthCursor(): Promise<string> {
    const { rows } = await sql<{ cursor: string }>`
      select cursor from network_cursors where network = ${network.name} and reader = 'payments'`.execute(pool(orm));
    return rows[0]?.cursor ?? history.nowCursor();
  }
}

async function insertWallet(trx: Sql, request: CreateUser, cursor: string | null): Promise<void> {
  const { provider, status, address } = request.wallet ?? NEW_CUSTODIAL;
  // Whoever named an address of ours would get what is paid to it booked to himself.
  const { rows } = await sql<{ id: string }>`
    insert into wallets (id, marketplace_id, user_id, kind, provider, status, address, birth_cursor, stream_cursor,
      created_at, updated_at)
    select ${request.wallet_id}, ${request.marketplace_id}, ${request.user_id}, 'USER', ${provider}, ${status}, ${address},
      ${cursor}, ${cursor}, now(), now()
    where not exists (select from wallets where address = ${address} and provider = 'crypto-native')
    on conflict do nothing returning id`.execute(trx);
  if (rows[0] !== undefined) return;
  const detail = 'the address belongs to another wallet';
  throw refuse('VALIDATION_ERROR', detail, { errors: [{ pointer: '/wallet/address', code: 'ADDRESS_TAKEN', detail }] });
}

const NEW_CUSTODIAL = { provider: 'crypto-native', status: 'PROVISIONING', address: null } as const;

async function recordReady(trx: Sql, request: CreateUser): Promise<void> {
  await appendEvents(trx, [
    {
      type: 'wallet.ready',
      marketplaceId: request.marketplace_id,
      resource: { type: 'wallet', id: request.wallet_id },
      object: await walletResource(trx, request.wallet_id),
      change: {},
      actor: request.actor,
      requestId: request.request_id,
      ...correlation(),
    },
  ]);
}

interface StoredUser {
  readonly id: string;
  readonly marketplace_id: string;
  readonly email: string | null;
  readonly metadata: Record<string, string>;
  readonly status: 'ACTIVE' | 'SUSPENDED';
}

/** An empty field was not given and is not compared. */
async function existing(trx: Sql, request: CreateUser): Promise<UserAnswer> {
  const { rows } = await sql<StoredUser & { provider: string; address: string | null }>`
    select u.id, u.marketplace_id, u.email, u.metadata, u.status, w.provider, w.address from users u
    join wallets w on w.user_id = u.id and w.kind = 'USER'
    where u.marketplace_id = ${request.marketplace_id} and u.external_user_id = ${request.external_user_id}`.execute(
    trx,
  );
  const user = rows[0];
  if (user === undefined) throw refuse('NOT_FOUND', `user ${request.user_id} belongs to another external id`);
  const differs =
    (request.email !== null && request.email !== user.email) ||
    (Object.keys(request.metadata).length > 0 && !same(request.metadata, user.metadata)) ||
    (request.wallet != null &&
      (request.wallet.provider !== user.provider ||
        (request.wallet.address !== null && request.wallet.address !== user.address)));
  if (differs) {
    const message = 'a user with this external id exists with other data';
    throw refuse('USER_ALREADY_EXISTS', message, { user_id: user.id });
  }
  // A local activity that ran twice finds its own row: the user is as new as at the first run.
  return { user_id: user.id, created: user.id === request.user_id };
}

const sorted = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
    : value;
const same = (one: unknown, other: unknown): boolean => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

async function recordUserEvent(
  trx: Sql,
  userId: string,
  marketplaceId: string,
  origin: Origin,
  type: Extract<EventType, `user.${string}`>,
  change: unknown,
): Promise<void> {
  const event = {
    type,
    marketplaceId,
    resource: { type: 'user' as const, id: userId },
    object: await userResource(trx, userId),
    change,
    actor: origin.actor,
    requestId: origin.request_id,
    ...correlation(),
  };
  await recordChange(trx, { resourceId: userId, events: [event] });
}
