/** What the REST API refuses, and in which words. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Client, createOrders, type Orders, type Reply, ROLES, startClient } from './trustless-work-client.ts';

let api: Client;
let on: Orders;

beforeAll(async () => {
  api = await startClient();
  on = createOrders(api);
  await api.open(ROLES, '0');
  await api.open(['funder'], '1000000');
  await api.open(['bare'], null);
});
afterAll(() => api.close());

test('a missing or malformed key is 401', async () => {
  for (const key of ['', 'nodot']) {
    const reply = await api.request('POST', '/deployer/single-release', on.terms(), { 'x-api-key': key });
    expect(reply).toMatchObject({
      status: 401,
      body: { statusCode: 401, timestamp: expect.any(String), path: '/deployer/single-release' },
    });
  }
});

test.each<[string, Record<string, unknown>, string]>([
  ['an unknown property', { colour: 'red' }, 'colour'],
  ['an amount as text', { amount: '250' }, 'amount'],
  ['no amount', { amount: undefined }, 'amount'],
  ['nothing', { amount: 0 }, 'amount'],
  ['eight decimals', { amount: 0.12345678 }, 'amount'],
  ['three decimals of a percent', { platformFee: 0.125 }, 'platformFee'],
  ['a long title', { title: 'x'.repeat(101) }, 'title'],
  ['a foreign milestone field', { milestones: [{ description: 'x', status: 'done' }] }, 'milestones.0.status'],
  ['a signer that is no account', { signer: 'GABC' }, 'signer'],
])('%s is 400 and names the field', async (_name, change, field) => {
  const reply = await api.post('/deployer/single-release', on.terms(change));
  expect(reply).toMatchObject({ status: 400, body: { statusCode: 400, details: { [field]: [expect.any(String)] } } });
});

test('a milestone index as a number is 400', async () => {
  const body = { contractId: await on.deploy(), milestoneIndex: 0, approver: api.address('buyer') };
  expect(await api.post('/escrow/single-release/approve-milestone', body)).toMatchObject({ status: 400 });
});

test('a role wallet without the trustline is refused at deploy', async () => {
  const reply = await api.post(
    '/deployer/single-release',
    on.terms({ roles: { ...on.roles(), receiver: api.address('bare') } }),
  );
  expect(reply).toMatchObject({
    status: 400,
    body: { message: "The wallet for role 'receiver' does not have the required asset to complete this operation." },
  });
});

test('a percent above the contract’s limit, or a milestone list that is empty, fails in simulation', async () => {
  expect(await api.post('/deployer/single-release', on.terms({ platformFee: 100 }))).toMatchObject({
    status: 400,
    body: { message: 'The platform fee cannot exceed 99%' },
  });
  expect(await api.post('/deployer/single-release', on.terms({ milestones: [] }))).toMatchObject({ status: 400 });
});

test('a contract address as trustline passes the deploy, and no funding ever works', async () => {
  const contractId = await on.deploy({
    trustline: { address: api.asset.contractId(api.sandbox.core.networkPassphrase), symbol: 'USDC' },
  });
  const reply = await api.post('/escrow/single-release/fund-escrow', {
    contractId,
    signer: api.address('funder'),
    amount: 5,
  });
  expect(reply).toMatchObject({ status: 400, body: { message: expect.stringContaining('MissingValue') } });
});

test('the wrong role is told in the contract’s words', async () => {
  const contractId = await on.deploy();
  await on.fund(contractId, 250);
  const refused = async (path: string, body: Record<string, unknown>): Promise<unknown> =>
    (await api.post(`/escrow/single-release/${path}`, { contractId, ...body })).body['message'];
  const stranger = api.address('funder');
  expect(await refused('approve-milestone', { milestoneIndex: '0', approver: stranger })).toBe(
    'Only the approver can change milestone flag',
  );
  expect(await refused('release-funds', { releaseSigner: stranger })).toBe(
    'Only the release signer can release the escrow earnings',
  );
  expect(await refused('release-funds', { releaseSigner: api.address('operator') })).toBe(
    'The escrow must be completed to release earnings',
  );
  expect(await refused('dispute-escrow', { signer: api.address('resolver') })).toBe(
    'The dispute resolver cannot dispute the escrow.',
  );
});

test('a token’s error is worded by its number alone, unless the mis-mapping is switched off (F21)', async () => {
  const contractId = await on.deploy();
  const body = { contractId, signer: api.address('bare'), amount: 5 };
  const message = async (): Promise<unknown> =>
    (await api.post('/escrow/single-release/fund-escrow', body)).body['message'];
  expect(await message()).toBe('Escrow already in dispute');
  api.sandbox.trustlessWork.options.misMapping = false;
  try {
    expect(await message()).toBe('HostError: Error(Contract, #13)');
  } finally {
    api.sandbox.trustlessWork.options.misMapping = true;
  }
});

test('the fifty-first request of a minute is 429 when the limit is switched on', async () => {
  api.sandbox.trustlessWork.options.rateLimit = true;
  try {
    const one = (key: string): Promise<Reply> =>
      api.request('GET', '/helper/get-escrow-by-contract-ids', undefined, { 'x-api-key': key });
    const replies = await Promise.all(Array.from({ length: 51 }, () => one('limited.client')));
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(1);
    expect(replies.find(({ status }) => status === 429)?.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await one('other.client')).status).not.toBe(429);
  } finally {
    api.sandbox.trustlessWork.options.rateLimit = false;
  }
});
