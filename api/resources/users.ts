/** Users: created and changed through the workflow of their wallet, read from the tables. */
import { z } from 'zod';
import { type UserResource, findUser, findUserByExternalId, listUsers } from '../../db/resources/user.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { Refusal } from '../../domain/refusal.ts';
import { UserSchema } from '../../domain/resources/user.ts';
import { PAYMENT_PROVIDERS, USER_STATUSES } from '../../domain/statuses.ts';
import type { ChangeUser, CreateUser } from '../../workflows/messages.ts';
import { canonical } from '../hash.ts';
import { updateIdOf } from '../idempotency.ts';
import { readingChain } from '../chain.ts';
import {
  IdParams,
  MetadataInput,
  ReasonBody,
  commaList,
  createdQuery,
  given,
  listAnswer,
  listOf,
  metadataQuery,
  pageQuery,
  text,
} from '../inputs.ts';
import { type Answer, BASE_PATH, type Call, found, marketplaceOf, route } from '../route.ts';

/** A user is a database step behind a workflow: it is answered in milliseconds or not at all. */
const TIMEOUT_MS = 10_000;

const Email = z.email().max(254).nullish();
const CreateUserBody = z.strictObject({
  external_user_id: text(255),
  email: Email,
  wallet: z
    .strictObject({ provider: z.enum(PAYMENT_PROVIDERS), address: z.string().max(100).nullish() })
    .nullish()
    .meta({ description: "Only for users with their own wallet; default: the marketplace's provider" }),
  metadata: MetadataInput.nullish(),
});
type CreateUserBody = z.output<typeof CreateUserBody>;
const ChangeUserBody = z.strictObject({ email: Email, metadata: MetadataInput.nullish() });

const userAnswer = (status: number, user: UserResource): Answer => ({
  status,
  body: user,
  headers: { ETag: `"${user.version}"`, ...(status === 201 ? { Location: `${BASE_PATH}/users/${user.id}` } : {}) },
});

const userOf = async (call: Call<{ id: string }>): Promise<UserResource> =>
  found(await findUser(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'user');

/** A known external id: the user it belongs to, unless a given field says something else. */
function existing(user: UserResource, body: CreateUserBody, allotted: string | null): Answer {
  const differs =
    (given(body.email) !== null && body.email !== user.email) ||
    (given(body.metadata) !== null && canonical(body.metadata) !== canonical(user.metadata)) ||
    (body.wallet != null &&
      (body.wallet.provider !== user.wallet.provider ||
        (given(body.wallet.address) !== null && body.wallet.address !== user.wallet.address)));
  // Ours, from a call whose answer was lost: as new as at the first call.
  if (user.id === allotted) return userAnswer(201, user);
  if (!differs) return userAnswer(200, user);
  throw new Refusal('USER_ALREADY_EXISTS', 'a given field differs from the user with this external id', {
    user_id: user.id,
  });
}

/** How the wallet begins, as its provider says; it is asked before anything is stored. */
async function newWallet(call: Call<unknown, unknown, CreateUserBody>): Promise<NonNullable<CreateUser['wallet']>> {
  const { deps, body } = call;
  const { defaultAsset, paymentProvider } = marketplaceOf(call);
  const asset = found(deps.config.assets.find(({ code }) => code === defaultAsset) ?? null, 'asset');
  const provider = deps.payments[body.wallet?.provider ?? paymentProvider];
  const address = given(body.wallet?.address);
  return { provider: provider.name, ...(await readingChain(call, () => provider.initializeUser({ address, asset }))) };
}

async function createUser(call: Call<unknown, unknown, CreateUserBody>): Promise<Answer> {
  const { deps, body, idempotency } = call;
  const marketplaceId = marketplaceOf(call).id;
  const db = pool(deps.orm);
  const lookUp = () => findUserByExternalId(db, marketplaceId, body.external_user_id);
  const known = await lookUp();
  if (known !== null) return existing(known, body, idempotency?.resourceId ?? null);
  const userId = idempotency?.resourceId ?? newId('user');
  const { created } = await deps.workflows.createUser(
    {
      ...call.origin,
      user_id: userId,
      // The wallet shares the random part of its user's id: a repeat finds the same workflow.
      wallet_id: userId.replace(/^usr_/, 'wal_'),
      marketplace_id: marketplaceId,
      external_user_id: body.external_user_id,
      email: given(body.email),
      metadata: body.metadata ?? {},
      wallet: await newWallet(call),
    },
    { updateId: idempotency === null ? newId('request') : updateIdOf(idempotency), timeoutMs: TIMEOUT_MS },
  );
  const user = found(await lookUp(), 'user');
  return created ? userAnswer(201, user) : existing(user, body, null);
}

async function changeUser(
  call: Call<{ id: string }>,
  change: Omit<ChangeUser, 'request_id' | 'actor'>,
): Promise<Answer> {
  const { wallet } = await userOf(call);
  const { idempotency } = call;
  await call.deps.workflows.changeUser(
    wallet.id,
    { ...call.origin, ...change },
    { updateId: idempotency === null ? newId('request') : updateIdOf(idempotency), timeoutMs: TIMEOUT_MS },
  );
  return userAnswer(200, await userOf(call));
}

const setStatus = (verb: 'suspend' | 'activate', status: UserResource['status'], summary: string) =>
  route({
    method: 'post',
    path: `/users/:id/${verb}`,
    tag: 'users',
    summary,
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    body: ReasonBody,
    answers: { 200: UserSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: (call) => changeUser(call, { status }),
  });

export const USER_ROUTES = [
  route({
    method: 'post',
    path: '/users',
    tag: 'users',
    summary: 'Create a user; the wallet is provisioned in the background',
    access: { keys: 'marketplace', scope: 'write' },
    body: CreateUserBody,
    allots: 'user',
    answers: { 201: UserSchema, 200: UserSchema },
    reasons: ['VALIDATION_ERROR', 'USER_ALREADY_EXISTS', 'UNAVAILABLE'],
    handle: createUser,
  }),
  route({
    method: 'get',
    path: '/users',
    tag: 'users',
    summary: 'List users',
    access: { keys: 'marketplace', scope: 'read' },
    query: z.strictObject({
      ...pageQuery,
      ...createdQuery,
      external_user_id: z.string().optional(),
      status: commaList(USER_STATUSES),
      metadata: metadataQuery,
    }),
    answers: { 200: listOf(UserSchema) },
    reasons: ['VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listUsers(pool(call.deps.orm), marketplaceOf(call).id, call.query)),
  }),
  route({
    method: 'get',
    path: '/users/:id',
    tag: 'users',
    summary: 'Get a user',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    answers: { 200: UserSchema },
    reasons: ['NOT_FOUND'],
    handle: async (call) => userAnswer(200, await userOf(call)),
  }),
  route({
    method: 'patch',
    path: '/users/:id',
    tag: 'users',
    summary: 'Change a user; what is absent stays',
    access: { keys: 'marketplace', scope: 'write' },
    params: IdParams,
    body: ChangeUserBody,
    answers: { 200: UserSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: (call) =>
      changeUser(call, {
        ...(call.body.email === undefined ? {} : { email: call.body.email }),
        ...(call.body.metadata == null ? {} : { metadata: call.body.metadata }),
      }),
  }),
  setStatus('suspend', 'SUSPENDED', 'Suspend a user: no new order or reservation; running orders go on'),
  setStatus('activate', 'ACTIVE', 'Activate a suspended user'),
];
