/** The REST API driven over HTTP as its clients drive it: build, sign, send, read. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FeeBumpTransaction } from '@stellar/stellar-sdk/base';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import { MAINNET_FEE_WALLET } from '../../sandbox/contracts/index.ts';
import { type Client, createOrders, type Orders, ROLES, startClient } from './trustless-work-client.ts';

let api: Client;
let on: Orders;

beforeAll(async () => {
  api = await startClient();
  on = createOrders(api);
  await api.open(ROLES, '0');
  await api.open(['funder', 'second funder'], '1000000');
});
afterAll(() => api.close());

const feeWalletHolds = (): bigint =>
  api.sandbox.core.view().trustline(MAINNET_FEE_WALLET, api.sandbox.accounts.usdc)?.balance ?? 0n;
const rows = async (contractId: string, query = ''): Promise<Record<string, unknown>[]> => {
  const { text } = await api.get(`/helper/get-escrow-by-contract-ids?contractIds[]=${contractId}${query}`);
  return JSON.parse(text) as Record<string, unknown>[];
};
const balanceOf = async (contractId: string): Promise<string> =>
  (await api.get(`/helper/get-multiple-escrow-balance?addresses[]=${contractId}`)).text;

describe('an order’s way', () => {
  test('deploy, fund, status, approve, release: balances and fees are exact', async () => {
    const before = { seller: api.holds('seller'), fees: api.holds('fees'), wallet: feeWalletHolds() };
    const contractId = await on.deploy();
    await on.fund(contractId, 250);
    expect(await balanceOf(contractId)).toBe(`[{"address":"${contractId}","balance":250}]`);
    const status = { contractId, milestoneIndex: '0', newStatus: 'completed', newEvidence: 'ipfs://x' };
    await on.step('change-milestone-status', { ...status, serviceProvider: api.address('seller') }, 'seller');
    await on.approve(contractId);
    await on.step('release-funds', { contractId, releaseSigner: api.address('operator') }, 'operator');

    expect(before).toMatchObject({ seller: '0', fees: '0' });
    expect(api.holds('seller')).toBe('248');
    expect(api.holds('fees')).toBe('1.25');
    expect(formatAmount(feeWalletHolds() - before.wallet)).toBe('0.75');
    expect(await balanceOf(contractId)).toBe(`[{"address":"${contractId}","balance":0}]`);
    const [row] = await rows(contractId);
    expect(row).toMatchObject({
      engagementId: 'esc_1',
      amount: 250,
      balance: 0,
      flags: { disputed: false, released: true, resolved: false },
      milestones: [{ description: 'all of it', status: 'completed', evidence: 'ipfs://x', approved: true }],
      roles: on.roles(),
      trustline: { address: api.asset.getIssuer(), symbol: 'USDC' },
      type: 'single-release',
      signer: api.address('channel'),
    });
  });

  test('seven decimals survive: no amount passes through a float', async () => {
    const body = JSON.stringify(on.terms()).replace('"amount":250', '"amount":123456.0000001');
    const sent = await api.sign(await api.post('/deployer/single-release', body), 'channel');
    const contractId = String(sent.body['contractId']);
    api.sandbox.core.closeLedger();
    const funding = `{"contractId":"${contractId}","signer":"${api.address('funder')}","amount":123456.0000001}`;
    await api.sign(await api.post('/escrow/single-release/fund-escrow', funding), 'funder');
    expect(await balanceOf(contractId)).toContain('"balance":123456.0000001}');
    api.sandbox.core.closeLedger();
    expect((await api.get(`/helper/get-escrow-by-contract-ids?contractIds[]=${contractId}`)).text).toContain(
      '"amount":123456.0000001,',
    );
  });

  test('dispute and resolution pay out the whole balance less the fees', async () => {
    const contractId = await on.deploy();
    await on.fund(contractId, 250, 'second funder');
    await on.step('dispute-escrow', { contractId, signer: api.address('operator') }, 'operator');
    const held = { buyer: api.holds('buyer'), seller: api.holds('seller') };
    const distributions = [
      { address: api.address('buyer'), amount: 200 },
      { address: api.address('seller'), amount: 50 },
    ];
    await on.step(
      'resolve-dispute',
      { contractId, disputeResolver: api.address('resolver'), distributions },
      'resolver',
    );
    expect(held).toEqual({ buyer: '0', seller: expect.any(String) });
    // 0.8 % of each share goes to the protocol and the platform
    expect(api.holds('buyer')).toBe('198.4');
    expect((await rows(contractId))[0]).toMatchObject({ flags: { resolved: true, disputed: false }, balance: 0 });
  });

  test('an unfunded escrow can be rewritten by its platform', async () => {
    const contractId = await on.deploy();
    const { signer: _, ...escrow } = on.terms({ amount: 300, title: 'Two logos' });
    const milestones = [{ description: 'all of it', status: 'pending', evidence: '' }, { description: 'more' }];
    const body = { contractId, signer: api.address('fees'), escrow: { ...escrow, milestones } };
    const sent = await api.sign(await api.request('PUT', '/escrow/single-release/update-escrow', body), 'fees');
    expect(sent.body).toMatchObject({
      status: 'SUCCESS',
      escrow: { title: 'Two logos', amount: 300, platformFee: 0.5 },
    });
    const bare = { ...body, escrow: { ...escrow, milestones: [{ description: 'all of it' }] } };
    expect(await api.request('PUT', '/escrow/single-release/update-escrow', bare)).toMatchObject({ status: 400 });
  });

  test('multi-release: milestones are released, disputed and resolved one by one', async () => {
    const { receiver: _, ...multiRoles } = on.roles();
    const { amount: __, ...common } = on.terms({ roles: multiRoles });
    const seller = api.address('seller');
    const milestones = [100, 60].map((amount) => ({ description: `worth ${amount}`, amount, receiver: seller }));
    const sent = await api.sign(await api.post('/deployer/multi-release', { ...common, milestones }), 'channel');
    const contractId = String(sent.body['contractId']);
    api.sandbox.core.closeLedger();
    const act = async (path: string, body: Record<string, unknown>, signer: string): Promise<void> => {
      const built = await api.post(`/escrow/multi-release/${path}`, { contractId, ...body });
      expect([built.status, built.text]).toEqual([201, expect.anything()]);
      expect((await api.sign(built, signer)).body).toMatchObject({ status: 'SUCCESS' });
      api.sandbox.core.closeLedger();
    };
    const held = api.holds('seller') ?? '';
    await act('fund-escrow', { signer: api.address('funder'), amount: 160 }, 'funder');
    const done = { milestoneIndex: '0', newStatus: 'completed', newEvidence: '', serviceProvider: seller };
    await act('change-milestone-status', done, 'seller');
    await act('approve-milestone', { milestoneIndex: '0', approver: api.address('buyer') }, 'buyer');
    await act('release-milestone-funds', { milestoneIndex: '0', releaseSigner: api.address('operator') }, 'operator');
    await act('dispute-milestone', { milestoneIndex: '1', signer: api.address('operator') }, 'operator');
    const distributions = [{ address: api.address('buyer'), amount: 50 }];
    const resolver = { disputeResolver: api.address('resolver') };
    await act('resolve-milestone-dispute', { milestoneIndex: '1', distributions, ...resolver }, 'resolver');
    await act(
      'withdraw-remaining-funds',
      { distributions: [{ address: seller, amount: 10 }], ...resolver },
      'resolver',
    );
    expect(parseAmount(api.holds('seller') ?? '') - parseAmount(held)).toBe(parseAmount('109.12'));
    expect((await rows(contractId))[0]).toMatchObject({
      balance: 0,
      milestones: [
        { flags: { released: true }, amount: 100 },
        { flags: { resolved: true }, receiver: seller },
      ],
    });
  });
});

describe('the envelope', () => {
  test('has the acting wallet as its source, its next sequence, one call, five minutes and an honest fee', async () => {
    const contractId = await on.deploy();
    const { latest, view } = { latest: api.sandbox.core.latest(), view: api.sandbox.core.view() };
    const body = { contractId, signer: api.address('funder'), amount: 1 };
    const built = await api.post('/escrow/single-release/fund-escrow', body);
    const transaction = api.parse(String(built.body['unsignedTransaction']));
    if (transaction instanceof FeeBumpTransaction) throw new Error('a fee bump');
    expect(transaction.source).toBe(api.address('funder'));
    expect(BigInt(transaction.sequence)).toBe((view.account(api.address('funder'))?.sequence ?? 0n) + 1n);
    expect(transaction.timeBounds).toEqual({ minTime: '0', maxTime: String(latest.closedAt + 300) });
    expect(transaction.signatures).toEqual([]);
    expect(transaction.operations.map(({ type }) => type)).toEqual(['invokeHostFunction']);
    expect(Number(transaction.fee)).toBeGreaterThan(1000);
  });

  test('sent twice is harmless; its outcome is found again', async () => {
    const contractId = await on.deploy();
    const built = await api.post('/escrow/single-release/fund-escrow', {
      contractId,
      signer: api.address('funder'),
      amount: 5,
    });
    const first = await api.sign(built, 'funder');
    const again = await api.sign(built, 'funder');
    expect([again.status, again.body]).toEqual([first.status, first.body]);
    expect(await balanceOf(contractId)).toContain('"balance":5}');
  });

  test('an unsigned or unreadable one is refused', async () => {
    const contractId = await on.deploy();
    const built = await api.post('/escrow/single-release/fund-escrow', {
      contractId,
      signer: api.address('funder'),
      amount: 5,
    });
    const signedXdr = String(built.body['unsignedTransaction']);
    expect(await api.post('/helper/send-transaction', { signedXdr })).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('tx_bad_auth') },
    });
    expect(await api.post('/helper/send-transaction', { signedXdr: 'nonsense' })).toMatchObject({ status: 400 });
  });

  test('one that fails on chain answers FAILED with HTTP 200 (F11)', async () => {
    const contractId = await on.deploy();
    await on.fund(contractId, 250);
    await on.approve(contractId);
    const body = { contractId, releaseSigner: api.address('operator') };
    const release = await api.post('/escrow/single-release/release-funds', body);
    // the state changes between build and send
    await on.step('dispute-escrow', { contractId, signer: api.address('buyer') }, 'buyer');
    const sent = await api.sign(release, 'operator');
    expect(sent).toMatchObject({ status: 200, body: { status: 'FAILED' } });
  });
});

describe('the read model', () => {
  test('lags: right after the deploy the escrow is not found; the hash makes it catch up', async () => {
    const built = await api.post('/deployer/single-release', on.terms());
    const sent = await api.sign(built, 'channel');
    const contractId = String(sent.body['contractId']);
    const funding = { contractId, signer: api.address('funder'), amount: 5 };
    expect(await api.post('/escrow/single-release/fund-escrow', funding)).toMatchObject({
      status: 404,
      body: { statusCode: 404, message: 'Escrow not found', path: '/escrow/single-release/fund-escrow' },
    });
    expect(await rows(contractId)).toEqual([]);
    const hash = Buffer.from(api.parse(String(built.body['unsignedTransaction'])).hash()).toString('hex');
    expect(await api.post('/indexer/update-from-txHash', { txHash: hash })).toMatchObject({
      status: 201,
      body: { status: 'SUCCESS' },
    });
    expect(await api.post('/escrow/single-release/fund-escrow', funding)).toMatchObject({ status: 201 });
    expect(await api.post('/indexer/update-from-txHash', { txHash: '0'.repeat(64) })).toMatchObject({ status: 404 });
  });

  test('a stale row makes the contract refuse the funding; the chain is read with validateOnChain', async () => {
    const contractId = await on.deploy();
    const serviceProvider = api.address('seller');
    const status = { contractId, milestoneIndex: '0', newStatus: 'started', newEvidence: '', serviceProvider };
    await api.sign(await api.post('/escrow/single-release/change-milestone-status', status), 'seller');
    const funding = { contractId, signer: api.address('funder'), amount: 5 };
    expect(await api.post('/escrow/single-release/fund-escrow', funding)).toMatchObject({
      status: 400,
      body: { message: 'The provided escrow properties do not match the stored escrow.' },
    });
    expect((await rows(contractId))[0]).toMatchObject({ milestones: [{ status: 'pending' }], platformFee: 50 });
    const [onChain] = await rows(contractId, '&validateOnChain=true');
    expect(onChain).toMatchObject({ milestones: [{ status: 'started' }], platformFee: 0.5 });
    api.sandbox.core.closeLedger();
    expect(await api.post('/escrow/single-release/fund-escrow', funding)).toMatchObject({ status: 201 });
  });

  test('its lag is a switch, in ledgers', async () => {
    const contractId = await on.deploy();
    const { options } = api.sandbox.trustlessWork;
    options.indexLagLedgers = 3;
    try {
      expect(await rows(contractId)).toEqual([]);
      api.sandbox.core.closeLedger();
      expect(await rows(contractId)).toEqual([]);
      api.sandbox.core.closeLedger();
      expect(await rows(contractId)).toHaveLength(1);
    } finally {
      options.indexLagLedgers = 1;
    }
  });

  test('is searched by signer and by role, filtered and ordered', async () => {
    const contractId = await on.deploy({ engagementId: 'esc_unique', amount: 7 });
    const found = async (query: string): Promise<unknown[]> =>
      (JSON.parse((await api.get(query)).text) as Record<string, unknown>[]).map((row) => row['contractId']);
    const bySigner = `/helper/get-escrows-by-signer?signer=${api.address('channel')}`;
    expect(await found(`${bySigner}&engagementId=esc_unique`)).toEqual([contractId]);
    expect(await found(`${bySigner}&maxAmount=7&minAmount=6.5`)).toEqual([contractId]);
    expect(await found(`${bySigner}&engagementId=esc_unique&status=released`)).toEqual([]);
    expect((await found(bySigner))[0]).toBe(contractId);
    const byRole = `/helper/get-escrows-by-role?role=approver&roleAddress=${api.address('buyer')}&engagementId=esc_unique`;
    expect(await found(byRole)).toEqual([contractId]);
    expect(await api.get(`${bySigner}&role=approver`)).toMatchObject({ status: 400 });
  });
});

test('the testnet line names the fee wallet in the call, and pays it', async () => {
  const line = await startClient({ line: 'testnet' });
  try {
    await line.open(ROLES, '0');
    await line.open(['funder'], '300');
    const built = await line.post('/deployer/single-release', createOrders(line).terms());
    const contractId = String((await line.sign(built, 'channel')).body['contractId']);
    const acts: [string, Record<string, unknown>, string][] = [
      ['fund-escrow', { signer: line.address('funder'), amount: 250 }, 'funder'],
      ['approve-milestone', { milestoneIndex: '0', approver: line.address('buyer') }, 'buyer'],
      ['release-funds', { releaseSigner: line.address('operator') }, 'operator'],
    ];
    for (const [path, body, signer] of acts) {
      line.sandbox.core.closeLedger();
      const answer = await line.sign(
        await line.post(`/escrow/single-release/${path}`, { contractId, ...body }),
        signer,
      );
      expect(answer.body).toMatchObject({ status: 'SUCCESS' });
    }
    const wallet = line.sandbox.accounts.feeWallet.publicKey();
    expect(line.sandbox.core.view().trustline(wallet, line.sandbox.accounts.usdc)?.balance).toBe(7_500_000n);
  } finally {
    await line.close();
  }
});
